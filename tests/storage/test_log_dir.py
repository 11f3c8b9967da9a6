from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING

import pytest

from kbroker.storage import names
from kbroker.storage.checkpoints import (
    CLEAN_SHUTDOWN,
    LOG_START_OFFSET_CHECKPOINT,
    META_PROPERTIES,
    PARTITION_METADATA,
    RECOVERY_POINT_CHECKPOINT,
    read_offsets,
)
from kbroker.storage.directory_contents import ForeignLogDir
from kbroker.storage.errors import CorruptFile, DiskError, LogDirLocked
from kbroker.storage.flush import flush
from kbroker.storage.log_dir_opening import open_log_dir
from kbroker.storage.os_disk import OsDisk
from kbroker.storage.truncation import increment_log_start_offset, truncate_to
from tests.storage.log_dirs import ID, META, OTHER_ID, PAIRS, start
from tests.storage.logs import NOW_MS, append, base_offsets, fill, new_disk

if TYPE_CHECKING:
    from pathlib import Path


def test_a_fresh_directory_is_formatted_once() -> None:
    disk = new_disk()
    log_dir = open_log_dir(disk, "/data/new/deep", rng=Random(1), now_ms=NOW_MS)
    assert log_dir.meta is None
    assert not log_dir.is_clean
    log_dir.format(META)
    log_dir.close()
    again = open_log_dir(disk, "/data/new/deep", rng=Random(1), now_ms=NOW_MS, node_id=1)
    assert again.meta == META
    assert again.is_clean


def test_logs_come_back_after_a_clean_stop() -> None:
    disk = new_disk()
    log_dir = start(disk)
    for index in range(3):
        fill(log_dir.open_log("t", index, PAIRS, now_ms=NOW_MS, topic_id=ID), index * 2)
    increment_log_start_offset(log_dir.logs.opened["t", 2], 1)
    log_dir.checkpoints.note_high_watermark("t", 2, 3)
    log_dir.close()
    assert disk.exists(f"/data/{CLEAN_SHUTDOWN}")
    log_dir = start(disk)
    assert log_dir.is_clean
    assert not disk.exists(f"/data/{CLEAN_SHUTDOWN}")
    assert log_dir.logs.partitions() == [("t", 0), ("t", 1), ("t", 2)]
    assert log_dir.topic_id("t", 1) == ID
    assert log_dir.checkpoints.high_watermark("t", 2) == 3
    assert log_dir.checkpoints.high_watermark("t", 1) == 0
    log = log_dir.open_log("t", 2, PAIRS, now_ms=NOW_MS, topic_id=ID)
    assert (log.log_start_offset, log.log_end_offset) == (1, 4)
    # Those that are not opened this time keep what the checkpoints say.
    log_dir.close()
    assert read_offsets(disk, f"/data/{RECOVERY_POINT_CHECKPOINT}") == {
        ("t", 0): 0,
        ("t", 1): 2,
        ("t", 2): 4,
    }


def test_a_directory_that_was_not_closed_is_not_clean() -> None:
    disk = new_disk()
    log_dir = start(disk)
    fill(log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS), 3)
    disk.locked.clear()  # the process died
    log_dir.logs.opened["t", 0].fail(DiskError("/data", "killed"))
    log_dir = start(disk)
    assert not log_dir.is_clean
    assert log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS).log_end_offset == 3


def test_a_directory_is_used_once() -> None:
    disk = new_disk()
    log_dir = start(disk)
    with pytest.raises(LogDirLocked):
        start(disk)
    log_dir.close()
    start(disk).close()


@pytest.mark.parametrize(
    ("expected", "reason"),
    [({"node_id": 2}, "node 1"), ({"cluster_id": "another"}, "cluster cluster")],
)
def test_another_brokers_directory_is_refused(expected: dict[str, object], reason: str) -> None:
    disk = new_disk()
    start(disk).close()
    before = disk.list_dir("/data")
    with pytest.raises(ForeignLogDir, match=reason):
        start(disk, **expected)
    assert disk.list_dir("/data") == before
    assert start(disk, node_id=1, cluster_id="cluster").is_clean


