"""The Java client of Apache Kafka, through our small program Courier (java/Courier.java)."""

from __future__ import annotations

import base64
import subprocess
from typing import TYPE_CHECKING

from compat import apache
from compat.clients.records import Fetched, Position, Record

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT_S = 300


class JavaClient:
    """A StockClient; each call is a JVM."""

    name = "java"
    sends_all_null = True
    sends_null_headers = True

    def __init__(self, classes: Path) -> None:
        self._classes = classes

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
        lines = "".join(_line(topic, record) for record in records)
        config = (
            f"compression.type={codec}",
            f"enable.idempotence={str(idempotent).lower()}",
            f"max.request.size={request_bytes_max}",
        )
        output = self._run("produce", bootstrap, topic, *config, stdin=lines)
        return [int(line) for line in output.splitlines()]

    def read(self, bootstrap: str, counts: dict[str, int]) -> dict[str, list[Fetched]]:
        wanted = (f"{topic}:{count}" for topic, count in counts.items())
        found: dict[str, list[Fetched]] = {topic: [] for topic in counts}
        for line in self._run("read", bootstrap, *wanted).splitlines():
            found[line.partition("\t")[0]].append(_fetched(line))
        return found

    def read_from(
        self, bootstrap: str, topic: str, partition: int, offset: int, count: int
    ) -> list[Fetched]:
        output = self._run("read-from", bootstrap, topic, partition, offset, count)
        return [_fetched(line) for line in output.splitlines()]

    def offset_for_time(
        self, bootstrap: str, topic: str, partition: int, timestamp_ms: int
    ) -> int | None:
        output = self._run("offset-for-time", bootstrap, topic, partition, timestamp_ms)
        return int(output) if output.strip() else None

    def offset_range(self, bootstrap: str, topic: str, partition: int) -> tuple[int, int]:
        first, end = self._run("offset-range", bootstrap, topic, partition).split()
        return int(first), int(end)

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
        where = (topic, partition, position.offset, position.metadata or "")
        self._run("commit", bootstrap, group, *where, "sync" if wait else "async")

    def committed(self, bootstrap: str, group: str, topic: str, partition: int) -> Position | None:
        output = self._run("committed", bootstrap, group, topic, partition).rstrip("\n")
        if not output:
            return None
        offset, _, metadata = output.partition("\t")
        return Position(int(offset), metadata)

    def number(
        self,
        bootstrap: str,
        topic: str,
        partitions: int,
        count: int,
        *,
        rate: int = 0,
        **config: str,
    ) -> None:
        """Send the values 0 to count - 1, value i to partition i % partitions.

        `rate` records a second, or as fast as it goes; `config` keys have _ for Kafka's dots.
        """
        pairs = (f"{key.replace('_', '.')}={value}" for key, value in config.items())
        self._run("number", bootstrap, topic, partitions, count, rate, *pairs)

    def count(self, bootstrap: str, topic: str, partitions: int, count: int) -> int:
        """Read what `number` wrote; how many records came, each in its place."""
        return int(self._run("count", bootstrap, topic, partitions, count))

    def _run(self, *arguments: object, stdin: str = "") -> str:
        command = apache.java_command(
            "Courier",
            *(str(argument) for argument in arguments),
            flags=apache.SHORT_RUN,
            classes=self._classes,
        )
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        if done.returncode:
            raise apache.ToolError(f"Courier {arguments[0]}: {done.stderr}")
        return done.stdout


def _line(topic: str, record: Record) -> str:
    headers = ",".join(f"{_text(k.encode())}:{_text(v)}" for k, v in record.headers)
    key, value = _text(record.key), _text(record.value)
    return f"{topic}\t{record.partition}\t-1\t{record.timestamp_ms}\t{key}\t{value}\t{headers}\n"


def _fetched(line: str) -> Fetched:
    _, partition, offset, timestamp_ms, key, value, header_field = line.split("\t")
    headers = []
    for one in header_field.split(",") if header_field else ():
        name, _, header_value = one.partition(":")
        headers.append(((_bytes(name) or b"").decode(), _bytes(header_value)))
    record = Record(
        partition=int(partition),
        key=_bytes(key),
        value=_bytes(value),
        headers=tuple(headers),
        timestamp_ms=int(timestamp_ms),
    )
    return Fetched(int(offset), record)


def _text(data: bytes | None) -> str:
    return "-" if data is None else "=" + base64.b64encode(data).decode()


def _bytes(text: str) -> bytes | None:
    return None if text == "-" else base64.b64decode(text[1:])
