"""`kbroker groups describe`: prints members, committed offsets and lag, once or repeatedly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from kbroker.client.groups import DESCRIBED_TYPES, describe_group
from kbroker.commands.shared.arguments import UserError, seconds
from kbroker.commands.shared.output import FAINT, GOOD, WARNING, Column, count_text, print_json
from kbroker.commands.shared.remote import chosen_groups, with_cluster
from kbroker.commands.shared.watching import Report, Section, print_sections, watch

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from kbroker.client.cluster import Cluster, TopicPartition
    from kbroker.client.groups import GroupDescription, GroupMember
    from kbroker.commands.shared.output import Json

WATCH_S = 2.0
WATCH_S_MIN = 0.1
STATES = {"Stable": GOOD, "Empty": FAINT, "Dead": FAINT}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("groups", metavar="GROUP", nargs="*")
    parser.add_argument("--all-groups", action="store_true", help="describe every group")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--offsets", action="store_true", help="show partitions with their lag (default)"
    )
    what.add_argument(
        "--members", action="store_true", help="show members and the partitions assigned to them"
    )
    what.add_argument("--state", action="store_true", help="show one line for each group")
    parser.add_argument(
        "--watch",
        metavar="SECONDS",
        nargs="?",
        type=seconds,
        const=WATCH_S,
        help=f"refresh until Ctrl-C (default: every {WATCH_S:.0f} s)",
    )


def run(arguments: argparse.Namespace) -> None:
    if arguments.all_groups == bool(arguments.groups):
        raise UserError("Name the groups or use --all-groups, but not both.")
    if arguments.watch is not None and arguments.watch < WATCH_S_MIN:
        raise UserError(f"--watch {arguments.watch}: the minimum is {WATCH_S_MIN}.")
    with_cluster(arguments, lambda cluster: _describe(cluster, arguments))


def state_style(state: Json) -> str:
    return STATES.get(str(state), WARNING)


async def _describe(cluster: Cluster, arguments: argparse.Namespace) -> None:
    rates = _Rates() if arguments.watch is not None else None

    async def look() -> Report:
        listings = await chosen_groups(cluster, arguments)
        if arguments.all_groups:
            listings = [listing for listing in listings if listing.type in DESCRIBED_TYPES]
        groups = [await describe_group(cluster, listing) for listing in listings]
        shapes = [_shape(group) for group in groups]
        if rates is not None:
            rates.add_to(shapes, trio.current_time())
        if arguments.state:
            return Report([_summary(shapes)], shapes)
        section = _members if arguments.members else _offsets
        return Report(
            [
                each
                for group, shape in zip(groups, shapes, strict=True)
                for each in section(group, shape)
            ],
            shapes,
        )

    if arguments.watch is not None:
        await watch(look, arguments.watch, as_json=arguments.json)
        return
    report = await look()
    if arguments.json:
        print_json(report.shape)
    elif not report.shape:
        print("There are no groups.")
    else:
        print_sections(report.sections)


class _Rates:
    """How fast each partition's committed offset has moved since the look before."""

    def __init__(self) -> None:
        self._before: dict[tuple[Json, Json, Json], tuple[float, int]] = {}

    def add_to(self, shapes: Sequence[dict[str, Json]], now: float) -> None:
        seen: dict[tuple[Json, Json, Json], tuple[float, int]] = {}
        for shape in shapes:
            for row in _rows(shape, "partitions"):
                key = (shape["group"], row["topic"], row["partition"])
                committed = row["committed_offset"]
                row["per_second"] = None
                if isinstance(committed, int):
                    seen[key] = (now, committed)
                    if key in self._before:
                        then, before = self._before[key]
                        row["per_second"] = round((committed - before) / (now - then), 1)
        self._before = seen


def _rows(shape: dict[str, Json], name: str) -> list[dict[str, Json]]:
    rows = shape[name]
    assert isinstance(rows, list)
    return rows