def test_a_directory_of_something_else_is_refused_untouched() -> None:
    disk = new_disk()
    disk.open("/data/photo.jpg", create=True)
    with pytest.raises(ForeignLogDir, match=r"photo\.jpg"):
        start(disk)
    assert disk.list_dir("/data") == ["photo.jpg"]


def test_a_strange_directory_among_the_partitions_is_refused() -> None:
    disk = new_disk()
    start(disk).close()
    disk.make_dir("/data/holiday")
    with pytest.raises(ForeignLogDir, match="holiday"):
        start(disk)
    assert disk.exists(f"/data/{CLEAN_SHUTDOWN}")


def test_what_a_file_system_or_an_unfinished_format_left_does_not_matter() -> None:
    disk = new_disk()
    disk.make_dir("/data/lost+found")
    disk.open(f"/data/{META_PROPERTIES}.tmp", create=True)
    start(disk).close()
    assert start(disk).logs.partitions() == []


def test_a_directory_without_an_id_gets_one_that_stays() -> None:
    """Kafka 3.3 to 3.6 gave none."""
    disk = new_disk()
    log_dir = open_log_dir(disk, "/data", rng=Random(1), now_ms=NOW_MS)
    log_dir.format(META._replace(directory_id=None))
    log_dir.close()
    log_dir = start(disk)
    log_dir.assign_directory_id(ID)
    assert log_dir.meta == META
    log_dir.close()
    assert start(disk).meta == META


def test_a_damaged_meta_properties_is_an_error() -> None:
    disk = new_disk()
    disk.write_file_atomic(f"/data/{META_PROPERTIES}", b"version=1\n")
    with pytest.raises(CorruptFile):
        start(disk)
    assert not disk.locked


def test_a_deleted_partition_can_be_made_again() -> None:
    disk = new_disk()
    log_dir = start(disk)
    log = log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS, topic_id=ID)
    fill(log, 6)
    increment_log_start_offset(log, 5)
    flush(log)
    log_dir.checkpoints.write_offsets()
    log_dir.delete_log("t", 0, NOW_MS)
    assert log_dir.logs.partitions() == []
    log = log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS, topic_id=OTHER_ID)
    assert (log.log_start_offset, log.log_end_offset) == (0, 0)
    assert log.directory.topic_id == OTHER_ID
    # What the checkpoints said of the old one must not count after a crash.
    assert read_offsets(disk, f"/data/{RECOVERY_POINT_CHECKPOINT}") == {}
    assert read_offsets(disk, f"/data/{LOG_START_OFFSET_CHECKPOINT}") == {}
    for remove in log_dir.take_expired_deletions(NOW_MS + PAIRS.file_delete_delay_ms):
        remove()
    assert [name for name in disk.list_dir("/data") if name.startswith("t-")] == ["t-0"]


def test_what_waited_to_be_deleted_is_deleted_after_a_restart() -> None:
    disk = new_disk()
    log_dir = start(disk)
    log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS)
    log_dir.delete_log("t", 0, NOW_MS)
    log_dir.close()
    log_dir = start(disk)
    assert log_dir.logs.partitions() == []
    assert log_dir.take_expired_deletions(NOW_MS + 59_999) == []
    for remove in log_dir.take_expired_deletions(NOW_MS + 60_000):
        remove()
    assert not any(name.endswith(names.DELETE_DIR) for name in disk.list_dir("/data"))


def test_a_directory_of_another_topic_id_is_set_aside() -> None:
    disk = new_disk()
    log_dir = start(disk)
    fill(log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS, topic_id=ID), 3)
    log_dir.close()
    log_dir = start(disk)
    log = log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS, topic_id=OTHER_ID)
    assert (log.log_end_offset, log.directory.topic_id) == (0, OTHER_ID)
    (stray,) = (name for name in disk.list_dir("/data") if name.endswith(names.STRAY_DIR))
    assert disk.size(f"/data/{stray}/{names.file_name(0, names.LOG)}") > 0
    log_dir.close()
    assert start(disk).logs.partitions() == [("t", 0)]


