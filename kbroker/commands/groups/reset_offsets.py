"""`kbroker groups reset-offsets`: has all ways of kafka-consumer-groups; a dry run by default."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING

from kbroker.client.errors import ClientError
from kbroker.client.group_offsets import commit_offsets
from kbroker.client.groups import (
    DESCRIBED_TYPES,
    GroupListing,
    committed_offsets,
    list_groups,
)
from kbroker.client.offset_reset import (
    PlannedOffset,
    ShiftBy,
    ToCurrent,
    ToGiven,
    ToOffset,
    ToTime,
    plan_reset,
)
from kbroker.client.records import BEGINNING, END
from kbroker.commands.shared.arguments import (
    PARTITION_MAX,
    PartitionsArgument,
    UserError,
    at_least,
    parse_partitions,
    whole_number,
)
from kbroker.commands.shared.output import GOOD, WARNING, Column, print_json, print_table
from kbroker.commands.shared.remote import partitions_of, with_cluster
from kbroker.commands.shared.times import TIME_FORMS, now_ms, parse_duration_ms, parse_time_ms

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from kbroker.client.cluster import Cluster, TopicPartition
    from kbroker.client.offset_reset import Way
    from kbroker.commands.shared.output import Json

INACTIVE = ("Empty", "Dead")
FILE_ROWS_MAX = 1_000_000
OFFSET_MAX = (1 << 63) - 1
# Of each group its partitions' offsets; None stands for a file that names no groups.
GivenOffsets = dict[str | None, dict["TopicPartition", int]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "groups",
        metavar="GROUP",
        nargs="*",
        help="the groups; a group that does not exist is created",
    )
    parser.add_argument("--all-groups", action="store_true", help="reset every group")
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument(
        "--topic",
        metavar="TOPIC[:PARTITIONS]",
        action="append",
        dest="topics",
        help="reset only this topic or these partitions; can be repeated",
    )
    scope.add_argument(
        "--all-topics",
        action="store_true",
        help="reset every partition that has a committed offset",
    )
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument(
        "--to-earliest", action="store_true", help="reset to the start of each partition"
    )
    way.add_argument("--to-latest", action="store_true", help="reset to the end of each partition")
    way.add_argument("--to-current", action="store_true", help="keep the committed offset")
    way.add_argument("--to-offset", metavar="N", type=at_least(0), help="reset to this offset")
    way.add_argument(
        "--shift-by",
        metavar="N",
        type=int,
        help="move the offset forward by N; a negative N moves it back",
    )
    way.add_argument("--to-datetime", metavar="TIME", help=f"reset to this time: {TIME_FORMS}")
    way.add_argument(
        "--by-duration", metavar="DURATION", help="reset to this long ago, such as 10m or PT10M"
    )
    way.add_argument(
        "--from-file",
        metavar="FILE",
        help="reset to the offsets in a CSV file with the columns [group,]topic,partition,offset",
    )
    parser.add_argument(
        "--execute", action="store_true", help="change the offsets (without it nothing is changed)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only show what would change (default)"
    )
    parser.add_argument("--export", action="store_true", help="print CSV that --from-file can read")


def run(arguments: argparse.Namespace) -> None:
    if arguments.all_groups == bool(arguments.groups):
        raise UserError("reset-offsets requires either groups or --all-groups, but not both.")
    if arguments.execute and arguments.dry_run:
        raise UserError("--execute and --dry-run cannot be combined.")
    if arguments.export and arguments.json:
        raise UserError("--export and --json cannot be combined.")
    given = None if arguments.from_file is None else _read_file(arguments.from_file)
    if given is None and not arguments.topics and not arguments.all_topics:
        raise UserError("Either --topic TOPIC[:PARTITIONS] or --all-topics is required.")
    wanted = [parse_partitions(text, "--topic") for text in arguments.topics or ()]
    way = None if given is not None else _way(arguments)
    with_cluster(arguments, lambda cluster: _reset(cluster, arguments, wanted, way, given))


def _way(arguments: argparse.Namespace) -> Way:
    if arguments.to_earliest:
        return ToTime(BEGINNING)
    if arguments.to_latest:
        return ToTime(END)
    if arguments.to_current:
        return ToCurrent()
    if arguments.to_offset is not None:
        return ToOffset(arguments.to_offset)
    if arguments.shift_by is not None:
        return ShiftBy(arguments.shift_by)
    if arguments.to_datetime is not None:
        return ToTime(parse_time_ms(arguments.to_datetime, "--to-datetime"))
    return ToTime(max(now_ms() - parse_duration_ms(arguments.by_duration, "--by-duration"), 0))


def _read_file(path: str) -> GivenOffsets:
    """CSV rows of three columns, or of four with the group first. UserError."""
    given: GivenOffsets = {}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                if not row:
                    continue
                where = f"--from-file {path}, line {number}"
                if len(row) not in (3, 4) or number > FILE_ROWS_MAX:
                    raise UserError(f"{where}: expected [group,]topic,partition,offset.")
                group = row[0] if len(row) == 4 else None
                topic, partition, offset = row[-3:]
                given.setdefault(group, {})[topic, _number(partition, where, PARTITION_MAX)] = (
                    _number(offset, where, OFFSET_MAX)
                )
    except OSError as error:
        raise UserError(f"--from-file {path}: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"--from-file {path}: the file is not valid CSV: {error}.") from error
    if not given:
        raise UserError(f"--from-file {path}: the file contains no offsets.")
    return given


def _number(text: str, where: str, maximum: int) -> int:
    number = whole_number(text, maximum)
    if number is None:
        raise UserError(f"{where}: {text!r} is not a valid partition or offset.")
    return number


async def _reset(
    cluster: Cluster,
    arguments: argparse.Namespace,
    wanted: Sequence[PartitionsArgument],
    way: Way | None,
    given: GivenOffsets | None,
) -> None:
    existing = {listing.group_id: listing for listing in await list_groups(cluster)}
    names = arguments.groups
    if arguments.all_groups:
        names = [n for n, listing in existing.items() if listing.type in DESCRIBED_TYPES]
    # All is planned before anything is changed, so that a mistake changes nothing.
    plans: dict[str, list[PlannedOffset]] = {}
    for name in dict.fromkeys(names):
        _check_inactive(name, existing.get(name))
        committed = await committed_offsets(cluster, name) if name in existing else {}
        offsets = {} if given is None else given.get(name, given.get(None, {}))
        if given is not None and not offsets:
            raise UserError(
                f"--from-file {arguments.from_file}: the file contains no offsets for group "
                f"{name!r}."
            )
        partitions = await _scope(cluster, arguments, wanted, committed, offsets)
        plans[name] = await plan_reset(
            cluster, partitions, committed, ToGiven(offsets) if way is None else way
        )
    failures: list[str] = []
    if arguments.execute:
        for name, plan in list(plans.items()):
            try:
                if plan:
                    await _commit(cluster, name, plan)
            except ClientError as error:  # the others are reset all the same
                failures.append(str(error))
                del plans[name]
    _show(arguments, plans)
    if failures:
        raise UserError(" ".join(failures))


def _check_inactive(name: str, listing: GroupListing | None) -> None:
    if listing is None:
        return
    if listing.type not in DESCRIBED_TYPES:
        raise ClientError(
            f"Group {name!r} is a {listing.type} group, and reset-offsets does not support those."
        )
    if listing.state not in INACTIVE:
        raise ClientError(
            f"Group {name!r} is in state {listing.state}. Offsets can be reset only while a "
            "group has no members."
        )


async def _scope(
    cluster: Cluster,
    arguments: argparse.Namespace,
    wanted: Sequence[PartitionsArgument],
    committed: Mapping[TopicPartition, int],
    given: Mapping[TopicPartition, int],
) -> list[TopicPartition]:
    """The partitions to reset; those of a file that --topic names, or all of it."""
    if wanted:
        chosen = await partitions_of(cluster, wanted)
        return chosen if arguments.from_file is None else [p for p in chosen if p in given]
    if arguments.from_file is not None:
        topics: dict[str, list[int]] = {}
        for topic, index in given:
            topics.setdefault(topic, []).append(index)
        arguments_of_file = [PartitionsArgument(t, tuple(i)) for t, i in topics.items()]
        return await partitions_of(cluster, arguments_of_file)
    # Offsets of a deleted topic stay behind for a while.
    await cluster.refresh(sorted({topic for topic, _ in committed}))
    return [
        (topic, index)
        for topic, index in committed
        if topic in cluster.topics and index < len(cluster.topics[topic].partitions)
    ]


async def _commit(cluster: Cluster, group: str, plan: Sequence[PlannedOffset]) -> None:
    offsets = {(planned.topic, planned.partition): planned.new for planned in plan}
    await cluster.retry(lambda: commit_offsets(cluster, group, offsets))


def _show(arguments: argparse.Namespace, plans: Mapping[str, Sequence[PlannedOffset]]) -> None:
    if arguments.export:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        for group, plan in plans.items():
            prefix = [group] if len(plans) > 1 else []
            writer.writerows([*prefix, p.topic, p.partition, p.new] for p in plan)
        return
    rows: list[dict[str, Json]] = [
        {
            "group": group,
            "topic": planned.topic,
            "partition": planned.partition,
            "committed_offset": planned.committed,
            "new_offset": planned.new,
            "note": planned.note or None,
        }
        for group, plan in plans.items()
        for planned in plan
    ]
    if arguments.json:
        print_json({"executed": bool(arguments.execute), "offsets": rows})
        return
    if not rows:
        print("There is nothing to reset.")
        return
    columns = [
        Column("GROUP", "group"),
        Column("TOPIC", "topic"),
        Column("PARTITION", "partition"),
        Column("COMMITTED", "committed_offset"),
        Column("NEW", "new_offset", lambda _: GOOD),
    ]
    if any(row["note"] for row in rows):
        columns.append(Column("NOTE", "note", lambda _: WARNING))
    print_table(columns, rows)
    if not arguments.execute:
        print("Nothing has been changed yet. Use --execute to set these offsets.")
