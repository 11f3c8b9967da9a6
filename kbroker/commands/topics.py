"""`kbroker topics`: create, list, describe, alter and delete topics, their offsets and records."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kbroker.client.configs import Resource, describe_configs
from kbroker.client.errors import ClientError
from kbroker.client.records import (
    BEGINNING,
    EARLIEST_LOCAL,
    END,
    LATEST_TIERED,
    MAX_TIMESTAMP,
    list_offsets,
    offsets_for,
)
from kbroker.client.topics import add_partitions, create_topic, delete_records, delete_topic
from kbroker.commands.shared.arguments import (
    UserError,
    add_action,
    add_actions,
    at_least,
    parse_partitions,
    parse_settings,
    parse_topic,
)
from kbroker.commands.shared.output import (
    BAD,
    FAINT,
    Column,
    add_json,
    count_text,
    print_heading,
    print_json,
    print_table,
)
from kbroker.commands.shared.remote import (
    add_bootstrap,
    existing_topics,
    partitions_of,
    with_cluster,
)
from kbroker.commands.shared.times import TIME_FORMS, parse_time_ms
from kbroker.wire.codes import ConfigSource, ResourceType
from kbroker.wire.uuids import uuid_text

if TYPE_CHECKING:
    import argparse

    from kbroker.client.cluster import Cluster, Partition, Topic, TopicPartition
    from kbroker.client.configs import Config
    from kbroker.commands.shared.arguments import Actions, PartitionsArgument, TopicArgument
    from kbroker.commands.shared.output import Json

MIN_ISR = "min.insync.replicas"
SPECIAL_TIMES = {
    "latest": END,
    "earliest": BEGINNING,
    "max-timestamp": MAX_TIMESTAMP,
    "earliest-local": EARLIEST_LOCAL,
    "latest-tiered": LATEST_TIERED,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = add_actions(parser)
    _add_create(actions)
    listing = add_action(actions, "list", "list topics", "kbroker topics list 'orders*'")
    listing.add_argument(
        "pattern",
        metavar="PATTERN",
        nargs="?",
        help="list only topics that match; * and ? work as in a shell",
    )
    listing.add_argument(
        "--internal", action="store_true", help="also list Kafka's internal topics"
    )
    _add_describe(actions)
    alter = add_action(
        actions, "alter", "add partitions to a topic", "kbroker topics alter orders --partitions 6"
    )
    alter.add_argument("topic", metavar="TOPIC")
    alter.add_argument(
        "--partitions",
        type=at_least(1),
        metavar="N",
        required=True,
        help="the new number of partitions",
    )
    delete = add_action(actions, "delete", "delete topics")
    delete.add_argument("topics", metavar="TOPIC", nargs="+")
    delete.add_argument("--if-exists", action="store_true", help="ignore topics that do not exist")
    offsets = add_action(
        actions,
        "offsets",
        "show the offsets of partitions at a given time",
        "kbroker topics offsets orders:0,1 --time 10m",
    )
    offsets.add_argument(
        "topics",
        metavar="TOPIC[:PARTITIONS]",
        nargs="*",
        help="only these topics or partitions (default: all)",
    )
    offsets.add_argument(
        "--time",
        metavar="TIME",
        default="latest",
        help=f"{', '.join(SPECIAL_TIMES)}; or {TIME_FORMS} (default: latest)",
    )
    offsets.add_argument(
        "--internal", action="store_true", help="also show Kafka's internal topics"
    )
    _add_delete_records(actions)
    for action in actions.choices.values():
        add_bootstrap(action)
    for name in ("list", "describe", "offsets"):
        add_json(actions.choices[name])


def _add_create(actions: Actions) -> None:
    create = add_action(
        actions, "create", "create topics", "kbroker topics create orders:3:retention.ms=3600000"
    )
    create.add_argument(
        "topics", metavar="TOPIC[:PARTITIONS[:KEY=VALUE,...]]", nargs="+", help="one or more"
    )
    create.add_argument(
        "--partitions",
        type=at_least(1),
        metavar="N",
        help="the number of partitions (default: set by the broker)",
    )
    create.add_argument(
        "--replicas",
        "--replication-factor",
        type=at_least(1),
        metavar="N",
        help="the replication factor (default: set by the broker)",
    )
    create.add_argument(
        "--config",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="set a configuration key of the topics; can be repeated",
    )
    create.add_argument(
        "--if-not-exists", action="store_true", help="ignore topics that already exist"
    )
    create.add_argument(
        "--validate-only",
        action="store_true",
        help="only check whether the topics could be created, and create nothing",
    )


def _add_describe(actions: Actions) -> None:
    describe = add_action(
        actions,
        "describe",
        "show topics in detail",
        "kbroker topics describe --under-min-isr",
    )
    describe.add_argument(
        "topics",
        metavar="TOPIC",
        nargs="*",
        help="the topics (default: all except Kafka's internal ones)",
    )
    describe.add_argument(
        "--internal", action="store_true", help="also show Kafka's internal topics"
    )
    for names, help_text in (
        (
            ("--under-replicated", "--under-replicated-partitions"),
            "show only partitions with replicas that are not in sync",
        ),
        (
            ("--under-min-isr", "--under-min-isr-partitions"),
            f"show only partitions with fewer in-sync replicas than {MIN_ISR}",
        ),
        (
            ("--at-min-isr", "--at-min-isr-partitions"),
            f"show only partitions with exactly {MIN_ISR} in-sync replicas",
        ),
        (("--unavailable", "--unavailable-partitions"), "show only partitions without a leader"),
    ):
        describe.add_argument(*names, action="store_true", help=help_text)
    describe.add_argument(
        "--overrides",
        "--topics-with-overrides",
        action="store_true",
        help="show only topics that override a configuration key",
    )


def _add_delete_records(actions: Actions) -> None:
    records = add_action(
        actions,
        "delete-records",
        "delete the oldest records of partitions",
        "kbroker topics delete-records orders:0 --before-offset 1000",
    )
    records.add_argument("topics", metavar="TOPIC[:PARTITIONS]", nargs="*")
    before = records.add_mutually_exclusive_group(required=True)
    before.add_argument(
        "--before-offset", type=at_least(0), metavar="N", help="delete records before this offset"
    )
    before.add_argument(
        "--before", metavar="TIME", help=f"delete records older than this time: {TIME_FORMS}"
    )
    before.add_argument("--all", action="store_true", help="delete all records")
    before.add_argument(
        "--offset-json-file",
        metavar="FILE",
        help="read the offsets from a JSON file in the format of kafka-delete-records",
    )


def run(arguments: argparse.Namespace) -> int:
    match arguments.action:
        case "create":
            _create(arguments)
        case "list":
            with_cluster(arguments, lambda cluster: _list(cluster, arguments))
        case "describe":
            with_cluster(arguments, lambda cluster: _describe(cluster, arguments))
        case "alter":
            with_cluster(arguments, lambda cluster: _alter(cluster, arguments))
        case "delete":
            with_cluster(arguments, lambda cluster: _delete(cluster, arguments))
        case "offsets":
            _offsets(arguments)
        case "delete-records":
            _delete_records(arguments)
    return 0


# create, alter, delete


def _create(arguments: argparse.Namespace) -> None:
    configs = parse_settings(arguments.config, "--config")
    wanted = [parse_topic(text, "") for text in arguments.topics]
    with_cluster(arguments, lambda cluster: _create_all(cluster, arguments, wanted, configs))


async def _create_all(
    cluster: Cluster,
    arguments: argparse.Namespace,
    wanted: list[TopicArgument],
    configs: dict[str, str],
) -> None:
    done = "Can create" if arguments.validate_only else "Created"
    existing: set[str] = set()
    if arguments.if_not_exists:
        await cluster.refresh([topic.name for topic in wanted])
        existing = set(cluster.topics)
    failures = []
    for topic in wanted:
        if topic.name in existing:
            print(f"{topic.name} already exists.")
            continue
        try:
            created = await create_topic(
                cluster,
                topic.name,
                topic.partitions or arguments.partitions,
                arguments.replicas,
                configs | topic.configs,
                validate_only=arguments.validate_only,
            )
        except ClientError as error:
            failures.append(str(error))
            continue
        if created.partitions < 0:
            print(f"{done} {topic.name}.")
        else:
            print(
                f"{done} {topic.name}: {count_text(created.partitions, 'partition')}, "
                f"{count_text(created.replication_factor, 'replica')} each."
            )
    if failures:
        raise UserError(" ".join(failures))


async def _alter(cluster: Cluster, arguments: argparse.Namespace) -> None:
    before = len((await cluster.topic(arguments.topic)).partitions)
    await add_partitions(cluster, arguments.topic, arguments.partitions)
    print(f"{arguments.topic} now has {arguments.partitions} partitions instead of {before}.")


async def _delete(cluster: Cluster, arguments: argparse.Namespace) -> None:
    await cluster.refresh(arguments.topics)
    existing = set(cluster.topics)
    failures = []
    for name in arguments.topics:
        if arguments.if_exists and name not in existing:
            print(f"There is no topic {name!r}.")
            continue
        try:
            await delete_topic(cluster, name)
            print(f"Deleted {name}.")
        except ClientError as error:
            failures.append(str(error))
    if failures:
        raise UserError(" ".join(failures))


# list


async def _list(cluster: Cluster, arguments: argparse.Namespace) -> None:
    await cluster.refresh(None)
    rows: list[dict[str, Json]] = [
        {
            "name": topic.name,
            "topic_id": uuid_text(topic.topic_id),
            "internal": topic.is_internal,
            "partitions": len(topic.partitions),
            "replication_factor": len(topic.partitions[0].replicas) if topic.partitions else 0,
            "under_replicated": sum(_is_under_replicated(p) for p in topic.partitions),
            "unavailable": sum(_is_unavailable(p) for p in topic.partitions),
        }
        for name, topic in sorted(cluster.topics.items())
        if (arguments.internal or not topic.is_internal)
        and (arguments.pattern is None or fnmatchcase(name, arguments.pattern))
    ]
    if arguments.json:
        print_json(rows)
    elif not rows:
        print("There are no topics.")
    else:
        columns = [
            Column("TOPIC", "name"),
            Column("PARTITIONS", "partitions"),
            Column("REPLICAS", "replication_factor"),
        ]
        for heading, field in (
            ("UNDER-REPLICATED", "under_replicated"),
            ("UNAVAILABLE", "unavailable"),
        ):
            if any(row[field] for row in rows):
                columns.append(Column(heading, field, lambda value: BAD if value else FAINT))
        print_table(columns, rows)


def _is_under_replicated(partition: Partition) -> bool:
    return len(partition.isr) < len(partition.replicas)


def _is_unavailable(partition: Partition) -> bool:
    return partition.leader < 0


# describe


async def _describe(cluster: Cluster, arguments: argparse.Namespace) -> None:
    topics = await existing_topics(cluster, arguments.topics, internal=arguments.internal)
    resources = [Resource(ResourceType.TOPIC, topic.name) for topic in topics]
    configs = await describe_configs(cluster, resources) if resources else {}
    chosen: list[tuple[Topic, list[Partition], list[Config]]] = []
    filtered = (
        arguments.under_replicated
        or arguments.under_min_isr
        or arguments.at_min_isr
        or arguments.unavailable
    )
    for topic, resource in zip(topics, resources, strict=True):
        overrides = [c for c in configs[resource] if c.source is ConfigSource.DYNAMIC_TOPIC_CONFIG]
        min_isr = next(
            (int(c.value) for c in configs[resource] if c.name == MIN_ISR and c.value), 1
        )
        partitions = [p for p in topic.partitions if _is_chosen(p, min_isr, arguments)]
        if (partitions or not filtered) and (overrides or not arguments.overrides):
            chosen.append((topic, partitions, overrides))
    led = [
        (topic.name, partition.index)
        for topic, partitions, _ in chosen
        for partition in partitions
        if not _is_unavailable(partition)
    ]
    starts = await offsets_for(cluster, dict.fromkeys(led, BEGINNING))
    ends = await offsets_for(cluster, dict.fromkeys(led, END))
    shapes = [_topic_shape(*each, starts, ends) for each in chosen]
    if arguments.json:
        print_json(shapes)
    elif not shapes:
        print("No topics match." if filtered or arguments.overrides else "There are no topics.")
    else:
        for position, shape in enumerate(shapes):
            if position:
                print()
            _print_topic(shape)


def _is_chosen(partition: Partition, min_isr: int, arguments: argparse.Namespace) -> bool:
    """Every filter that is given holds."""
    in_sync = len(partition.isr)
    return (
        (not arguments.under_replicated or _is_under_replicated(partition))
        and (not arguments.under_min_isr or in_sync < min_isr)
        and (not arguments.at_min_isr or in_sync == min_isr)
        and (not arguments.unavailable or _is_unavailable(partition))
    )


def _topic_shape(
    topic: Topic,
    partitions: list[Partition],
    overrides: list[Config],
    starts: dict[TopicPartition, int],
    ends: dict[TopicPartition, int],
) -> dict[str, Json]:
    return {
        "name": topic.name,
        "topic_id": uuid_text(topic.topic_id),
        "internal": topic.is_internal,
        "partition_count": len(topic.partitions),
        "configs": {config.name: config.value for config in overrides},
        "partitions": [
            {
                "partition": p.index,
                "leader": None if p.leader < 0 else p.leader,
                "leader_epoch": p.leader_epoch,
                "replicas": p.replicas,
                "isr": p.isr,
                "offline_replicas": p.offline,
                "start_offset": starts.get((topic.name, p.index)),
                "end_offset": ends.get((topic.name, p.index)),
            }
            for p in partitions
        ],
    }


def _print_topic(shape: dict[str, Json]) -> None:
    count = shape["partition_count"]
    assert isinstance(count, int)
    print_heading(f"{shape['name']}: {count_text(count, 'partition')}")
    configs, partitions = shape["configs"], shape["partitions"]
    assert isinstance(configs, dict)
    assert isinstance(partitions, list)
    for key, value in configs.items():
        print(f"  {key}={value}")
    columns = [
        Column("PARTITION", "partition"),
        Column("LEADER", "leader"),
        Column("EPOCH", "leader_epoch"),
        Column("REPLICAS", "replicas"),
        Column("ISR", "isr"),
        Column("START", "start_offset"),
        Column("END", "end_offset"),
    ]
    if any(row["offline_replicas"] for row in partitions):
        columns.insert(5, Column("OFFLINE", "offline_replicas", lambda _: BAD))
    print_table(columns, partitions)


# offsets and records


def _offsets(arguments: argparse.Namespace) -> None:
    at = SPECIAL_TIMES.get(arguments.time)
    if at is None:
        at = parse_time_ms(arguments.time, "--time")
    wanted = [parse_partitions(text, "TOPIC") for text in arguments.topics]
    with_cluster(arguments, lambda cluster: _show_offsets(cluster, arguments, wanted, at))


async def _show_offsets(
    cluster: Cluster, arguments: argparse.Namespace, wanted: list[PartitionsArgument], at: int
) -> None:
    if not wanted:
        topics = await existing_topics(cluster, [], internal=arguments.internal)
        partitions = [(t.name, p.index) for t in topics for p in t.partitions if p.leader >= 0]
    else:
        partitions = await partitions_of(cluster, wanted)
    found = await list_offsets(cluster, dict.fromkeys(partitions, at))
    rows: list[dict[str, Json]] = [
        {
            "topic": topic,
            "partition": index,
            "offset": None if answer.offset < 0 else answer.offset,
            "timestamp": None if answer.timestamp_ms < 0 else answer.timestamp_ms,
        }
        for (topic, index), answer in sorted(found.items())
    ]
    if arguments.json:
        print_json(rows)
        return
    columns = [
        Column("TOPIC", "topic"),
        Column("PARTITION", "partition"),
        Column("OFFSET", "offset"),
    ]
    if any(row["timestamp"] is not None for row in rows):
        columns.append(Column("TIMESTAMP", "timestamp"))
    print_table(columns, rows)


def _delete_records(arguments: argparse.Namespace) -> None:
    given = arguments.offset_json_file is not None
    if given == bool(arguments.topics):
        raise UserError(
            "--offset-json-file cannot be combined with topics on the command line."
            if given
            else "No topics were given. Example: kbroker topics delete-records orders:0 --all."
        )
    offsets = _read_offsets(arguments.offset_json_file) if given else {}
    wanted = [parse_partitions(text, "TOPIC") for text in arguments.topics]
    before = None if arguments.before is None else parse_time_ms(arguments.before, "--before")

    async def delete(cluster: Cluster) -> None:
        if given:
            await existing_topics(cluster, sorted({topic for topic, _ in offsets}))
            limits = offsets
        else:
            partitions = await partitions_of(cluster, wanted)
            limits = dict.fromkeys(partitions, arguments.before_offset if before is None else END)
            if arguments.all:
                limits = dict.fromkeys(partitions, END)
            elif before is not None:
                limits = await offsets_for(cluster, dict.fromkeys(partitions, before))
        outcomes = await delete_records(cluster, limits)
        for (topic, index), start in sorted(outcomes.done.items()):
            print(f"{topic}-{index} now starts at offset {start}.")
        if outcomes.failures:
            raise UserError(" ".join(map(str, outcomes.failures)))

    with_cluster(arguments, delete)


def _read_offsets(path: str) -> dict[TopicPartition, int]:
    """{"partitions": [{"topic": "t", "partition": 0, "offset": 5}]}; offset -1 is the end."""
    option = f"--offset-json-file {path}"
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        raise UserError(f"{option}: {error.strerror}.") from error
    except ValueError as error:
        raise UserError(f"{option}: the file is not valid JSON: {error}.") from error
    try:
        entries = document["partitions"]
        offsets = {(entry["topic"], entry["partition"]): entry["offset"] for entry in entries}
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{option}: expected {{'partitions': [{{'topic', 'partition', 'offset'}}]}}."
        ) from error
    for (topic, index), offset in offsets.items():
        if not (isinstance(topic, str) and type(index) is int and type(offset) is int):
            raise UserError(
                f"{option}: Invalid entry {topic!r}, {index!r}, {offset!r}: topic must be a "
                "string, partition and offset integers."
            )
    return offsets