def test_a_copy_for_another_topic_id_goes_at_once_and_a_new_one_begins() -> None:
    disk = new_disk()
    log_dir = start(disk)
    fill(log_dir.open_future("t", 0, PAIRS, now_ms=NOW_MS, topic_id=ID), 3)
    log_dir.close()
    log_dir = start(disk)
    assert log_dir.futures.holds("t", 0)
    future = log_dir.open_future("t", 0, PAIRS, now_ms=NOW_MS, topic_id=OTHER_ID)
    assert (future.log_end_offset, future.directory.topic_id) == (0, OTHER_ID)
    for remove in log_dir.take_expired_deletions(NOW_MS):
        remove()
    left = [name for name in disk.list_dir("/data") if name.startswith("t-0")]
    assert [f"/data/{name}" for name in left] == [future.directory.path]


@pytest.mark.parametrize("is_clean", [True, False])
def test_a_topic_id_that_makes_no_sense_is_damage_unless_a_crash_may_have_done_it(
    is_clean: bool,
) -> None:
    disk = new_disk()
    log_dir = start(disk)
    append(log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS, topic_id=ID))
    log_dir.close()
    disk.write_file_atomic(f"/data/t-0/{PARTITION_METADATA}", b"version: 0")
    if not is_clean:
        disk.unlink(f"/data/{CLEAN_SHUTDOWN}")
    log_dir = start(disk)
    if is_clean:
        with pytest.raises(CorruptFile):
            log_dir.stored_topic_id("t", 0)
    else:
        assert log_dir.stored_topic_id("t", 0) is None
        log = log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS, topic_id=ID)
        assert (log.log_end_offset, log.directory.topic_id) == (1, ID)


def test_a_copy_goes_on_where_it_was() -> None:
    disk = new_disk()
    log_dir = start(disk)
    fill(log_dir.open_future("t", 0, PAIRS, now_ms=NOW_MS, topic_id=ID), 3)
    log_dir.close()
    log_dir = start(disk)
    future = log_dir.open_future("t", 0, PAIRS, now_ms=NOW_MS, topic_id=ID)
    assert (future.log_start_offset, future.log_end_offset) == (0, 3)
    assert log_dir.take_expired_deletions(NOW_MS + 10**9) == []


@pytest.mark.parametrize("is_open", [True, False])
def test_a_copy_that_has_become_the_log_stays_it_after_a_power_loss(is_open: bool) -> None:
    disk = new_disk()
    log_dir = start(disk)
    fill(log_dir.open_future("t", 0, PAIRS, now_ms=NOW_MS, topic_id=ID), 3)
    log_dir.close()
    log_dir = start(disk)
    if is_open:
        log_dir.open_future("t", 0, PAIRS, now_ms=NOW_MS, topic_id=ID)
        log_dir.promote_future("t", 0)
    else:
        log_dir.promote_found_future("t", 0)
    assert log_dir.logs.holds("t", 0)
    assert not log_dir.futures.holds("t", 0)
    disk.power_loss(NoneOfIt())
    log_dir = start(disk)
    assert (log_dir.logs.partitions(), log_dir.futures.partitions()) == ([("t", 0)], [])
    assert log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS, topic_id=ID).log_end_offset == 3


class NoneOfIt(Random):
    """A power loss that takes all that is not synced."""

    def randint(self, a: int, b: int) -> int:
        return a


@pytest.mark.parametrize("epoch", [-1, 7])
def test_a_directory_that_is_let_go_of_is_as_it_was_found(epoch: int) -> None:
    disk = new_disk()
    start(disk).close(broker_epoch=epoch)
    before = disk.read_file(f"/data/{CLEAN_SHUTDOWN}")
    log_dir = start(disk)
    assert not disk.exists(f"/data/{CLEAN_SHUTDOWN}")
    log_dir.abandon()
    assert disk.read_file(f"/data/{CLEAN_SHUTDOWN}") == before
    again = start(disk)
    assert (again.is_clean, again.closed_epoch) == (True, log_dir.closed_epoch)


def test_a_directory_that_was_not_clean_is_not_when_it_is_let_go_of() -> None:
    disk = new_disk()
    start(disk)
    disk.power_loss(Random(1))
    start(disk).abandon()
    assert not start(disk).is_clean


def test_the_marker_of_an_earlier_version_has_no_epoch_and_gets_none() -> None:
    disk = new_disk()
    start(disk).close()
    disk.write_file_atomic(f"/data/{CLEAN_SHUTDOWN}", b"")
    log_dir = start(disk)
    assert (log_dir.is_clean, log_dir.closed_epoch) == (True, None)
    log_dir.abandon()
    assert start(disk).closed_epoch in (None, -1)


