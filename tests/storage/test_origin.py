"""Who appends: no two are the same, whatever their numbers."""

from __future__ import annotations

import pytest

from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.errors import InvalidRecord
from kbroker.storage.log_config import LogConfig
from kbroker.storage.origin import Origin
from kbroker.storage.validation import prepare


def test_each_origin_is_one_of_its_own() -> None:
    names = ["REPLICATION", "COORDINATOR", "CLIENT", "RAFT_LEADER"]
    assert [origin.name for origin in Origin] == names


def test_only_coordinators_write_control_records() -> None:
    control = build_batch(
        [NewRecord(1, b"k", None)], is_control=True, producer_id=1, producer_epoch=0
    )
    prepared = prepare(memoryview(control), LogConfig(), 1, origin=Origin.COORDINATOR)
    assert prepared.batch == control
    with pytest.raises(InvalidRecord, match="control"):
        prepare(memoryview(control), LogConfig(), 1, origin=Origin.CLIENT)
