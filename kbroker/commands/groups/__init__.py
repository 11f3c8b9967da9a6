"""`kbroker groups`: list and delete groups and their offsets.

`describe` and `reset-offsets` are in modules of their own.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kbroker.client.errors import ClientError
from kbroker.client.group_offsets import delete_group, delete_offsets
from kbroker.client.groups import committed_offsets, find_group, list_groups
from kbroker.commands.shared.arguments import UserError, add_action, add_actions, parse_partitions
from kbroker.commands.shared.output import Column, add_json, print_json, print_table
from kbroker.commands.shared.remote import add_bootstrap, with_cluster

from . import describe, reset_offsets
from .describe import state_style

if TYPE_CHECKING:
    import argparse

    from kbroker.client.cluster import Cluster, TopicPartition
    from kbroker.commands.shared.arguments import PartitionsArgument
    from kbroker.commands.shared.output import Json

# GroupState and GroupType of Apache Kafka 4.3's admin client, without its two for "unknown".
STATES = (
    "Assigning",
    "CompletingRebalance",
    "Dead",
    "Empty",
    "NotReady",
    "PreparingRebalance",
    "Reconciling",
    "Stable",
)
TYPES = ("classic", "consumer", "share", "streams")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = add_actions(parser)
    listing = add_action(actions, "list", "list the groups")
    listing.add_argument(
        "--state",
        metavar="STATE",
        action="append",
        help="list only groups in this state, such as Stable or Empty; can be repeated",
    )
    listing.add_argument(
        "--type",
        metavar="TYPE",
        action="append",
        help="list only groups of this type, such as classic or consumer; can be repeated",
    )
    describe.add_arguments(
        add_action(
            actions,
            "describe",
            "show the members, offsets and lag of groups",
            "kbroker groups describe orders-service --watch 5",
        )
    )
    reset_offsets.add_arguments(
        add_action(
            actions,
            "reset-offsets",
            "show the new offsets of a group, and set them if --execute is given",
            "kbroker groups reset-offsets g --topic orders:0,1 --to-datetime 2026-01-31T12:00:00",
        )
    )
    delete = add_action(actions, "delete", "delete groups that have no members")
    delete.add_argument("groups", metavar="GROUP", nargs="+")
    offsets = add_action(
        actions,
        "delete-offsets",
        "delete committed offsets of a group",
        "kbroker groups delete-offsets g --topic orders:0",
    )
    offsets.add_argument("group", metavar="GROUP")
    offsets.add_argument(
        "--topic", metavar="TOPIC[:PARTITIONS]", action="append", required=True, dest="topics"
    )
    for action in actions.choices.values():
        add_bootstrap(action)
    for name in ("list", "describe", "reset-offsets"):
        add_json(actions.choices[name])


def run(arguments: argparse.Namespace) -> int:
    match arguments.action:
        case "list":
            states = _chosen("--state", arguments.state, STATES)
            types = _chosen("--type", arguments.type, TYPES)
            with_cluster(arguments, lambda cluster: _list(cluster, arguments, states, types))
        case "describe":
            describe.run(arguments)
        case "reset-offsets":
            reset_offsets.run(arguments)
        case "delete":
            with_cluster(arguments, lambda cluster: _delete(cluster, arguments.groups))
        case "delete-offsets":
            wanted = [parse_partitions(text, "--topic") for text in arguments.topics]
            with_cluster(arguments, lambda cluster: _delete_offsets(cluster, arguments, wanted))
    return 0


def _chosen(option: str, given: list[str] | None, names: tuple[str, ...]) -> set[str]:
    """What was given, in small letters. Raises UserError for a name that there is not."""
    known = {name.lower() for name in names}
    for name in given or ():
        if name.lower() not in known:
            raise UserError(f"{option} {name}: expected one of {', '.join(names)}.")
    return {name.lower() for name in given or ()}


async def _list(
    cluster: Cluster, arguments: argparse.Namespace, states: set[str], types: set[str]
) -> None:
    groups = [
        group
        for group in await list_groups(cluster)
        if (not states or group.state.lower() in states)
        and (not types or group.type.lower() in types)
    ]
    rows: list[dict[str, Json]] = [
        {
            "group": group.group_id,
            "state": group.state,
            "type": group.type,
            "protocol": group.protocol,
        }
        for group in groups
    ]
    if arguments.json:
        print_json(rows)
    elif not rows:
        print("No groups match." if states or types else "There are no groups.")
    else:
        columns = [
            Column("GROUP", "group"),
            Column("STATE", "state", state_style),
            Column("TYPE", "type"),
            Column("PROTOCOL", "protocol"),
        ]
        print_table(columns, rows)


async def _delete(cluster: Cluster, names: list[str]) -> None:
    existing = {listing.group_id for listing in await list_groups(cluster)}
    failures = []
    for name in names:
        if name not in existing:
            failures.append(f"There is no group {name!r}.")
            continue
        try:
            await cluster.retry(partial(delete_group, cluster, name))
            print(f"Deleted {name}.")
        except ClientError as error:
            failures.append(str(error))
    if failures:
        raise UserError(" ".join(failures))


async def _delete_offsets(
    cluster: Cluster, arguments: argparse.Namespace, wanted: list[PartitionsArgument]
) -> None:
    group = (await find_group(cluster, arguments.group)).group_id
    # What was committed counts, not what exists: the topic may be gone.
    committed = await committed_offsets(cluster, group)
    chosen: list[TopicPartition] = []
    for topic, indexes in wanted:
        found = [p for p in sorted(committed) if p[0] == topic and (not indexes or p[1] in indexes)]
        if not found:
            raise ClientError(
                f"Group {group!r} has no committed offsets for these partitions of {topic!r}."
            )
        chosen += found
    await cluster.retry(lambda: delete_offsets(cluster, group, chosen))
    for topic, index in chosen:
        print(f"Deleted the offset of {topic}-{index}, which was {committed[topic, index]}.")
