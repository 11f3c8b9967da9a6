"""`kbroker log-dirs`: shows the log directories of brokers, and moves replicas between them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbroker.client.errors import ClientError
from kbroker.client.log_dirs import describe_log_dirs, move_replicas
from kbroker.commands.shared.arguments import (
    UserError,
    add_action,
    add_actions,
    at_least,
    parse_partitions,
)
from kbroker.commands.shared.output import (
    BAD,
    FAINT,
    GOOD,
    WARNING,
    Column,
    add_json,
    count_text,
    print_json,
    print_table,
    size_text,
)
from kbroker.commands.shared.remote import add_bootstrap, partitions_of, with_cluster
from kbroker.wire.errors import ErrorCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from kbroker.client.cluster import Cluster
    from kbroker.client.log_dirs import LogDir
    from kbroker.commands.shared.arguments import PartitionsArgument
    from kbroker.commands.shared.output import Json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = add_actions(parser)
    listing = add_action(actions, "list", "list the log directories with their sizes")
    describe = add_action(
        actions,
        "describe",
        "show the replicas in the log directories",
        "kbroker log-dirs describe orders:0-2 --broker 1",
    )
    describe.add_argument(
        "topics",
        metavar="TOPIC[:PARTITIONS]",
        nargs="*",
        help="show only these topics or partitions (default: all)",
    )
    describe.add_argument(
        "--future", action="store_true", help="show only replicas that are being moved"
    )
    move = add_action(
        actions,
        "move",
        "move replicas of a broker to another of its log directories",
        "kbroker log-dirs move orders:0 --broker 1 --to /disk2/kafka",
    )
    move.add_argument("topics", metavar="TOPIC[:PARTITIONS]", nargs="+")
    move.add_argument(
        "--to", metavar="DIR", required=True, help="the target, one of the log.dirs of the broker"
    )
    move.add_argument("--broker", type=at_least(0), metavar="ID", required=True)
    for action in (listing, describe):
        action.add_argument(
            "--broker",
            type=at_least(0),
            metavar="ID",
            action="append",
            help="ask only this broker; can be repeated (default: all)",
        )
        action.add_argument(
            "--bytes", action="store_true", help="show sizes as plain numbers of bytes"
        )
        add_json(action)
    for action in actions.choices.values():
        add_bootstrap(action)


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "list":
        with_cluster(arguments, lambda cluster: _list(cluster, arguments))
        return 0
    wanted = [parse_partitions(text, "TOPIC") for text in arguments.topics]
    if arguments.action == "describe":
        with_cluster(arguments, lambda cluster: _describe(cluster, arguments, wanted))
    else:
        if not os.path.isabs(arguments.to):
            raise UserError(f"--to {arguments.to}: expected an absolute path.")
        with_cluster(arguments, lambda cluster: _move(cluster, arguments, wanted))
    return 0


def _brokers(cluster: Cluster, wanted: Sequence[int] | None) -> list[int]:
    for broker in wanted or ():
        if broker not in cluster.node_ids:
            raise ClientError(f"There is no broker {broker}.")
    return sorted(set(wanted)) if wanted else cluster.node_ids


async def _list(cluster: Cluster, arguments: argparse.Namespace) -> None:
    found = await describe_log_dirs(cluster, _brokers(cluster, arguments.broker))
    if arguments.json:
        print_json([_shape(directory) for directory in found])
        return
    rows: list[dict[str, Json]] = [
        {
            "broker": directory.broker,
            "path": directory.path,
            "state": _state(directory),
            "replicas": sum(not r.is_future for r in directory.replicas),
            "future": sum(r.is_future for r in directory.replicas),
            "size": _size(sum(r.size_bytes for r in directory.replicas), arguments),
            "usable": _size(directory.usable_bytes, arguments),
            "total": _size(directory.total_bytes, arguments),
        }
        for directory in found
    ]
    states = {"online": GOOD, "cordoned": WARNING}
    columns = [
        Column("BROKER", "broker"),
        Column("DIRECTORY", "path"),
        Column("STATE", "state", lambda state: states.get(str(state), BAD)),
        Column("REPLICAS", "replicas"),
        Column("FUTURE", "future", lambda count: WARNING if count else FAINT),
        Column("SIZE", "size"),
        Column("FREE", "usable"),
        Column("OF", "total"),
    ]
    print_table(columns, rows)


def _state(directory: LogDir) -> str:
    if directory.error is ErrorCode.KAFKA_STORAGE_ERROR:
        return "offline"
    if directory.error is not ErrorCode.NONE:
        return directory.error.name
    return "cordoned" if directory.is_cordoned else "online"


def _size(size_bytes: int | None, arguments: argparse.Namespace) -> Json:
    if size_bytes is None or arguments.bytes:
        return size_bytes
    return size_text(size_bytes)


def _shape(directory: LogDir) -> dict[str, Json]:
    return {
        "broker": directory.broker,
        "path": directory.path,
        "state": _state(directory),
        "total_bytes": directory.total_bytes,
        "usable_bytes": directory.usable_bytes,
        "size_bytes": sum(replica.size_bytes for replica in directory.replicas),
        "replicas": [
            {
                "topic": replica.topic,
                "partition": replica.partition,
                "size_bytes": replica.size_bytes,
                "offset_lag": replica.lag,
                "future": replica.is_future,
            }
            for replica in directory.replicas
        ],
    }


async def _describe(
    cluster: Cluster, arguments: argparse.Namespace, wanted: list[PartitionsArgument]
) -> None:
    partitions = await partitions_of(cluster, wanted) if wanted else None
    found = await describe_log_dirs(cluster, _brokers(cluster, arguments.broker), partitions)
    if arguments.future:
        for directory in found:
            directory.replicas = [replica for replica in directory.replicas if replica.is_future]
    if arguments.json:
        print_json([_shape(directory) for directory in found])
        return
    rows: list[dict[str, Json]] = [
        {
            "topic": replica.topic,
            "partition": replica.partition,
            "broker": directory.broker,
            "path": directory.path,
            "size": _size(replica.size_bytes, arguments),
            "lag": replica.lag,
            "future": replica.is_future,
        }
        for directory in found
        for replica in directory.replicas
    ]
    rows.sort(key=lambda row: (str(row["topic"]), row["partition"], row["broker"], row["future"]))
    if not rows:
        print("No replicas are being moved." if arguments.future else "There are no replicas.")
        return
    columns = [
        Column("TOPIC", "topic"),
        Column("PARTITION", "partition"),
        Column("BROKER", "broker"),
        Column("DIRECTORY", "path"),
        Column("SIZE", "size"),
        Column("LAG", "lag", lambda lag: WARNING if lag else FAINT),
        Column("FUTURE", "future", lambda future: WARNING if future else FAINT),
    ]
    print_table(columns, rows)


async def _move(
    cluster: Cluster, arguments: argparse.Namespace, wanted: list[PartitionsArgument]
) -> None:
    partitions = await partitions_of(cluster, wanted)
    (broker,) = _brokers(cluster, [arguments.broker])
    outcomes = await move_replicas(cluster, broker, arguments.to, partitions)
    if outcomes.done:
        print(
            f"Moving {count_text(len(outcomes.done), 'replica')} to {arguments.to}; run "
            "`kbroker log-dirs describe --future` to see the progress."
        )
    if outcomes.failures:
        raise UserError(" ".join(map(str, outcomes.failures)))
