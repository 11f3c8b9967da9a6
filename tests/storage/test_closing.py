from __future__ import annotations

from dataclasses import replace

import pytest

from kbroker.storage.closing import close, delete, release_descriptors
from kbroker.storage.errors import (
    DiskError,
)
from kbroker.storage.flush import flush
from tests.storage.logs import (
    DIRECTORY,
    NOW_MS,
    SMALL,
    append,
    batch_of,
    check_whole,
    fill,
    new_disk,
    offsets,
    open_at,
)

ONE = len(batch_of())


def test_a_log_that_has_let_go_of_its_files_takes_them_again() -> None:
    disk = new_disk()
    config = replace(SMALL, segment_bytes=3 * ONE + 10, index_interval_bytes=1)
    log = open_at(disk, config)
    for i in range(20):
        append(log, producer_id=7, sequence=i)
        assert release_descriptors(log)
        assert not release_descriptors(log)
    check_whole(log, 20)
    close(log)
    check_whole(open_at(disk, config, clean=True, recovery_point=20), 20)


def test_a_deleted_log_is_set_aside_and_removed_later() -> None:
    disk = new_disk()
    log = open_at(disk)
    fill(log, 3)
    found = log.read(0, 1000)
    delete(log, NOW_MS, bytes(range(16)))
    aside = f"/data/t-0.{bytes(range(16)).hex()}-delete"
    assert disk.is_dir(aside)
    assert not disk.exists(DIRECTORY)
    for use in (append, lambda log: log.read(0, 1000), flush):
        with pytest.raises(DiskError, match="t-0 was deleted"):
            use(log)
    assert log.directory.deletions.take_expired(NOW_MS + SMALL.file_delete_delay_ms - 1) == []
    for deletion in log.directory.deletions.take_expired(NOW_MS + SMALL.file_delete_delay_ms):
        deletion.run(disk)
    assert not disk.exists(aside)
    assert offsets(found) == [0, 1, 2]
