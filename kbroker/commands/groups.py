"""`kbroker groups list|describe`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.client.groups import GroupDescription, describe_group, list_groups

from .remote import add_bootstrap, print_table, with_cluster

if TYPE_CHECKING:
    import argparse

    from kbroker.client.cluster import Cluster


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", description="List the groups.", help="list the groups")
    describe = actions.add_parser(
        "describe",
        description="Show the members, offsets and lag of groups.",
        help="show members, offsets and lag",
    )
    describe.add_argument("groups", metavar="GROUP", nargs="+")
    for action in (listing, describe):
        add_bootstrap(action)


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "list":
        with_cluster(arguments, _list)
    else:
        with_cluster(arguments, lambda cluster: _describe(cluster, arguments.groups))
    return 0


async def _list(cluster: Cluster) -> None:
    groups = await list_groups(cluster)
    if not groups:
        print("There are no groups.")
        return
    print_table(
        ("GROUP", "STATE", "TYPE", "PROTOCOL"),
        [(group.group_id, group.state, group.type, group.protocol) for group in groups],
    )


async def _describe(cluster: Cluster, names: list[str]) -> None:
    for position, name in enumerate(names):
        group = await describe_group(cluster, name)
        if position:
            print()
        _print_group(group)


def _print_group(group: GroupDescription) -> None:
    members = len(group.members)
    print(
        f"{group.group_id}: {group.state}, {group.type}, "
        f"{members} {'member' if members == 1 else 'members'}"
    )
    owners = {partition: member for member in group.members for partition in member.partitions}
    rows = []
    for lag in group.partitions:
        owner = owners.get((lag.topic, lag.partition))
        rows.append(
            (
                lag.topic,
                lag.partition,
                lag.committed,
                lag.end,
                lag.lag,
                None if owner is None else owner.member_id,
                None if owner is None else owner.host,
            )
        )
    if rows:
        print_table(("TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER", "HOST"), rows)
    idle = [member for member in group.members if not member.partitions]
    if idle:
        print_table(
            ("WITHOUT PARTITIONS", "CLIENT", "HOST"),
            [(member.member_id, member.client_id, member.host) for member in idle],
        )
