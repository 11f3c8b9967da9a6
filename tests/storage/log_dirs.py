"""Log directories on a simulated disk, for the tests of this folder."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from kbroker.storage.checkpoints import MetaProperties
from kbroker.storage.log_dir_opening import open_log_dir
from tests.storage.logs import NOW_MS, SMALL, batch_of

if TYPE_CHECKING:
    from kbroker.storage.log_dir import LogDir
    from tests.sim.disk import SimDisk

ID = bytes(range(16))
OTHER_ID = bytes(range(1, 17))
META = MetaProperties("cluster", 1, ID)
PAIRS = replace(SMALL, segment_bytes=2 * len(batch_of()), retention_ms=-1)


def start(disk: SimDisk, **expected: object) -> LogDir:
    log_dir = open_log_dir(disk, "/data", rng=Random(1), now_ms=NOW_MS, **expected)  # type: ignore[arg-type]
    if log_dir.meta is None:
        log_dir.format(META)
    return log_dir
