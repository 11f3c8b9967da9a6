"""Segments with batches of formats 0, 1 and 2, and what records are in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from tests.storage.logs import NOW_MS
from tests.storage.old_batches import OldRecord, old_message, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

STAMP = NOW_MS - 1_000_000
CODECS = (Codec.GZIP, Codec.SNAPPY, Codec.LZ4)


class OldBatch(NamedTuple):
    first_offset: int
    last_offset: int
    content: bytes
    records: list[OldRecord]
    max_timestamp: int


class OldSegment(NamedTuple):
    base_offset: int
    batches: list[OldBatch]

    @property
    def content(self) -> bytes:
        return b"".join(batch.content for batch in self.batches)


def old_records(magic: int, offset: int, count: int) -> list[OldRecord]:
    return [
        OldRecord(
            at,
            STAMP + 10 * at if magic else -1,
            b"key %d" % at if at % 3 else None,
            b"value %d " % at * 3 if at % 7 else None,
        )
        for at in range(offset, offset + count)
    ]


def plain(magic: int, offset: int, count: int) -> Iterator[OldBatch]:
    for record in old_records(magic, offset, count):
        content = old_message(magic, record)
        yield OldBatch(record.offset, record.offset, content, [record], record.timestamp)


def compressed(magic: int, codec: Codec, offset: int, count: int) -> OldBatch:
    records = old_records(magic, offset, count)
    content = wrapped(magic, codec, records)
    return OldBatch(offset, records[-1].offset, content, records, records[-1].timestamp)


def stamped_late(codec: Codec, offset: int, count: int) -> OldBatch:
    """With LogAppendTime: what the producer said of the time is not true."""
    stamp = STAMP + 10 * offset + 5
    records = [r._replace(timestamp=1) for r in old_records(1, offset, count)]
    content = wrapped(1, codec, records, append_time=stamp)
    found = [record._replace(timestamp=stamp) for record in records]
    return OldBatch(offset, records[-1].offset, content, found, stamp)


def new(codec: Codec, offset: int, count: int) -> OldBatch:
    records = old_records(1, offset, count)
    content = build_batch(
        [NewRecord(record.timestamp, record.key, record.value) for record in records],
        codec=codec,
        base_offset=offset,
        leader_epoch=3,
    )
    return OldBatch(offset, records[-1].offset, content, records, records[-1].timestamp)


def old_segments() -> list[OldSegment]:
    """Format 0, format 1, all three in one, format 2. The first ends with the smallest batch."""
    zero = [*plain(0, 0, 4)]
    zero += [compressed(0, codec, 4 + 4 * index, 4) for index, codec in enumerate(CODECS)]
    smallest = OldRecord(16, -1, None, None)
    zero.append(OldBatch(16, 16, old_message(0, smallest), [smallest], -1))
    one = [*plain(1, 17, 3)]
    one += [compressed(1, codec, 20 + 5 * index, 5) for index, codec in enumerate(CODECS)]
    one += [stamped_late(codec, 35 + 5 * index, 5) for index, codec in enumerate(CODECS)]
    mixed = [*plain(0, 50, 2), *plain(1, 52, 2), new(Codec.NONE, 54, 4)]
    mixed += [compressed(0, Codec.LZ4, 58, 3), compressed(1, Codec.LZ4, 61, 3)]
    mixed += [new(Codec.LZ4, 64, 4), *plain(0, 68, 2), *plain(1, 70, 2)]
    last = [new(codec, 72 + 4 * index, 4) for index, codec in enumerate(CODECS)]
    return [OldSegment(0, zero), OldSegment(17, one), OldSegment(50, mixed), OldSegment(72, last)]


SEGMENTS = old_segments()
BATCHES = [batch for segment in SEGMENTS for batch in segment.batches]
RECORDS = [record for batch in BATCHES for record in batch.records]
END = 84
