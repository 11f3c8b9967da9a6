from __future__ import annotations

import struct

import pytest

from kbroker.storage.errors import CorruptIndex
from kbroker.storage.txn_index import AbortedTransaction, TransactionIndex
from tests.storage.logs import new_disk

PATH = "/data/00000000000000000100.txnindex"
FIRST = AbortedTransaction(1, 100, 110, 105)
SECOND = AbortedTransaction(2, 105, 120, 121)
THIRD = AbortedTransaction(1, 130, 140, 141)


def filled() -> TransactionIndex:
    index = TransactionIndex(new_disk(), PATH, 100)
    for aborted in (FIRST, SECOND, THIRD):
        index.append(aborted)
    return index


def test_records_are_in_kafkas_format() -> None:
    disk = new_disk()
    index = TransactionIndex(disk, PATH, 100)
    assert index.records() == []
    assert not disk.exists(PATH)
    index.append(FIRST)
    assert disk.read_file(PATH) == struct.pack(">hqqqq", 0, 1, 100, 110, 105)
    assert TransactionIndex(disk, PATH, 100).records() == [FIRST]


@pytest.mark.parametrize(
    ("fetch_offset", "end_offset", "found", "is_complete"),
    [
        (0, 100, [], True),
        (0, 101, [FIRST], True),
        (100, 120, [FIRST, SECOND], True),
        (111, 131, [SECOND, THIRD], True),
        (111, 142, [SECOND, THIRD], False),
        (141, 200, [], False),
    ],
)
def test_transactions_that_overlap_a_fetch_are_collected(
    fetch_offset: int, end_offset: int, found: list[AbortedTransaction], is_complete: bool
) -> None:
    assert filled().collect(fetch_offset, end_offset) == (found, is_complete)


def test_truncating_drops_transactions_whose_marker_went() -> None:
    index = filled()
    index.truncate_to(120)
    assert index.records() == [FIRST]
    index.append(SECOND)
    index.reset()
    assert index.records() == []


@pytest.mark.parametrize(
    "content",
    [b"x" * 33, struct.pack(">hqqqq", 1, 1, 100, 110, 105), struct.pack(">hqqqq", 0, 1, 1, 9, 9)],
    ids=["cut", "of another version", "below the base offset"],
)
def test_a_damaged_file_is_seen(content: bytes) -> None:
    disk = new_disk()
    disk.open(PATH, create=True).append(content)
    assert TransactionIndex(disk, PATH, 100).defect() is not None


def test_a_damaged_file_is_not_read() -> None:
    disk = new_disk()
    disk.open(PATH, create=True).append(b"x" * 33)
    with pytest.raises(CorruptIndex):
        TransactionIndex(disk, PATH, 100).records()
