"""`kbroker consume TOPIC`: prints each record on a line as it arrives."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import trio

from kbroker.client.group_member import joined
from kbroker.client.records import BEGINNING, END, Isolation, Reader, offsets_for
from kbroker.commands.shared.arguments import UserError, at_least, seconds
from kbroker.commands.shared.progress import Meter, meter
from kbroker.commands.shared.record_output import RecordOutput, add_format
from kbroker.commands.shared.remote import add_bootstrap, with_cluster
from kbroker.commands.shared.times import TIME_FORMS, parse_time_ms

if TYPE_CHECKING:
    import argparse

    from kbroker.client.cluster import Cluster, Topic, TopicPartition

WAIT_S = 0.5  # how long a fetch waits; also how late a rebalance or --timeout may be noticed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TOPIC")
    parser.add_argument(
        "--group",
        metavar="GROUP",
        help="join this group, share the partitions with its members, and commit what is read",
    )
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--from-beginning",
        action="store_true",
        help="start at the first record (default: only records that arrive from now on)",
    )
    start.add_argument(
        "--offset",
        metavar="N",
        help="start at this offset; a negative N starts N records before the end of each "
        "partition; earliest and latest also work",
    )
    start.add_argument("--since", metavar="TIME", help=TIME_FORMS)
    end = parser.add_mutually_exclusive_group()
    end.add_argument("--until", metavar="TIME", help="stop at the first record at or after TIME")
    end.add_argument(
        "--until-end", action="store_true", help="stop at the end of the log as it is now"
    )
    parser.add_argument(
        "--partition",
        type=at_least(0),
        metavar="N",
        action="append",
        help="read only this partition; can be repeated (default: all)",
    )
    parser.add_argument(
        "--max",
        "--max-messages",
        type=at_least(1),
        metavar="N",
        help="stop after this many records",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="stop when no record has arrived for this long",
    )
    parser.add_argument(
        "--isolation-level",
        choices=[level.name.lower() for level in Isolation],
        default=Isolation.READ_COMMITTED.name.lower(),
        help="read_uncommitted also shows records of open and aborted transactions (default: "
        "read_committed)",
    )
    add_format(parser)
    add_bootstrap(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.group is not None and (
        arguments.offset is not None or arguments.partition is not None
    ):
        raise UserError("--offset and --partition cannot be combined with --group.")
    command = _Consume(arguments)
    with_cluster(arguments, command.run)
    return 0


class _Consume:
    """What was asked for, and how far it is."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._output = RecordOutput(arguments)
        self._isolation = Isolation[arguments.isolation_level.upper()]
        self._start_at, self._count_back = _start(arguments)
        self._end_at: int | None = END if arguments.until_end else None
        if arguments.until is not None:
            self._end_at = parse_time_ms(arguments.until, "--until")
        self._ends: dict[TopicPartition, int] = {}
        self._last_record_at = 0.0
        self._found_nothing = False  # the read before

    async def run(self, cluster: Cluster) -> None:
        arguments, output = self._arguments, self._output
        topic = await cluster.topic(arguments.topic)
        self._last_record_at = trio.current_time()
        if arguments.group is None:
            await self._read_alone(cluster, topic)
        else:
            await self._read_as_member(cluster)
        if not output.is_done and arguments.max is not None and self._end_at is None:
            raise UserError(
                f"Only {output.count} of {arguments.max} records arrived: there was none for "
                f"{arguments.timeout} s."
            )

    async def _read_alone(self, cluster: Cluster, topic: Topic) -> None:
        positions = await self._positions(cluster, topic)
        await self._look_for_ends(cluster, list(positions))
        total = None
        if self._ends:
            total = sum(max(end - positions[p], 0) for p, end in self._ends.items())
        reader = Reader(cluster, positions, self._isolation)
        self._drop_finished(reader)
        with meter("consume", total, other_is_terminal=sys.stdout.isatty()) as progress:
            while not self._is_over(reader):
                await self._show_next(reader, progress)

    async def _read_as_member(self, cluster: Cluster) -> None:
        """As `_read_alone`, sharing the topic; what was printed is committed."""
        arguments = self._arguments
        with meter("consume", None, other_is_terminal=sys.stdout.isatty()) as progress:
            async with joined(cluster, arguments.group, arguments.topic, self._start_at) as member:
                reader = Reader(cluster, {}, self._isolation)
                while True:
                    if member.must_rejoin and not self._output.is_done:
                        reader = Reader(cluster, await member.join(), self._isolation)
                        await self._look_for_ends(cluster, list(reader.positions))
                        self._drop_finished(reader)
                    if self._is_over(reader):
                        return
                    await member.commit(await self._show_next(reader, progress))

    async def _show_next(self, reader: Reader, progress: Meter) -> dict[TopicPartition, int]:
        """Print what comes next; where reading goes on, of the partitions in which it moved."""
        before = dict(reader.positions)
        cut: dict[TopicPartition, int] = {}
        self._found_nothing = True
        for records in await reader.read(WAIT_S):
            where = (records[0].topic, records[0].partition)
            end = self._ends.get(where)
            wanted = records if end is None else [r for r in records if r.offset < end]
            shown = self._output.show(wanted)
            self._last_record_at, self._found_nothing = trio.current_time(), False
            if len(shown) < len(wanted):
                cut[where] = wanted[len(shown)].offset
            if self._output.is_done:
                break
        moved = {
            partition: min(position, self._ends.get(partition, position))
            for partition, position in reader.positions.items()
            if position != before[partition]
        } | cut
        self._output.flush()
        self._drop_finished(reader)
        progress.update(self._output.count, self._output.count, self._output.size_bytes)
        return moved

    def _is_over(self, reader: Reader) -> bool:
        """Asked before each read; only what a read did not find lets --timeout pass."""
        if self._output.is_done or (self._end_at is not None and not reader.positions):
            return True
        timeout: float | None = self._arguments.timeout
        return (
            timeout is not None
            and self._found_nothing
            and trio.current_time() - self._last_record_at >= timeout
        )

    async def _positions(self, cluster: Cluster, topic: Topic) -> dict[TopicPartition, int]:
        count = len(topic.partitions)
        indexes = self._arguments.partition
        for index in indexes or ():
            if index >= count:
                raise UserError(
                    f"--partition {index}: the partitions of {topic.name} are 0 to {count - 1}."
                )
        partitions = [(topic.name, index) for index in indexes or range(count)]
        if self._count_back is None:
            wanted = dict.fromkeys(partitions, self._start_at)
            return await offsets_for(cluster, wanted, self._isolation)
        if self._count_back >= 0:
            return dict.fromkeys(partitions, self._count_back)
        starts = await offsets_for(cluster, dict.fromkeys(partitions, BEGINNING))
        ends = await offsets_for(cluster, dict.fromkeys(partitions, END), self._isolation)
        return {p: max(ends[p] + self._count_back, starts[p]) for p in partitions}

    async def _look_for_ends(self, cluster: Cluster, partitions: list[TopicPartition]) -> None:
        """Once for each partition: what a group's member gets again has the end it had."""
        if self._end_at is not None:
            new = [partition for partition in partitions if partition not in self._ends]
            wanted = dict.fromkeys(new, self._end_at)
            self._ends |= await offsets_for(cluster, wanted, self._isolation)

    def _drop_finished(self, reader: Reader) -> None:
        for partition, end in self._ends.items():
            if reader.positions.get(partition, -1) >= end:
                del reader.positions[partition]


def _start(arguments: argparse.Namespace) -> tuple[int, int | None]:
    """A ListOffsets timestamp, and the --offset if it is a number."""
    text = arguments.offset
    if text is None:
        if arguments.since is not None:
            return parse_time_ms(arguments.since, "--since"), None
        return BEGINNING if arguments.from_beginning else END, None
    if text in ("earliest", "latest"):
        return BEGINNING if text == "earliest" else END, None
    try:
        return END, int(text)
    except ValueError:
        raise UserError(f"--offset {text}: expected a number, earliest or latest.") from None
