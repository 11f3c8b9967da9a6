"""What the clients send and read, free of any client's types."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of a partition. None is Kafka's null, which is not the empty value."""

    partition: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp_ms: int = 0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A record as a consumer saw it."""

    offset: int
    record: Record


@dataclass(frozen=True, slots=True)
class Position:
    """A group's committed position of a partition."""

    offset: int
    metadata: str | None = None  # None where the client cannot tell


class StockClient(Protocol):
    """What every client can do, in the client's own way.

    Each call opens clients and closes them again. All raise the client's own errors, Java's
    as compat.apache.ToolError.
    """

    name: str
    sends_all_null: bool  # a record with neither key nor value
    sends_null_headers: bool

    def produce(
        self,
        bootstrap: str,
        topic: str,
        records: list[Record],
        *,
        codec: str = "none",
        idempotent: bool = False,
        request_bytes_max: int = 1 << 20,
    ) -> list[int]:
        """Send all with acks=all; their offsets, in the order of `records`."""
        ...

    def read(self, bootstrap: str, counts: dict[str, int]) -> dict[str, list[Fetched]]:
        """Read that many records of each topic's partitions, from the beginning."""
        ...

    def read_from(
        self, bootstrap: str, topic: str, partition: int, offset: int, count: int
    ) -> list[Fetched]:
        """Seek to the offset and read that many records."""
        ...

    def offset_for_time(
        self, bootstrap: str, topic: str, partition: int, timestamp_ms: int
    ) -> int | None:
        """The first offset with that timestamp or a later one."""
        ...

    def offset_range(self, bootstrap: str, topic: str, partition: int) -> tuple[int, int]:
        """The beginning and the (exclusive) end offset."""
        ...

    def commit(
        self,
        bootstrap: str,
        group: str,
        topic: str,
        partition: int,
        position: Position,
        *,
        wait: bool,
    ) -> None:
        """Commit, synchronously or asynchronously (and then wait for its callback)."""
        ...

    def committed(self, bootstrap: str, group: str, topic: str, partition: int) -> Position | None:
        """What the group has committed."""
        ...


def now_ms() -> int:
    """The wall clock, as records carry it."""
    return time.time_ns() // 1_000_000


def sample_records(
    partitions: int, *, all_null: bool = True, null_headers: bool = True
) -> list[Record]:
    """Records of every shape, dozens over all partitions, with rising timestamps."""
    shapes: list[tuple[bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]] = [
        (b"key", b"value", ()),
        (None, b"no key", ()),
        (b"tombstone", None, ()),
        (b"", b"", ()),
        (b"\x00\xff\xfe", bytes(range(256)), ()),
        (b"headers", b"v", (("one", b"1"), ("two", b"\x00\x01"), ("one", b"again"))),
        (b"empty header", b"v", (("empty", b""), ("ключ", "значение".encode()))),
        (b"big", b"0123456789abcdef" * 4096, ()),
    ]
    if all_null:
        shapes.append((None, None, ()))
    if null_headers:
        shapes.append((b"null header", b"v", (("null", None),)))
    start_ms = now_ms() - 100_000
    return [
        Record(
            partition=i % partitions,
            key=key,
            value=value,
            headers=headers,
            timestamp_ms=start_ms + i * 10,
        )
        for i, (key, value, headers) in enumerate(shapes * 8)
    ]


def by_partition(records: list[Record]) -> dict[int, list[Record]]:
    """The records of each partition, in their order."""
    parts: dict[int, list[Record]] = {}
    for record in records:
        parts.setdefault(record.partition, []).append(record)
    return parts


def assert_same(sent: list[Record], fetched: list[Fetched]) -> None:
    """Every record came back once, in order, at offsets from 0 without a gap."""
    wanted = by_partition(sent)
    got: dict[int, list[Fetched]] = {}
    for one in fetched:
        got.setdefault(one.record.partition, []).append(one)
    assert got.keys() == wanted.keys()
    for partition, records in wanted.items():
        assert [one.offset for one in got[partition]] == list(range(len(records)))
        assert [one.record for one in got[partition]] == records
