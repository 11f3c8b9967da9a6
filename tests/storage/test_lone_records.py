"""Batches of one plain record are read as the careful reader reads them, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.storage.batch import (
    HEADER,
    MAGIC,
    BatchHeader,
    ControlType,
    KeyValue,
    batches,
    control_key,
    key_values,
    payload,
    set_base_offset,
)
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from kbroker.storage.errors import InvalidRecord
from kbroker.storage.lone_records import lone_records

if TYPE_CHECKING:
    from collections.abc import Sequence

# Around the lengths at which a size takes another byte.
sizes = st.sampled_from([0, 1, 31, 32, 62, 63, 64, 65, 8_160, 8_191, 8_192, 8_200])
texts = st.builds(lambda size, fill: bytes([fill]) * size, sizes, st.integers(0, 255))
plain_records = st.builds(NewRecord, st.integers(0, 2**60), texts, st.none() | texts)
any_records = st.builds(
    NewRecord,
    st.integers(0, 2**60),
    st.none() | texts,
    st.none() | texts,
    st.sampled_from([(), (("h", b"v"),)]),
)
any_batches = st.one_of(
    plain_records.map(lambda record: build_batch([record])),
    st.lists(any_records, min_size=1, max_size=3).map(build_batch),
    any_records.map(lambda record: build_batch([record], codec=Codec.GZIP)),
    any_records.map(lambda r: build_batch([r], producer_id=7, producer_epoch=0, base_sequence=0)),
    st.just(build_batch([NewRecord(0, control_key(ControlType.COMMIT), b"")], is_control=True)),
)


def log_of(given_batches: Sequence[bytes], first_offset: int = 100) -> bytes:
    """The batches one behind the other, with their offsets."""
    out = bytearray()
    for batch in given_batches:
        placed = bytearray(batch)
        set_base_offset(placed, first_offset)
        first_offset = BatchHeader(placed).next_offset
        out += placed
    return bytes(out)


def carefully(batch: memoryview) -> list[KeyValue]:
    header = BatchHeader(batch)
    return list(key_values(payload(batch, header), header))


@given(st.lists(any_batches, max_size=8), st.integers(1, 5))
def test_it_takes_what_it_knows_and_stops_before_the_rest(
    given_batches: list[bytes], count_max: int
) -> None:
    chunk = log_of(given_batches)
    taken: list[KeyValue] = []
    position, offset = 0, 100
    while position < len(chunk):
        step = lone_records(chunk, position, offset, count_max)
        assert len(step.found) <= count_max
        if step.found:
            taken += step.found
            position, offset = step.position, step.next_offset
        else:
            assert (step.position, step.next_offset) == (position, offset)
            header, batch = next(batches(memoryview(chunk)[position:]))
            taken += carefully(batch)
            position, offset = position + len(batch), header.next_offset
    assert taken == [each for _, batch in batches(memoryview(chunk)) for each in carefully(batch)]


@given(st.lists(plain_records, min_size=1, max_size=20))
def test_plain_records_of_usual_sizes_are_all_taken_in_one_go(news: list[NewRecord]) -> None:
    usual = [
        new
        for new in news
        if new.key is not None and len(new.key) + len(new.value or b"") < 0x2000 - 10
    ]
    chunk = log_of([build_batch([new]) for new in usual])
    step = lone_records(chunk, 0, 100, 1_000)
    assert step.found == [(100 + i, new.key, new.value) for i, new in enumerate(usual)]
    assert (step.position, step.next_offset) == (len(chunk), 100 + len(usual))


def test_a_batch_that_is_cut_off_is_not_taken() -> None:
    first, second = (build_batch([NewRecord(0, b"key", b"x" * 100)]) for _ in range(2))
    chunk = log_of([first, second])
    for end in range(len(chunk)):
        step = lone_records(chunk[:end], 0, 100, 10)
        whole = end // len(first)
        assert len(step.found) == whole
        assert (step.position, step.next_offset) == (whole * len(first), 100 + whole)


def test_offsets_that_compaction_has_taken_are_passed_over() -> None:
    batch = bytearray(build_batch([NewRecord(0, b"k", b"v")]))
    batch[23:27] = (9).to_bytes(4, "big")  # the last offset delta of what was a batch of ten
    step = lone_records(log_of([bytes(batch), build_batch([NewRecord(0, b"k", b"w")])]), 0, 100, 10)
    assert step.found == [(100, b"k", b"v"), (110, b"k", b"w")]
    assert step.next_offset == 111


@given(plain_records, st.data())
def test_what_it_takes_of_a_damaged_batch_is_what_the_careful_reader_finds(
    new: NewRecord, data: st.DataObject
) -> None:
    batch = bytearray(build_batch([new]))
    at = data.draw(st.integers(0, min(HEADER + 12, len(batch) - 1)))
    batch[at] = data.draw(st.integers(0, 255))
    step = lone_records(bytes(batch), 0, 0, 1)
    if step.found:
        header = BatchHeader(batch)
        assert not header.is_control
        assert not header.is_compressed
        assert not header.has_producer_id
        assert header.magic == MAGIC
        assert step.found == carefully(memoryview(batch))
        assert (step.position, step.next_offset) == (len(batch), header.next_offset)
    else:
        assert step.position == 0


def test_a_size_of_three_bytes_is_not_taken_for_one_of_two() -> None:
    batch = bytearray(build_batch([NewRecord(0, b"k", b"v" * 8_190)]))
    assert batch[HEADER + 1] >= 0x80
    assert batch[HEADER + 2] == 1
    # Without its third byte the size reads the same, if nobody sees that it goes on.
    del batch[HEADER + 2]
    batch[8:12] = (int.from_bytes(batch[8:12], "big") - 1).to_bytes(4, "big")
    with pytest.raises(InvalidRecord):
        carefully(memoryview(batch))
    assert lone_records(bytes(batch), 0, 0, 1).found == []
