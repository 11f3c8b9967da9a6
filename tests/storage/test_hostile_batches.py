"""Batches with a right CRC and a wrong inside: whatever their bytes say, only storage's own errors
come out, and what was taken can be looked up and recovered.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.storage.batch import (
    ATTRIBUTES_AT,
    CRC_AT,
    HEADER,
    LAST_OFFSET_DELTA_AT,
    LENGTH_AT,
    LOG_OVERHEAD,
    RECORD_COUNT_AT,
    BatchHeader,
    batch_crc,
    records,
)
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.closing import close
from kbroker.storage.compression import Codec, compress
from kbroker.storage.errors import StorageError
from kbroker.storage.log_config import LogConfig
from kbroker.storage.timestamp_search import offset_for_timestamp, offset_of_max_timestamp
from kbroker.storage.validation import prepare

from .logs import NOW_MS, new_disk, open_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kbroker.storage.log import Log

INT64 = st.one_of(
    st.sampled_from((-(2**63), 2**63 - 1, -(2**63) + 5, NOW_MS * 2)),
    st.integers(-(2**63), 2**63 - 1),
)
CONFIGS = (
    LogConfig(),
    LogConfig(cleanup_policy=frozenset({"compact"})),
    LogConfig(message_timestamp_type="LogAppendTime"),
    LogConfig(message_timestamp_type="LogAppendTime", compression_type="zstd"),
    LogConfig(message_timestamp_before_max_ms=10**15, message_timestamp_after_max_ms=2**63 - 1),
    *(
        LogConfig(compression_type=name, message_timestamp_after_max_ms=2**63 - 1)
        for name in ("uncompressed", "gzip", "snappy", "lz4", "zstd")
    ),
)
# Pieces that mean something where sizes, deltas and counts stand.
PIECES = (
    b"\xff" * 11,  # never ends
    b"\xff\xff\xff\xff\x7f",  # more than 32 bits
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",  # more than 64
    b"\xfe\xff\xff\xff\x0f",  # 2^31 - 1
    b"\xff\xff\xff\xff\x0f",  # -2^31
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # 2^63 - 1
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # -2^63
    b"\x00",
    b"\x01",
    b"\x03",
    b"\x80",
    b"\x7e",
)

new_records = st.builds(
    NewRecord,
    st.sampled_from((NOW_MS, NOW_MS + 1, 0, -1)),
    st.sampled_from((None, b"", b"key", b"k" * 80)),
    st.sampled_from((None, b"", b"value", b"v" * 200)),
    st.lists(st.tuples(st.sampled_from(("", "h")), st.sampled_from((None, b"", b"x"))), max_size=2),
)
# What is done to bytes: where, how many go, what comes.
edits = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.integers(0, 6),
        st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)),
    ),
    max_size=3,
)
# Fields of the header: all that the CRC covers, and the base offset.
header_edits = st.lists(
    st.one_of(
        st.tuples(st.sampled_from((0, 27, 35, 43)), st.just(">q"), INT64),
        st.tuples(st.sampled_from((23, 53, 57)), st.just(">i"), st.integers(-(2**31), 2**31 - 1)),
        st.tuples(st.just(51), st.just(">h"), st.integers(-(2**15), 2**15 - 1)),
        st.tuples(st.just(21), st.just(">h"), st.integers(0, 0x7F)),
    ),
    max_size=2,
)


def edited(content: bytes, changes: Sequence[tuple[int, int, bytes]]) -> bytes:
    out = bytearray(content)
    for at, gone, new in changes:
        at %= len(out) + 1
        out[at : at + gone] = new
    return bytes(out)


def sealed(header: bytes, payload: bytes) -> bytes:
    """One batch with a length and a CRC that fit."""
    out = bytearray(header[:HEADER] + payload)
    struct.pack_into(">i", out, LENGTH_AT, len(out) - LOG_OVERHEAD)
    struct.pack_into(">I", out, CRC_AT, batch_crc(memoryview(out)))
    return bytes(out)


@st.composite
def hostile_batches(draw: st.DrawFn) -> bytes:
    """Edited inside, compressed, edited outside, and a CRC over all of it."""
    given_records = draw(st.lists(new_records, min_size=1, max_size=3))
    producer = draw(st.sampled_from(((-1, -1, -1), (1, 0, 0), (1, 0, 5))))
    batch = build_batch(
        given_records,
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=producer[2],
    )
    codec = draw(st.sampled_from(Codec))
    inside = edited(batch[HEADER:], draw(edits))
    payload = compress(codec, inside)
    if codec is not Codec.NONE:
        payload = edited(payload, draw(edits))
    header = bytearray(batch[:HEADER])
    struct.pack_into(">h", header, ATTRIBUTES_AT, codec)
    for at, form, value in draw(header_edits):
        struct.pack_into(form, header, at, value)
    if draw(st.booleans()):
        (count,) = struct.unpack_from(">i", header, RECORD_COUNT_AT)
        struct.pack_into(">i", header, LAST_OFFSET_DELTA_AT, max(count - 1, -(2**31)))
    return sealed(bytes(header), payload)


def test_only_errors_of_storage_come_out_of_the_checks_of_a_batch() -> None:
    outcomes: set[str] = set()

    @settings(max_examples=800)
    @given(hostile_batches(), st.sampled_from(CONFIGS))
    def check(batch: bytes, config: LogConfig) -> None:
        try:
            prepared = prepare(memoryview(batch), config, NOW_MS)
        except StorageError as error:
            outcomes.add(type(error).__name__)
            return
        outcomes.add("taken")
        stored = prepared.batch
        assert batch_crc(stored) == BatchHeader(stored).crc
        try:
            for _ in records(stored):
                pass
        except StorageError:
            outcomes.add("unreadable")

    check()
    assert outcomes >= {"taken", "unreadable", "InvalidRecord"}


def test_a_log_takes_or_refuses_any_batch_and_goes_on() -> None:
    """What was taken is looked up, read and recovered."""
    outcomes: set[str] = set()
    good = build_batch([NewRecord(NOW_MS, b"key", b"good")])

    @settings(max_examples=150)
    @given(
        st.lists(hostile_batches(), min_size=1, max_size=3),
        st.sampled_from(CONFIGS),
        INT64,
    )
    def check(hostile: list[bytes], config: LogConfig, timestamp: int) -> None:
        disk = new_disk()
        log = open_at(disk, config)
        for batch in hostile:
            before = log.log_end_offset
            try:
                log.append(memoryview(bytearray(batch)), leader_epoch=1, now_ms=NOW_MS)
                outcomes.add("taken")
            except StorageError:
                outcomes.add("refused")
                assert log.log_end_offset == before
        _look_up(log, timestamp)
        log.append(memoryview(bytearray(good)), leader_epoch=1, now_ms=NOW_MS)
        end_offset = log.log_end_offset
        close(log)
        again = open_at(disk, config)
        assert again.log_end_offset == end_offset
        _look_up(again, timestamp)

    check()
    assert outcomes == {"taken", "refused"}


def _look_up(log: Log, timestamp: int) -> None:
    """All that reads stored records: StorageError at most."""
    for look in (
        lambda: offset_for_timestamp(log, timestamp),
        partial(offset_of_max_timestamp, log),
        lambda: log.read(log.log_start_offset, 1 << 20),
        lambda: [list(records(batch)) for batch in log.batches(log.log_start_offset)],
    ):
        try:
            look()
        except StorageError:
            continue
