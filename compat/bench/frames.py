"""Requests as bytes, made once and sent many times: a client that costs next to nothing.

Batches come from kafka-python's builder, frames are Produce v7 and Fetch v4, which need no more
than `struct`: nothing of kbroker stands on the client's side.
"""

from __future__ import annotations

import struct
import time

PRODUCE, FETCH = 0, 1
_CLIENT = b"bench"


class AnswerError(ValueError):
    """The broker answered with an error code."""


class NothingThere(AnswerError):
    """There are no records at that offset yet."""


def batch(records: int, record_bytes: int) -> bytes:
    """A batch of records without keys, not compressed, of this moment."""
    # Imported here: it warns of itself, which pytest, that only collects, takes for an error.
    from kafka.record.default_records import DefaultRecordBatchBuilder

    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 30,
    )
    now_ms = time.time_ns() // 1_000_000
    for offset in range(records):
        builder.append(offset, timestamp=now_ms, key=None, value=b"v" * record_bytes, headers=[])
    return bytes(builder.build())


def produce_frame(topic: str, partition: int, records: bytes) -> bytes:
    """A Produce v7 request, acks=1."""
    body = struct.pack(">hhii", -1, 1, 30_000, 1) + _string(topic)
    return _header(PRODUCE, 7) + body + struct.pack(">iii", 1, partition, len(records)) + records


def check_produced(topic: str, response: bytes) -> None:
    """AnswerError unless the answer to `produce_frame` is none."""
    # Correlation id, one topic with its name, one partition, its index: then its error code.
    (error,) = struct.unpack_from(">h", response, 4 + 4 + 2 + len(topic.encode()) + 4 + 4)
    if error:
        raise AnswerError(f"produce to {topic} answered error {error}")


def fetch_frame(topic: str, partition: int, offset: int, bytes_max: int) -> bytes:
    """A Fetch v4 request that waits for nothing."""
    body = struct.pack(">iiiibi", -1, 0, 0, bytes_max, 0, 1) + _string(topic)
    return _header(FETCH, 4) + body + struct.pack(">iiqi", 1, partition, offset, bytes_max)


def fetched_at(topic: str, response: bytes) -> int:
    """Where the records start in an answer to `fetch_frame`. AnswerError, NothingThere."""
    # Correlation id, throttle time, one topic with its name, one partition, its index.
    at = 4 + 4 + 4 + 2 + len(topic.encode()) + 4 + 4
    error, _, _, aborted = struct.unpack_from(">hqqi", response, at)
    if error:
        raise AnswerError(f"fetch from {topic} answered error {error}")
    at += 22 + 16 * max(aborted, 0)
    (size,) = struct.unpack_from(">i", response, at)
    if size <= 0:
        raise NothingThere(f"fetch from {topic} brought nothing")
    return int(at) + 4


def next_offset(response: bytes, records_at: int) -> int:
    """One above the last offset of the last whole batch in a fetch's records."""
    after: int = -1
    while records_at + 27 <= len(response):
        base_offset, length = struct.unpack_from(">qi", response, records_at)
        if records_at + 12 + length > len(response):
            break
        (delta,) = struct.unpack_from(">i", response, records_at + 23)
        after = base_offset + delta + 1
        records_at += 12 + length
    return after


def _header(api: int, version: int) -> bytes:
    return struct.pack(">hhih", api, version, 1, len(_CLIENT)) + _CLIENT


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data
