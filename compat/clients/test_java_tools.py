"""Apache Kafka's own command-line tools, each against the broker."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from compat import apache
from compat.apache import ToolError, run_tool
from compat.clients.records import Position, sample_records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from compat.brokers import Broker
    from compat.clients.records import StockClient

pytestmark = [pytest.mark.ci, pytest.mark.java, pytest.mark.client("java")]


def tool(name: str, broker: Broker, *arguments: object, stdin: str | None = None) -> str:
    """Run a tool with --bootstrap-server; what it printed."""
    given = [str(argument) for argument in arguments]
    return run_tool(name, "--bootstrap-server", broker.bootstrap, *given, stdin=stdin)


def test_topics(broker: Broker, unique: Callable[[str], str]) -> None:
    topic = unique("topic")
    create = ("--create", "--topic", topic, "--partitions", 3, "--config", "retention.ms=1234")
    assert f"Created topic {topic}" in tool("topics", broker, *create)
    with pytest.raises(ToolError, match="already exists"):
        tool("topics", broker, *create)
    assert topic in tool("topics", broker, "--list").split()
    described = tool("topics", broker, "--describe", "--topic", topic)
    assert re.search(r"PartitionCount: 3\s+ReplicationFactor: 1\s", described)
    assert "retention.ms=1234" in described
    assert described.count("Leader: ") == 3
    tool("topics", broker, "--alter", "--topic", topic, "--partitions", 5)
    assert "PartitionCount: 5" in tool("topics", broker, "--describe", "--topic", topic)
    tool("topics", broker, "--delete", "--topic", topic)
    assert topic not in tool("topics", broker, "--list").split()


def test_configs(broker: Broker, new_topic: Callable[..., str]) -> None:
    topic = new_topic()
    entity = ("--entity-type", "topics", "--entity-name", topic)
    added = "retention.ms=1234,cleanup.policy=[compact,delete]"
    tool("configs", broker, "--alter", *entity, "--add-config", added)
    described = tool("configs", broker, "--describe", *entity)
    assert "retention.ms=1234 " in described
    assert "cleanup.policy=compact,delete " in described
    tool("configs", broker, "--alter", *entity, "--delete-config", "retention.ms")
    assert "retention.ms" not in tool("configs", broker, "--describe", *entity)
    everything = tool("configs", broker, "--describe", "--all", *entity)
    assert "retention.ms=604800000 " in everything
    with pytest.raises(ToolError, match=r"Unknown topic config name: no\.such\.key"):
        tool("configs", broker, "--alter", *entity, "--add-config", "no.such.key=1")


def test_configs_of_the_broker(broker: Broker) -> None:
    names = ("--entity-type", "brokers", "--entity-default")
    assert "Default configs for brokers" in tool("configs", broker, "--describe", *names)
    tool("configs", broker, "--alter", *names, "--add-config", "log.retention.ms=86400000")
    assert "log.retention.ms=86400000" in tool("configs", broker, "--describe", *names)
    tool("configs", broker, "--alter", *names, "--delete-config", "log.retention.ms")
    assert "log.retention.ms" not in tool("configs", broker, "--describe", *names)


def test_consumer_groups(
    broker: Broker,
    clients: dict[str, StockClient],
    new_topic: Callable[..., str],
    unique: Callable[[str], str],
) -> None:
    topic, group = new_topic(), unique("group")
    records = sample_records(1)
    clients["librdkafka"].produce(broker.bootstrap, topic, records)
    clients["librdkafka"].commit(broker.bootstrap, group, topic, 0, Position(7, ""), wait=True)
    assert group in tool("consumer-groups", broker, "--list").split()
    listed = tool("consumer-groups", broker, "--list", "--state").splitlines()
    assert any(line.split() == [group, "Empty"] for line in listed)

    def row() -> list[str]:
        described = tool("consumer-groups", broker, "--describe", "--group", group, "--offsets")
        return next(line for line in described.splitlines() if topic in line).split()

    end = len(records)
    assert row()[:6] == [group, topic, "0", "7", str(end), str(end - 7)]
    state = tool("consumer-groups", broker, "--describe", "--group", group, "--state")
    assert re.search(rf"{group}\s.*\sEmpty\s", state)

    reset = ("--reset-offsets", "--group", group, "--topic", topic, "--execute")
    for how, offset in (
        (("--to-earliest",), 0),
        (("--shift-by", 5), 5),
        (("--to-latest",), end),
        (("--to-offset", 3), 3),
    ):
        tool("consumer-groups", broker, *reset, *how)
        assert row()[3] == str(offset)
    deleted = ("--delete-offsets", "--group", group, "--topic", topic)
    assert "Successful" in tool("consumer-groups", broker, *deleted)
    tool("consumer-groups", broker, "--delete", "--group", group)
    assert group not in tool("consumer-groups", broker, "--list").split()


def test_get_offsets(
    broker: Broker, clients: dict[str, StockClient], new_topic: Callable[..., str]
) -> None:
    topic, records = new_topic(2), sample_records(2)
    clients["librdkafka"].produce(broker.bootstrap, topic, records)
    middle_ms = records[40].timestamp_ms  # partition 0, offset 20

    def offsets(time_spec: object) -> list[str]:
        return tool("get-offsets", broker, "--topic", topic, "--time", time_spec).split()

    half = len(records) // 2
    assert offsets("latest") == [f"{topic}:0:{half}", f"{topic}:1:{half}"]
    assert offsets("earliest") == [f"{topic}:0:0", f"{topic}:1:0"]
    assert offsets("max-timestamp") == [f"{topic}:0:{half - 1}", f"{topic}:1:{half - 1}"]
    assert offsets(middle_ms) == [f"{topic}:0:20", f"{topic}:1:20"]


# What Apache Kafka 4.3.0 advertises of the APIs that a single node must have.
ADVERTISED = {
    "Produce": "0 to 13",
    "Fetch": "4 to 18",
    "ListOffsets": "1 to 11",
    "Metadata": "0 to 13",
    "OffsetCommit": "2 to 10",
    "OffsetFetch": "1 to 10",
    "FindCoordinator": "0 to 6",
    "JoinGroup": "0 to 9",
    "Heartbeat": "0 to 4",
    "LeaveGroup": "0 to 5",
    "SyncGroup": "0 to 5",
    "DescribeGroups": "0 to 6",
    "ListGroups": "0 to 5",
    "ApiVersions": "0 to 4",
    "CreateTopics": "2 to 7",
    "DeleteTopics": "1 to 6",
    "InitProducerId": "0 to 5",
    "OffsetForLeaderEpoch": "2 to 4",
    "DescribeConfigs": "1 to 4",
    "CreatePartitions": "0 to 3",
    "DeleteGroups": "0 to 2",
    "IncrementalAlterConfigs": "0 to 1",
    "OffsetDelete": "0",
    "DescribeCluster": "0 to 2",
    "DescribeTopicPartitions": "0",
}


def test_api_versions(broker: Broker) -> None:
    lines = tool("api-versions", broker).splitlines()
    found = {}
    for line in lines:
        match = re.match(r"\s*(\w+)\((\d+)\): (\d+(?: to \d+)?) ", line)
        if match:
            found[match[1]] = match[3]
    assert {name: found.get(name) for name in ADVERTISED} == ADVERTISED


def test_features(broker: Broker) -> None:
    def described() -> dict[str, list[str]]:
        """By feature: the lowest and highest level there is, and the one it is at."""
        lines = tool("features", broker, "describe").splitlines()
        rows = [re.findall(r"\S+: +(\S+)", line) for line in lines if line.startswith("Feature: ")]
        return {name: levels[:3] for name, *levels in rows}

    before = described()
    assert before["metadata.version"] == ["3.3-IV3", "4.3-IV0", "4.3-IV0"]
    assert before["transaction.version"] == ["0", "2", "2"]
    with pytest.raises(ToolError, match="Refusing to perform the requested downgrade"):
        tool("features", broker, "downgrade", "--feature", "metadata.version=29")
    down = ("downgrade", "--feature", "transaction.version=1")
    assert "can be downgraded to 1" in tool("features", broker, *down, "--dry-run")
    assert described() == before
    tool("features", broker, *down)
    tool("features", broker, "disable", "--feature", "streams.version")
    after = described()
    assert (after["transaction.version"][2], after["streams.version"][2]) == ("1", "0")
    tool("features", broker, "upgrade", "--release-version", "4.3")
    assert described() == {**before, "kraft.version": ["0", "1", "1"]}


def test_client_metrics(broker: Broker, unique: Callable[[str], str]) -> None:
    name = unique("subscription")
    given = (
        "--metrics",
        "org.apache.kafka.producer.",
        "--interval",
        1000,
        "--match",
        "client_id=x",
    )
    tool("client-metrics", broker, "--alter", "--name", name, *given)
    assert name in tool("client-metrics", broker, "--list").split()
    text = tool("client-metrics", broker, "--describe", "--name", name)
    assert re.findall(r"(\S+?)=(\S+)", text) == [
        ("interval.ms", "1000"),
        ("match", "client_id=x"),
        ("metrics", "org.apache.kafka.producer."),
    ]
    with pytest.raises(ToolError, match="interval must be between 100 and 3600000"):
        tool("client-metrics", broker, "--alter", "--name", name, "--interval", 5)
    tool("client-metrics", broker, "--delete", "--name", name)
    assert name not in tool("client-metrics", broker, "--list").split()


def test_cluster(broker: Broker) -> None:
    output = run_tool("cluster", "cluster-id", "--bootstrap-server", broker.bootstrap)
    assert re.search(r"Cluster ID: [\w-]{22}$", output, re.MULTILINE)
    output = run_tool("cluster", "list-endpoints", "--bootstrap-server", broker.bootstrap)
    assert re.search(rf"\s{broker.host}\s+{broker.port}\s", output)


def test_console_producer_and_consumer(broker: Broker, unique: Callable[[str], str]) -> None:
    topic, group = unique("topic"), unique("group")
    lines = ["a:1,b:2|k1|v1", "NULL|k2|NULL", "c:3|NULL|v3", "NULL|k4|", "NULL|ключ|значение"]
    properties = ("parse.key=true", "parse.headers=true", "key.separator=|", "null.marker=NULL")
    given = [option for one in properties for option in ("--reader-property", one)]
    given += ["--reader-property", "headers.delimiter=|"]
    produced = "\n".join(lines) + "\n"
    tool("console-producer", broker, "--topic", topic, *given, stdin=produced)
    shown = ("print.key=true", "print.headers=true", "null.literal=NULL", "key.separator=|")
    wanted = [option for one in shown for option in ("--formatter-property", one)]
    output = tool(
        "console-consumer",
        broker,
        *("--topic", topic, "--from-beginning", "--max-messages", len(lines)),
        *("--group", group, "--timeout-ms", 30_000),
        *wanted,
    )
    got = [line.replace("NO_HEADERS", "NULL") for line in output.splitlines() if "|" in line]
    assert got == lines


def test_perf_tools(
    broker: Broker, new_topic: Callable[..., str], unique: Callable[[str], str]
) -> None:
    topic, records = new_topic(3), 200_000
    output = tool(
        "producer-perf",
        broker,
        *("--topic", topic, "--num-records", records, "--record-size", 200),
        *("--throughput", -1, "--command-property", "acks=all", "compression.type=snappy"),
    )
    assert f"{records} records sent" in output
    assert "Exception" not in output
    wanted = ("--topic", topic, "--group", unique("group"), "--num-records", records)
    output = tool("consumer-perf", broker, *wanted)
    columns = output.splitlines()[-1].split(", ")
    assert int(columns[4]) == records


def test_verifiable_producer_and_consumer(
    broker: Broker, unique: Callable[[str], str], tmp_path: Path
) -> None:
    topic, group, count = unique("topic"), unique("group"), 5_000
    output = tool(
        "verifiable-producer", broker, "--topic", topic, "--max-messages", count, "--acks", -1
    )
    assert _events(output)["producer_send_success"] == count
    assert "producer_send_error" not in output
    command = apache.tool_command(
        "verifiable-consumer",
        *("--bootstrap-server", broker.bootstrap, "--topic", topic, "--group-id", group),
        *("--max-messages", str(count), "--reset-policy", "earliest"),
        flags=apache.SHORT_RUN,
    )
    log = tmp_path / "consumer"
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            process.wait(60)
        finally:
            process.kill()
            process.wait()
    events = [json.loads(line) for line in log.read_text().splitlines() if line[:1] == "{"]
    consumed = sum(e["count"] for e in events if e["name"] == "records_consumed")
    assert consumed == count
    commits = [e for e in events if e["name"] == "offsets_committed"]
    assert commits
    assert all(e["success"] for e in commits)
    assert commits[-1]["offsets"][0]["offset"] == count


def test_a_group_of_verifiable_consumers_shows_its_members(
    broker: Broker, new_topic: Callable[..., str], unique: Callable[[str], str]
) -> None:
    topic, group = new_topic(4), unique("group")
    command = apache.tool_command(
        "verifiable-consumer",
        *("--bootstrap-server", broker.bootstrap, "--topic", topic, "--group-id", group),
        *("--group-instance-id", "the-one"),
        flags=apache.SHORT_RUN,
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            while "partitions_assigned" not in process.stdout.readline():
                assert process.poll() is None
            describe = ("--describe", "--group", group)
            members = tool("consumer-groups", broker, *describe, "--members", "--verbose")
            row = next(line for line in members.splitlines() if line.startswith(group))
            assert "the-one" in row
            assert f"{topic}:0,1,2,3" in row or f"{topic}(0,1,2,3)" in row
            state = tool("consumer-groups", broker, *describe, "--state")
            assert re.search(r"\srange\s+Stable\s", state)
            refused = tool("consumer-groups", broker, "--delete", "--group", group)
            assert "GroupNotEmptyException" in refused
        finally:
            process.kill()


def _events(output: str) -> dict[str, int]:
    """How often each event is in the output of a verifiable tool."""
    counts: dict[str, int] = {}
    for line in output.splitlines():
        if line.startswith("{"):
            event: dict[str, Any] = json.loads(line)
            counts[event["name"]] = counts.get(event["name"], 0) + 1
    return counts
