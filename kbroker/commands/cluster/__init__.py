"""`kbroker cluster`: brokers, quorum, served APIs, reassignments and elections.

The feature levels are in `features`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.client import cluster_state
from kbroker.client.cluster_state import ElectionType
from kbroker.client.errors import ClientError
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
    print_heading,
    print_json,
    print_table,
)
from kbroker.commands.shared.remote import add_bootstrap, partitions_of, with_cluster
from kbroker.commands.shared.times import now_ms
from kbroker.wire.api_keys import API_TABLE
from kbroker.wire.errors import ErrorCode
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.uuids import uuid_text

from . import features

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from kbroker.client.cluster import Cluster, TopicPartition
    from kbroker.commands.shared.arguments import PartitionsArgument
    from kbroker.commands.shared.output import Json
    from kbroker.wire.messages.describe_quorum import ReplicaState


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = add_actions(parser)
    add_action(actions, "status", "show the brokers and the state of the partitions")
    add_action(actions, "quorum", "show the quorum of controllers (KRaft)")
    features.add_arguments(
        add_action(actions, "features", "show and change the levels of features")
    )
    versions = add_action(
        actions, "api-versions", "show the APIs that a broker supports, with their versions"
    )
    versions.add_argument(
        "--broker", type=at_least(0), metavar="ID", help="the broker to ask (default: any)"
    )
    reassignments = add_action(
        actions, "reassignments", "list the partitions that are being reassigned"
    )
    reassignments.add_argument("topics", metavar="TOPIC[:PARTITIONS]", nargs="*")
    elect = add_action(
        actions,
        "elect-leaders",
        "elect new leaders",
        "kbroker cluster elect-leaders orders:0 --type preferred",
    )
    elect.add_argument("topics", metavar="TOPIC[:PARTITIONS]", nargs="*")
    elect.add_argument("--all", "--all-topic-partitions", action="store_true", dest="all")
    elect.add_argument(
        "--type",
        "--election-type",
        choices=[kind.name.lower() for kind in ElectionType],
        required=True,
        help="unclean also allows a replica that is not in sync; records that it lacks are lost",
    )
    unregister = add_action(
        actions, "unregister", "remove the registration of a broker that is gone for good"
    )
    unregister.add_argument("broker", type=at_least(0), metavar="ID")
    for name, action in actions.choices.items():
        if name != "features":
            add_bootstrap(action)
        if name not in ("features", "unregister"):
            add_json(action)


def run(arguments: argparse.Namespace) -> int:
    match arguments.action:
        case "status":
            with_cluster(arguments, lambda cluster: _status(cluster, arguments.json))
        case "quorum":
            with_cluster(arguments, lambda cluster: _quorum(cluster, arguments.json))
        case "features":
            features.run(arguments)
        case "api-versions":
            with_cluster(arguments, lambda cluster: _api_versions(cluster, arguments))
        case "reassignments":
            wanted = [parse_partitions(text, "TOPIC") for text in arguments.topics]
            with_cluster(arguments, lambda cluster: _reassignments(cluster, arguments, wanted))
        case "elect-leaders":
            if arguments.all == bool(arguments.topics):
                raise UserError("elect-leaders requires either partitions or --all, but not both.")
            wanted = [parse_partitions(text, "TOPIC") for text in arguments.topics]
            with_cluster(arguments, lambda cluster: _elect(cluster, arguments, wanted))
        case "unregister":
            with_cluster(arguments, lambda cluster: _unregister(cluster, arguments.broker))
    return 0


async def _status(cluster: Cluster, as_json: bool) -> None:
    described = await cluster_state.describe_cluster(cluster)
    await cluster.refresh(None)
    partitions = [p for topic in cluster.topics.values() for p in topic.partitions]
    leading = [p.leader for p in partitions]
    brokers: list[Json] = [
        {
            "id": broker.broker_id,
            "host": broker.host,
            "port": broker.port,
            "rack": broker.rack,
            "fenced": broker.is_fenced,
            "controller": broker.broker_id == described.controller_id,
            "leaders": leading.count(broker.broker_id),
            "replicas": sum(broker.broker_id in p.replicas for p in partitions),
        }
        for broker in described.brokers
    ]
    shape: dict[str, Json] = {
        "cluster_id": described.cluster_id,
        "controller": described.controller_id,
        "topics": len(cluster.topics),
        "partitions": len(partitions),
        "under_replicated": sum(len(p.isr) < len(p.replicas) for p in partitions),
        "unavailable": sum(p.leader < 0 for p in partitions),
        "brokers": brokers,
    }
    if as_json:
        print_json(shape)
        return
    print_heading(f"Cluster {shape['cluster_id']}")
    print(
        f"{count_text(len(brokers), 'broker')}, {count_text(len(cluster.topics), 'topic')}, "
        f"{count_text(len(partitions), 'partition')}: {shape['under_replicated']} "
        f"under-replicated, {shape['unavailable']} unavailable"
    )
    columns = [
        Column("BROKER", "id"),
        Column("HOST", "host"),
        Column("PORT", "port"),
        Column("RACK", "rack"),
        Column("FENCED", "fenced", lambda fenced: BAD if fenced else FAINT),
        # With KRaft this is some broker that passes requests on: `quorum` tells the leader.
        Column("CONTROLLER", "controller", lambda is_it: GOOD if is_it else FAINT),
        Column("LEADERS", "leaders"),
        Column("REPLICAS", "replicas"),
    ]
    print_table(columns, [broker for broker in brokers if isinstance(broker, dict)])


async def _quorum(cluster: Cluster, as_json: bool) -> None:
    quorum = await cluster_state.describe_quorum(cluster)
    end = max((v.log_end_offset for v in quorum.current_voters), default=0)
    now = now_ms()
    rows = [
        _replica(replica, status, quorum.leader_id, end, now)
        for replicas, status in ((quorum.current_voters, "voter"), (quorum.observers, "observer"))
        for replica in sorted(replicas, key=lambda replica: replica.replica_id)
    ]
    if as_json:
        print_json(
            {
                "leader": quorum.leader_id,
                "leader_epoch": quorum.leader_epoch,
                "high_watermark": quorum.high_watermark,
                "replicas": rows,
            }
        )
        return
    print_heading(
        f"Leader {quorum.leader_id}, epoch {quorum.leader_epoch}, "
        f"high watermark {quorum.high_watermark}"
    )
    statuses = {"leader": GOOD, "observer": FAINT}
    columns = [
        Column("NODE", "id"),
        Column("STATUS", "status", lambda status: statuses.get(str(status), "")),
        Column("DIRECTORY", "directory_id"),
        Column("END", "log_end_offset"),
        Column("LAG", "lag", lambda lag: WARNING if lag else GOOD),
        Column("FETCHED MS AGO", "fetched_ms_ago"),
        Column("CAUGHT UP MS AGO", "caught_up_ms_ago"),
    ]
    print_table(columns, rows)


def _replica(
    replica: ReplicaState, status: str, leader: int, end: int, now: int
) -> dict[str, Json]:
    directory = replica.replica_directory_id
    fetched, caught_up = replica.last_fetch_timestamp, replica.last_caught_up_timestamp
    return {
        "id": replica.replica_id,
        "status": "leader" if replica.replica_id == leader else status,
        "directory_id": None if directory == ZERO_UUID else uuid_text(directory),
        "log_end_offset": replica.log_end_offset,
        "lag": max(end - replica.log_end_offset, 0),
        "fetched_ms_ago": max(now - fetched, 0) if fetched > 0 else None,
        "caught_up_ms_ago": max(now - caught_up, 0) if caught_up > 0 else None,
    }


async def _api_versions(cluster: Cluster, arguments: argparse.Namespace) -> None:
    broker = arguments.broker
    if broker is not None and broker not in cluster.node_ids:
        raise ClientError(f"There is no broker {broker}.")
    response = await cluster_state.api_versions(cluster, broker)
    rows: list[dict[str, Json]] = [
        {
            "key": api.api_key,
            "name": API_TABLE[api.api_key].name if api.api_key in API_TABLE else None,
            "min_version": api.min_version,
            "max_version": api.max_version,
        }
        for api in sorted(response.api_keys, key=lambda api: api.api_key)
    ]
    if arguments.json:
        print_json(rows)
        return
    columns = [
        Column("KEY", "key"),
        Column("API", "name"),
        Column("MIN", "min_version"),
        Column("MAX", "max_version"),
    ]
    print_table(columns, rows)


async def _partitions(
    cluster: Cluster, wanted: Sequence[PartitionsArgument]
) -> list[TopicPartition] | None:
    return await partitions_of(cluster, wanted) if wanted else None


async def _reassignments(
    cluster: Cluster, arguments: argparse.Namespace, wanted: list[PartitionsArgument]
) -> None:
    found = await cluster_state.list_reassignments(cluster, await _partitions(cluster, wanted))
    rows: list[dict[str, Json]] = [
        {
            "topic": moving.topic,
            "partition": moving.partition,
            "replicas": moving.replicas,
            "adding": moving.adding,
            "removing": moving.removing,
        }
        for moving in found
    ]
    if arguments.json:
        print_json(rows)
    elif not rows:
        print("No partitions are being reassigned.")
    else:
        columns = [
            Column("TOPIC", "topic"),
            Column("PARTITION", "partition"),
            Column("REPLICAS", "replicas"),
            Column("ADDING", "adding", lambda _: GOOD),
            Column("REMOVING", "removing", lambda _: WARNING),
        ]
        print_table(columns, rows)


async def _elect(
    cluster: Cluster, arguments: argparse.Namespace, wanted: list[PartitionsArgument]
) -> None:
    kind = ElectionType[arguments.type.upper()]
    results = await cluster_state.elect_leaders(cluster, kind, await _partitions(cluster, wanted))
    fine = (ErrorCode.NONE, ErrorCode.ELECTION_NOT_NEEDED)
    rows: list[dict[str, Json]] = [
        {
            "topic": result.topic,
            "partition": result.partition,
            "result": "elected" if result.error is ErrorCode.NONE else result.error.name,
            "message": result.message,
        }
        for result in sorted(results, key=lambda result: (result.topic, result.partition))
    ]
    if arguments.json:
        print_json(rows)
    elif not rows:
        print("Every partition already has the leader it should have.")
    else:
        columns = [
            Column("TOPIC", "topic"),
            Column("PARTITION", "partition"),
            Column("RESULT", "result", lambda result: GOOD if result == "elected" else WARNING),
            Column("MESSAGE", "message"),
        ]
        print_table(columns, rows)
    failed = sum(result.error not in fine for result in results)
    if failed:
        raise UserError(f"No leader could be elected for {count_text(failed, 'partition')}.")


async def _unregister(cluster: Cluster, broker: int) -> None:
    await cluster_state.unregister_broker(cluster, broker)
    print(f"Broker {broker} is no longer registered.")
