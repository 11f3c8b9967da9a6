"""`kbroker topics create|list|describe|delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.client.admin import create_topic, delete_topic, topic_overrides
from kbroker.client.errors import ClientError
from kbroker.client.records import BEGINNING, END, offsets_for

from .arguments import UserError, parse_settings
from .remote import add_bootstrap, print_table, with_cluster

if TYPE_CHECKING:
    import argparse

    from kbroker.client.cluster import Cluster


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", description="Create a topic.", help="create a topic")
    create.add_argument("topic", metavar="TOPIC")
    create.add_argument("--partitions", type=int, metavar="N", help="(default: the broker's)")
    create.add_argument("--replicas", type=int, metavar="N", help="(default: the broker's)")
    create.add_argument(
        "--config", metavar="KEY=VALUE", action="append", default=[], help="may be repeated"
    )
    listing = actions.add_parser("list", description="List the topics.", help="list the topics")
    listing.add_argument("--internal", action="store_true", help="Kafka's own topics too")
    describe = actions.add_parser(
        "describe", description="Show topics in detail.", help="show topics in detail"
    )
    describe.add_argument("topics", metavar="TOPIC", nargs="+")
    delete = actions.add_parser("delete", description="Delete topics.", help="delete topics")
    delete.add_argument("topics", metavar="TOPIC", nargs="+")
    for action in (create, listing, describe, delete):
        add_bootstrap(action)


def run(arguments: argparse.Namespace) -> int:
    match arguments.action:
        case "create":
            _create(arguments)
        case "list":
            with_cluster(arguments, lambda cluster: _list(cluster, arguments.internal))
        case "describe":
            with_cluster(arguments, lambda cluster: _describe(cluster, arguments.topics))
        case "delete":
            with_cluster(arguments, lambda cluster: _delete(cluster, arguments.topics))
    return 0


def _create(arguments: argparse.Namespace) -> None:
    configs = parse_settings(arguments.config, "--config")
    for option, count in (
        ("--partitions", arguments.partitions),
        ("--replicas", arguments.replicas),
    ):
        if count is not None and count < 1:
            raise UserError(f"{option} {count}: it must be 1 or more.")
    created = with_cluster(
        arguments,
        lambda cluster: create_topic(
            cluster, arguments.topic, arguments.partitions, arguments.replicas, configs
        ),
    )
    if created.partitions < 0:
        print(f"Created {arguments.topic}.")
    else:
        print(
            f"Created {arguments.topic}: {_count(created.partitions, 'partition')}, "
            f"{_count(created.replication_factor, 'replica')} each."
        )


async def _list(cluster: Cluster, internal: bool) -> None:
    await cluster.refresh(None)
    topics = [t for name, t in sorted(cluster.topics.items()) if internal or not t.is_internal]
    if not topics:
        print("There are no topics.")
        return
    print_table(
        ("TOPIC", "PARTITIONS", "REPLICAS"),
        [
            (topic.name, len(topic.partitions), len(topic.partitions[0].replicas))
            for topic in topics
            if topic.partitions
        ],
    )


async def _describe(cluster: Cluster, names: list[str]) -> None:
    for name in names:
        await cluster.topic(name)
    overrides = await topic_overrides(cluster, names)
    for position, name in enumerate(names):
        topic = cluster.topics[name]
        partitions = [(name, partition.index) for partition in topic.partitions]
        starts = await offsets_for(cluster, dict.fromkeys(partitions, BEGINNING))
        ends = await offsets_for(cluster, dict.fromkeys(partitions, END))
        if position:
            print()
        print(f"{name}: {_count(len(partitions), 'partition')}")
        for key, value in overrides[name].items():
            print(f"  {key}={value}")
        print_table(
            ("PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "START", "END"),
            [
                (
                    p.index,
                    p.leader,
                    p.leader_epoch,
                    ",".join(map(str, p.replicas)),
                    ",".join(map(str, p.isr)),
                    starts[name, p.index],
                    ends[name, p.index],
                )
                for p in topic.partitions
            ],
        )


async def _delete(cluster: Cluster, names: list[str]) -> None:
    failures = []
    for name in names:
        try:
            await delete_topic(cluster, name)
            print(f"Deleted {name}.")
        except ClientError as error:
            failures.append(str(error))
    if failures:
        raise UserError(" ".join(failures))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
