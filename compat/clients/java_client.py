"""The Java client of Apache Kafka, through our small program Courier (java/Courier.java)."""

from __future__ import annotations

import base64
import subprocess
import threading
from typing import TYPE_CHECKING

from compat import apache
from compat.clients.records import Fetched, Position, Record

if TYPE_CHECKING:
    from pathlib import Path


class JavaClient:
    """A StockClient, and a JVM that `close` ends. Calls from several threads take turns."""

    name = "java"
    sends_all_null = True
    sends_null_headers = True

    def __init__(self, classes: Path) -> None:
        command = apache.java_command("Courier", flags=apache.SHORT_RUN, classes=classes)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._lock = threading.Lock()

    def close(self) -> None:
        """End the JVM."""
        self._process.kill()
        self._process.communicate()

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
        lines = [_line(topic, record) for record in records]
        config = (
            f"compression.type={codec}",
            f"enable.idempotence={str(idempotent).lower()}",
            f"max.request.size={request_bytes_max}",
        )
        output = self._run("produce", bootstrap, topic, len(lines), *config, lines=lines)
        return [int(line) for line in output]

    def read(self, bootstrap: str, counts: dict[str, int]) -> dict[str, list[Fetched]]:
        wanted = (f"{topic}:{count}" for topic, count in counts.items())
        found: dict[str, list[Fetched]] = {topic: [] for topic in counts}
        for line in self._run("read", bootstrap, *wanted):
            found[line.partition("\t")[0]].append(_fetched(line))
        return found

    def read_from(
        self, bootstrap: str, topic: str, partition: int, offset: int, count: int
    ) -> list[Fetched]:
        output = self._run("read-from", bootstrap, topic, partition, offset, count)
        return [_fetched(line) for line in output]

    def offset_for_time(
        self, bootstrap: str, topic: str, partition: int, timestamp_ms: int
    ) -> int | None:
        output = self._run("offset-for-time", bootstrap, topic, partition, timestamp_ms)
        return int(output[0]) if output else None

    def offset_range(self, bootstrap: str, topic: str, partition: int) -> tuple[int, int]:
        first, end = self._run("offset-range", bootstrap, topic, partition)
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
        output = self._run("committed", bootstrap, group, topic, partition)
        if not output:
            return None
        offset, _, metadata = output[0].partition("\t")
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
        return int(self._run("count", bootstrap, topic, partitions, count)[0])

    def _run(self, *words: object, lines: list[str] | None = None) -> list[str]:
        """Give one command; the lines of its output. Raises ToolError with Java's stack trace."""
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            command = "\t".join(str(word) for word in words)
            self._process.stdin.write(command + "\n" + "".join(lines or ()))
            self._process.stdin.flush()
            output: list[str] = []
            for line in self._process.stdout:
                text = line.rstrip("\n")
                if text == "--ok":
                    return output
                if text.startswith("--error "):
                    raise apache.ToolError(f"{words[0]}: {text}")
                output.append(text)
        raise apache.ToolError(f"the JVM ended with {self._process.poll()} at {words[0]}")


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