def _shape(group: GroupDescription) -> dict[str, Json]:
    owners: dict[TopicPartition, GroupMember] = {
        partition: member for member in group.members for partition in member.partitions
    }
    partitions: list[Json] = []
    for lag in group.partitions:
        owner = owners.get((lag.topic, lag.partition))
        partitions.append(
            {
                "topic": lag.topic,
                "partition": lag.partition,
                "committed_offset": lag.committed,
                "end_offset": lag.end,
                "lag": lag.lag,
                "member_id": None if owner is None else owner.member_id,
                "client_id": None if owner is None else owner.client_id,
                "host": None if owner is None else owner.host,
            }
        )
    return {
        "group": group.group_id,
        "state": group.state,
        "type": group.type,
        "coordinator": group.coordinator,
        "assignor": group.assignor or None,
        "lag": sum(lag.lag or 0 for lag in group.partitions),
        "members": [
            {
                "member_id": member.member_id,
                "instance_id": member.instance_id,
                "client_id": member.client_id,
                "host": member.host,
                "partitions": [
                    {"topic": topic, "partition": index} for topic, index in member.partitions
                ],
            }
            for member in group.members
        ],
        "partitions": partitions,
    }


def _title(group: GroupDescription, shape: dict[str, Json]) -> str:
    members = count_text(len(group.members), "member")
    return f"{group.group_id}: {group.state}, {group.type}, {members}, lag {shape['lag']}"


def _lag_style(lag: Json) -> str:
    return WARNING if lag else GOOD


def _offsets(group: GroupDescription, shape: dict[str, Json]) -> list[Section]:
    rows = _rows(shape, "partitions")
    columns = [
        Column("TOPIC", "topic"),
        Column("PARTITION", "partition"),
        Column("COMMITTED", "committed_offset"),
        Column("END", "end_offset"),
        Column("LAG", "lag", _lag_style),
        Column("MEMBER", "member_id"),
        Column("HOST", "host"),
        Column("CLIENT", "client_id"),
    ]
    if any("per_second" in row for row in rows):
        columns.insert(5, Column("PER SECOND", "per_second"))
    idle = [row for row in _rows(shape, "members") if not row["partitions"]]
    idle_columns = [
        Column("WITHOUT PARTITIONS", "member_id"),
        Column("HOST", "host"),
        Column("CLIENT", "client_id"),
    ]
    return [Section(_title(group, shape), columns, rows), Section(None, idle_columns, idle)]


def _members(group: GroupDescription, shape: dict[str, Json]) -> list[Section]:
    rows: list[dict[str, Json]] = [
        {
            **row,
            "count": len(member.partitions),
            "assignment": " ".join(_assignment(member.partitions)),
        }
        for row, member in zip(_rows(shape, "members"), group.members, strict=True)
    ]
    columns = [
        Column("MEMBER", "member_id"),
        Column("INSTANCE", "instance_id"),
        Column("HOST", "host"),
        Column("CLIENT", "client_id"),
        Column("PARTITIONS", "count"),
        Column("ASSIGNMENT", "assignment"),
    ]
    return [Section(_title(group, shape), columns, rows)]


def _assignment(partitions: Sequence[TopicPartition]) -> list[str]:
    """["orders:0,1", "payments:4"]"""
    topics: dict[str, list[int]] = {}
    for topic, index in sorted(partitions):
        topics.setdefault(topic, []).append(index)
    return [f"{topic}:{','.join(map(str, indexes))}" for topic, indexes in topics.items()]


def _summary(shapes: Sequence[dict[str, Json]]) -> Section:
    rows = [{**shape, "count": len(_rows(shape, "members"))} for shape in shapes]
    columns = [
        Column("GROUP", "group"),
        Column("STATE", "state", state_style),
        Column("TYPE", "type"),
        Column("COORDINATOR", "coordinator"),
        Column("ASSIGNOR", "assignor"),
        Column("MEMBERS", "count"),
        Column("LAG", "lag", _lag_style),
    ]
    return Section(None, columns, rows)
