"""For commands that use a Kafka over the network: the bootstrap address, and running a task."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

import trio

from kbroker.client.cluster import connect
from kbroker.client.errors import ClientError
from kbroker.client.groups import list_groups

from .arguments import UserError, parse_address
from .standard_streams import OutputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable, Sequence

    from kbroker.client.cluster import Cluster, Topic, TopicPartition
    from kbroker.client.groups import GroupListing

    from .arguments import PartitionsArgument

T = TypeVar("T")

BOOTSTRAP_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"
BOOTSTRAP_DEFAULT = "127.0.0.1:9092"


def add_bootstrap(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bootstrap",
        metavar="HOST:PORT[,HOST:PORT...]",
        help=f"the addresses of brokers (default: ${BOOTSTRAP_VARIABLE}, else {BOOTSTRAP_DEFAULT})",
    )


def with_cluster(arguments: argparse.Namespace, task: Callable[[Cluster], Awaitable[T]]) -> T:
    """Runs `task` with the cluster behind --bootstrap. UserError for what goes wrong."""
    text = arguments.bootstrap or os.environ.get(BOOTSTRAP_VARIABLE) or BOOTSTRAP_DEFAULT
    addresses = [parse_address(each.strip(), "--bootstrap") for each in text.split(",")]

    async def run() -> T:
        async with connect(addresses) as cluster:
            return await task(cluster)

    try:
        return trio.run(run)
    except ClientError as error:
        raise UserError(str(error)) from error
    except BaseExceptionGroup as group:
        first = first_of(group)
        if isinstance(first, ClientError):
            raise UserError(str(first)) from group
        if isinstance(first, (UserError, KeyboardInterrupt, OutputError)):
            raise first from None
        raise


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first leaf of a group."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def existing_topics(
    cluster: Cluster, names: Sequence[str], *, internal: bool = False
) -> list[Topic]:
    """Those named, with or without leaders; all (`internal`: Kafka's own too) where none is.

    ClientError where one does not exist.
    """
    if names:
        await cluster.refresh(names)
        for name in names:
            if name not in cluster.topics:
                await cluster.topic(name)  # says why, or waits for one that comes to be
        return [cluster.topics[name] for name in dict.fromkeys(names)]
    await cluster.refresh(None)
    return [t for _, t in sorted(cluster.topics.items()) if internal or not t.is_internal]


async def partitions_of(
    cluster: Cluster, wanted: Sequence[PartitionsArgument]
) -> list[TopicPartition]:
    """Each once. ClientError for a topic that does not exist, UserError for such a partition."""
    found: dict[TopicPartition, None] = {}
    for name, indexes in wanted:
        count = len((await cluster.topic(name)).partitions)
        for index in range(count) if indexes is None else indexes:
            if index >= count:
                raise UserError(
                    f"There is no partition {index}. The partitions of {name} are 0 to {count - 1}."
                )
            found[name, index] = None
    return list(found)


async def chosen_groups(cluster: Cluster, arguments: argparse.Namespace) -> list[GroupListing]:
    """Those of GROUP... or --all-groups. ClientError where one does not exist."""
    found = {listing.group_id: listing for listing in await list_groups(cluster)}
    if arguments.all_groups:
        return list(found.values())
    for name in arguments.groups:
        if name not in found:
            raise ClientError(f"There is no group {name!r}.")
    return [found[name] for name in dict.fromkeys(arguments.groups)]