def test_all_logs_of_a_directory_that_has_failed_are_offline() -> None:
    disk = new_disk()
    log_dir = start(disk)
    logs = [log_dir.open_log("t", index, PAIRS, now_ms=NOW_MS) for index in range(2)]
    logs.append(log_dir.open_future("u", 0, PAIRS, now_ms=NOW_MS, topic_id=ID))
    log_dir.fail(DiskError("/data", "it burns"))
    assert (log_dir.logs.partitions(), log_dir.futures.partitions()) == ([], [])
    assert not disk.locked
    for log in logs:
        assert log.is_offline
        with pytest.raises(DiskError, match="it burns"):
            append(log)


def test_a_failed_log_keeps_the_directory_from_being_clean() -> None:
    disk = new_disk()
    log_dir = start(disk)
    for index in range(2):
        append(log_dir.open_log("t", index, PAIRS, now_ms=NOW_MS))
    disk.fail_next("fsync", path_part="t-0/")
    with pytest.raises(DiskError):
        log_dir.close()
    assert not disk.exists(f"/data/{CLEAN_SHUTDOWN}")
    assert not disk.locked
    log_dir = start(disk)
    assert log_dir.open_log("t", 1, PAIRS, now_ms=NOW_MS).log_end_offset == 1


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("t-0", ("t", 0, "")),
        ("a-b.c_d-12", ("a-b.c_d", 12, "")),
        (f"t-0.{ID.hex()}-delete", ("t", 0, "-delete")),
        (f"a.b-3.{ID.hex()}-stray", ("a.b", 3, "-stray")),
        (f"a-delete-3.{ID.hex()}-future", ("a-delete", 3, "-future")),
        ("my-delete", None),
        ("topic", None),
        ("-1", None),
        ("t-", None),
        ("t-x", None),
    ],
)
def test_names_of_partition_directories(name: str, parsed: tuple[str, int, str] | None) -> None:
    assert names.parse_partition_dir(name) == parsed


def test_a_long_topic_is_cut_in_the_name_of_a_marked_directory() -> None:
    name = names.marked_dir("x" * 249, 12345, ID, names.DELETE_DIR)
    assert len(name) == 255
    parsed = names.parse_partition_dir(name)
    assert parsed is not None
    assert parsed.partition == 12345


def test_on_the_real_disk(tmp_path: Path) -> None:
    disk = OsDisk()
    path = str(tmp_path / "data")
    log_dir = open_log_dir(disk, path, rng=Random(1), now_ms=NOW_MS)
    log_dir.format(META)
    log = log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS, topic_id=ID)
    for i in range(20):
        append(log, 2, timestamp=NOW_MS + i)
    found = log.read(5, 1000)
    with pytest.raises(LogDirLocked):
        open_log_dir(disk, path, rng=Random(1), now_ms=NOW_MS)
    log_dir.close()
    assert found.records is not None
    assert os.fstat(found.records.file.fileno()).st_size > 0
    log_dir = open_log_dir(disk, path, rng=Random(1), now_ms=NOW_MS, node_id=1)
    log = log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS)
    assert log.log_end_offset == 40
    before = base_offsets(log)
    truncate_to(log, 13, NOW_MS)  # within the batch of 12 and 13
    append(log, 2)
    assert log.log_end_offset == 14
    log_dir.close()
    os.unlink(f"{path}/{CLEAN_SHUTDOWN}")
    log_dir = open_log_dir(disk, path, rng=Random(1), now_ms=NOW_MS)
    log = log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS)
    assert log.log_end_offset == 14
    assert len(base_offsets(log)) < len(before)
    log_dir.close()


def test_an_unreadable_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError, match="not a directory"):
        open_log_dir(OsDisk(), f"{tmp_path}/file", rng=Random(1), now_ms=NOW_MS)
    with pytest.raises(DiskError, match=f"{tmp_path}/file is not a directory"):
        open_log_dir(OsDisk(), f"{tmp_path}/file/below", rng=Random(1), now_ms=NOW_MS)
