"""`kbroker consume TOPIC`: prints records as they come, a line each."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import trio

from kbroker.client.group_member import joined
from kbroker.client.records import BEGINNING, END, ConsumedRecord, Reader, offsets_for

from .arguments import UserError
from .remote import add_bootstrap, with_cluster

if TYPE_CHECKING:
    import argparse

    from kbroker.client.cluster import Cluster, Topic

WAIT_S = 0.5  # how long a fetch waits; also how late a rebalance or --timeout may be noticed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TOPIC")
    parser.add_argument("--group", metavar="GROUP", help="share the work, and commit what is read")
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--from-beginning", action="store_true", help="(default: what comes from now)"
    )
    start.add_argument("--offset", type=int, metavar="N", help="below 0: so many before the end")
    start.add_argument("--since", metavar="TIME", help="ISO 8601, or ms since 1970")
    parser.add_argument(
        "--partition", type=int, metavar="N", action="append", help="may be repeated (default: all)"
    )
    parser.add_argument("--max", type=int, metavar="N", help="stop after so many records")
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="stop when no record came for so long"
    )
    parser.add_argument("--keys", action="store_true", help="print keys too")
    parser.add_argument("--headers", action="store_true", help="print headers too")
    parser.add_argument("--timestamps", action="store_true", help="print timestamps too")
    parser.add_argument("--offsets", action="store_true", help="print partitions and offsets too")
    parser.add_argument("--separator", metavar="TEXT", default="\t", help="(default: a tab)")
    add_bootstrap(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.max is not None and arguments.max < 1:
        raise UserError(f"--max {arguments.max}: it must be 1 or more.")
    if arguments.timeout is not None and not 0 <= arguments.timeout < math.inf:
        raise UserError(f"--timeout {arguments.timeout}: it must be a number of seconds.")
    if arguments.group is not None and (
        arguments.offset is not None or arguments.partition is not None
    ):
        raise UserError("--offset and --partition go with no --group: its members share the topic.")
    since_ms = None if arguments.since is None else parse_time_ms(arguments.since)
    output = _Output(arguments)
    with_cluster(arguments, lambda cluster: _consume(cluster, arguments, since_ms, output))
    return 0


def parse_time_ms(text: str) -> int:
    """Milliseconds since 1970; a time without a zone is local."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        raise UserError(
            f"--since {text}: it must be a time as 2026-01-31T12:00:00, or milliseconds."
        ) from None


class _Output:
    """Prints records and counts them."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.remaining: int | None = arguments.max
        self.count = 0
        self._arguments = arguments

    @property
    def is_done(self) -> bool:
        return self.remaining == 0

    def show(self, records: list[ConsumedRecord]) -> list[ConsumedRecord]:
        """Print as many as are still wanted, and return those."""
        if self.remaining is not None:
            records = records[: self.remaining]
            self.remaining -= len(records)
        self.count += len(records)
        lines = "".join(self._line(record) + "\n" for record in records)
        rest = memoryview(lines.encode("utf-8", "surrogateescape"))
        while rest:  # with PYTHONUNBUFFERED there is no buffer, and a write may take a part
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()
        return records

    def _line(self, record: ConsumedRecord) -> str:
        arguments = self._arguments
        cells = []
        if arguments.timestamps:
            moment = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
            cells.append(moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
        if arguments.offsets:
            cells.append(f"{record.partition}:{record.offset}")
        if arguments.headers:
            cells.append(",".join(f"{key}={_text(value)}" for key, value in record.headers) or "-")
        if arguments.keys:
            cells.append(_text(record.key))
        cells.append(_text(record.value))
        separator: str = arguments.separator
        return separator.join(cells)


def _text(data: bytes | None) -> str:
    """UTF-8 as it is, any other bytes unchanged through the terminal."""
    return "null" if data is None else data.decode("utf-8", "surrogateescape")


async def _consume(
    cluster: Cluster, arguments: argparse.Namespace, since_ms: int | None, output: _Output
) -> None:
    topic = await cluster.topic(arguments.topic)
    start_at = since_ms if since_ms is not None else BEGINNING if arguments.from_beginning else END
    if arguments.group is None:
        positions = await _start(cluster, topic, arguments, start_at)
        await _print_from(Reader(cluster, positions), arguments, output)
    else:
        await _consume_as_member(cluster, arguments, start_at, output)
    if not output.is_done and output.remaining is not None:
        raise UserError(
            f"Only {output.count} of {arguments.max} records came: none for {arguments.timeout} s."
        )


async def _start(
    cluster: Cluster, topic: Topic, arguments: argparse.Namespace, start_at: int
) -> dict[tuple[str, int], int]:
    count = len(topic.partitions)
    indexes = range(count) if arguments.partition is None else arguments.partition
    for index in indexes:
        if not 0 <= index < count:
            raise UserError(
                f"--partition {index}: {topic.name} has the partitions 0 to {count - 1}."
            )
    partitions = [(topic.name, index) for index in indexes]
    if arguments.offset is None:
        return await offsets_for(cluster, dict.fromkeys(partitions, start_at))
    if arguments.offset >= 0:
        return dict.fromkeys(partitions, arguments.offset)
    starts = await offsets_for(cluster, dict.fromkeys(partitions, BEGINNING))
    ends = await offsets_for(cluster, dict.fromkeys(partitions, END))
    return {p: max(ends[p] + arguments.offset, starts[p]) for p in partitions}


async def _print_from(reader: Reader, arguments: argparse.Namespace, output: _Output) -> None:
    """Until --max or --timeout, or for ever."""
    last_record_at = trio.current_time()
    while not output.is_done:
        records = await reader.read(WAIT_S)
        if records:
            output.show(records)
            last_record_at = trio.current_time()
        elif _is_over(arguments, last_record_at):
            return


async def _consume_as_member(
    cluster: Cluster, arguments: argparse.Namespace, start_at: int, output: _Output
) -> None:
    """As `_print_from`, sharing the topic; what was printed is committed."""
    async with joined(cluster, arguments.group, arguments.topic, start_at) as member:
        reader = Reader(cluster, {})
        last_record_at = trio.current_time()
        while not output.is_done:
            if member.must_rejoin:
                reader = Reader(cluster, await member.join())
            records = await reader.read(WAIT_S)
            if records:
                shown = output.show(records)
                all_shown = len(shown) == len(records)
                await member.commit(reader.positions if all_shown else _after(shown))
                last_record_at = trio.current_time()
            elif _is_over(arguments, last_record_at):
                return


def _after(records: list[ConsumedRecord]) -> dict[tuple[str, int], int]:
    """Where reading goes on after these."""
    return {(record.topic, record.partition): record.offset + 1 for record in records}


def _is_over(arguments: argparse.Namespace, last_record_at: float) -> bool:
    return (
        arguments.timeout is not None and trio.current_time() - last_record_at >= arguments.timeout
    )
