"""`kbroker produce TOPIC`: sends each line of standard input or of a file as a record."""

from __future__ import annotations

import os
import random
import select
import stat
import sys
from typing import TYPE_CHECKING

import trio

from kbroker.client.producer import ALL_REPLICAS, Producer
from kbroker.commands.shared.arguments import UserError, at_least, parse_settings
from kbroker.commands.shared.output import count_text
from kbroker.commands.shared.progress import meter
from kbroker.commands.shared.record_json import GivenRecord, parse_record_line
from kbroker.commands.shared.remote import add_bootstrap, with_cluster
from kbroker.commands.shared.times import TIME_FORMS, now_ms, parse_time_ms
from kbroker.storage.compression import Codec

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from kbroker.client.cluster import Cluster
    from kbroker.commands.shared.progress import Meter

READ_BYTES = 256 * 1024
LINE_BYTES_MAX = 64 * 1024 * 1024
BUFFER_BYTES_MAX = 1024 * 1024
ACKS = {"all": ALL_REPLICAS, "-1": ALL_REPLICAS, "1": 1, "0": 0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TOPIC")
    parser.add_argument(
        "--file", metavar="FILE", help="read lines from this file (default: standard input)"
    )
    parser.add_argument(
        "--json", action="store_true", help="lines are JSON records as written by `consume --json`"
    )
    parser.add_argument(
        "--key-separator", metavar="TEXT", help="split each line into key and value at this text"
    )
    parser.add_argument("--key", metavar="TEXT", help="give every record this key")
    parser.add_argument(
        "--header",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="add this header to every record; can be repeated",
    )
    parser.add_argument(
        "--null",
        metavar="TEXT",
        help="a key or value that equals this text is null (a null value is a tombstone)",
    )
    parser.add_argument(
        "--timestamp",
        metavar="TIME",
        help=f"give every record this timestamp: {TIME_FORMS} (default: now)",
    )
    parser.add_argument(
        "--partition",
        type=at_least(0),
        metavar="N",
        help="write to this partition (default: the key decides, as in Java's clients; without "
        "a key any partition)",
    )
    parser.add_argument(
        "--repartition",
        action="store_true",
        help="with --json: ignore the partitions in the lines, and let keys decide",
    )
    parser.add_argument(
        "--compression",
        "--compression-codec",
        choices=[codec.name.lower() for codec in Codec],
        default="none",
        help="compress batches with this codec (default: none)",
    )
    parser.add_argument(
        "--acks",
        choices=list(ACKS),
        default="all",
        help="which replicas must have a record before it counts as sent (default: all)",
    )
    parser.add_argument(
        "--no-idempotence",
        action="store_true",
        help="with --acks all: do not use a producer id and sequence numbers",
    )
    add_bootstrap(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.key is not None and arguments.key_separator is not None:
        raise UserError("--key and --key-separator cannot be combined.")
    if arguments.key_separator == "":
        raise UserError("--key-separator must not be empty.")
    if arguments.json and (arguments.key_separator or arguments.null is not None):
        raise UserError("--key-separator and --null cannot be combined with --json.")
    if arguments.repartition and not arguments.json:
        raise UserError("--repartition requires --json.")
    lines = _Lines(arguments)
    source = _Source(arguments.file)
    with_cluster(arguments, lambda cluster: _produce(cluster, arguments, lines, source))
    return 0


class _Source:
    """Where lines come from."""

    def __init__(self, path: str | None) -> None:
        """A file, or standard input. UserError."""
        self._name = "Standard input" if path is None else f"--file {path}"
        try:
            self._descriptor = (
                sys.stdin.fileno() if path is None else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            )
        except OSError as error:
            raise self._failure(error) from error
        self.is_terminal = os.isatty(self._descriptor)

    @property
    def size_bytes(self) -> int | None:
        """Of a regular file."""
        found = os.fstat(self._descriptor)
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def read_some(self) -> bytes:
        """What is there, waiting for at least a byte; empty at the end. UserError.

        It is sent at once: a typed line, or of a pipe, which gives 64 KiB in one go, as much as
        waits.
        """
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except OSError as error:
            raise self._failure(error) from error
        if self.is_terminal:  # a second read there would wait again after Ctrl-D
            return data
        parts, size = [data], len(data)
        while parts[-1] and size < READ_BYTES and self._has_more():
            try:
                parts.append(os.read(self._descriptor, READ_BYTES - size))
            except OSError:  # the next call meets it too, when this much has been sent
                break
            size += len(parts[-1])
        return b"".join(parts)

    def _has_more(self) -> bool:
        return bool(select.select([self._descriptor], [], [], 0)[0])

    def _failure(self, error: OSError) -> UserError:
        return UserError(f"{self._name}: {error.strerror}.")


class _Lines:
    """From lines to records."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        headers = parse_settings(arguments.header, "--header")
        self._headers: list[tuple[str, bytes | None]] = [
            (key, value.encode("utf-8", "surrogateescape")) for key, value in headers.items()
        ]
        self._separator = _encoded(arguments.key_separator)
        self._key = _encoded(arguments.key)
        self._null = _encoded(arguments.null)
        self._partition: int | None = arguments.partition
        self._is_json: bool = arguments.json
        self._repartition: bool = arguments.repartition
        self._timestamp_ms = (
            None
            if arguments.timestamp is None
            else parse_time_ms(arguments.timestamp, "--timestamp")
        )
        self._topic: str = arguments.topic
        self._number = 0

    def record(self, line: bytes, partition_count: int) -> GivenRecord:
        """UserError for a line that is none."""
        self._number += 1
        given = self._parse_json(line) if self._is_json else self._parse(line)
        timestamp_ms, partition = given.timestamp_ms, given.partition
        if self._timestamp_ms is not None:
            timestamp_ms = self._timestamp_ms
        if self._partition is not None:
            partition = self._partition
        if partition is not None and partition >= partition_count:
            raise UserError(
                f"Line {self._number}: there is no partition {partition}. The partitions of "
                f"{self._topic} are 0 to {partition_count - 1}."
            )
        return GivenRecord(
            given.key, given.value, given.headers + self._headers, timestamp_ms, partition
        )

    def _parse_json(self, line: bytes) -> GivenRecord:
        given = parse_record_line(line, self._number)
        if self._key is not None:
            given = given._replace(key=self._key)
        return given._replace(partition=None) if self._repartition else given

    def _parse(self, line: bytes) -> GivenRecord:
        key, value = self._key, line
        if self._separator is not None:
            key, found, value = line.partition(self._separator)
            if not found:
                raise UserError(
                    f"Line {self._number} does not contain the key separator "
                    f"{self._separator.decode()!r}."
                )
        return GivenRecord(
            None if key == self._null else key,
            None if value == self._null else value,
            [],
            None,
            None,
        )


def _encoded(text: str | None) -> bytes | None:
    """As it came from the command line, which need not be UTF-8."""
    return None if text is None else text.encode("utf-8", "surrogateescape")


class _Splitter:
    """From what a read gives to whole lines; keeps the beginning of a line for the next read."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._count = 0

    def lines(self, data: bytes) -> Iterator[bytes]:
        """Empty `data` is the end, where the last line may lack its own. UserError."""
        whole, newline, rest = data.rpartition(b"\n")
        if not newline:
            self._pending += rest
            if len(self._pending) > LINE_BYTES_MAX:
                raise UserError(f"Line {self._count + 1} is longer than {LINE_BYTES_MAX} bytes.")
            if data or not self._pending:
                return
            whole, rest = b"", b""
        first = bytes(self._pending + whole)
        self._pending = bytearray(rest)
        for line in first.split(b"\n"):
            self._count += 1
            yield line.removesuffix(b"\r")


async def _produce(
    cluster: Cluster, arguments: argparse.Namespace, lines: _Lines, source: _Source
) -> None:
    producer = Producer(
        cluster,
        arguments.topic,
        random.Random(),
        acks=ACKS[arguments.acks],
        codec=Codec[arguments.compression.upper()],
        idempotent=not arguments.no_idempotence,
    )
    await producer.start()
    count = producer.partition_count
    if arguments.partition is not None and arguments.partition >= count:
        raise UserError(
            f"--partition {arguments.partition}: the partitions of {arguments.topic} are 0 to "
            f"{count - 1}."
        )
    with meter("produce", source.size_bytes, other_is_terminal=source.is_terminal) as progress:
        try:
            await _send_all(producer, lines, source, progress)
        except UserError as error:
            await producer.flush()
            sent = count_text(producer.sent_count, "record")
            raise UserError(f"{error} Before that, {sent} were sent.") from error


async def _send_all(producer: Producer, lines: _Lines, source: _Source, progress: Meter) -> None:
    """UserError for what cannot be read, or is no record; what came before may wait in buffers."""
    splitter, read_bytes = _Splitter(), 0
    count = producer.partition_count
    while True:
        data = await trio.to_thread.run_sync(source.read_some, abandon_on_cancel=True)
        read_bytes += len(data)
        now = now_ms()
        for line in splitter.lines(data):
            record = lines.record(line, count)
            producer.send(
                now if record.timestamp_ms is None else record.timestamp_ms,
                record.key,
                record.value,
                record.headers,
                record.partition,
            )
            if producer.buffered_bytes >= BUFFER_BYTES_MAX:
                await producer.flush()
        await producer.flush()
        progress.update(read_bytes, producer.sent_count, read_bytes)
        if not data:
            return
