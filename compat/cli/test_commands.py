"""Our commands and Apache Kafka's own tools, on the same broker: they see the same."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from kbroker.controller.features import METADATA_VERSION
from kbroker.controller.releases import metadata_level, release_levels

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker

    Run = Callable[..., str]

pytestmark = pytest.mark.ci

WAIT_S = 60


def write_ages(ours: Run, topic: str, partitions: int) -> None:
    """A record of 40, 30, 20 and 10 minutes ago in each partition."""
    now_ms = time.time_ns() // 1_000_000
    records = [
        {"value": f"{minutes}", "partition": partition, "timestamp": now_ms - minutes * 60_000}
        for minutes in (40, 30, 20, 10)
        for partition in range(partitions)
    ]
    ours("produce", topic, "--json", stdin="".join(json.dumps(r) + "\n" for r in records))


def test_topics(ours: Run, ours_json: Callable[..., Any], theirs: Run, new_topic: Run) -> None:
    topic = new_topic(3, "retention.ms=1234567,cleanup.policy=compact,delete")
    described = theirs("topics", "--describe", "--topic", topic)
    (shape,) = ours_json("topics", "describe", topic)
    assert shape["topic_id"] == re.search(r"TopicId: (\S+)", described)[1]  # type: ignore[index]
    assert shape["configs"] == {"retention.ms": "1234567", "cleanup.policy": "compact,delete"}
    rows = re.findall(r"Partition: (\d+)\s+Leader: (\d+)\s+Replicas: (\S+)\s+Isr: (\S+)", described)
    assert [
        (str(p["partition"]), str(p["leader"]), text(p["replicas"]), text(p["isr"]))
        for p in shape["partitions"]
    ] == rows
    ours("topics", "alter", topic, "--partitions", 5)
    assert "PartitionCount: 5" in theirs("topics", "--describe", "--topic", topic)
    assert topic in [t["name"] for t in ours_json("topics", "list")]
    assert "already exists" in ours("topics", "create", topic, status=1)
    ours("topics", "delete", topic)
    assert topic not in theirs("topics", "--list").split()
    assert f"There is no topic '{topic}'" in ours("topics", "describe", topic, status=1)


def text(numbers: list[int]) -> str:
    return ",".join(map(str, numbers))


def test_offsets_and_deleted_records(
    ours: Run, ours_json: Callable[..., Any], theirs: Run, new_topic: Run
) -> None:
    topic = new_topic(2)
    write_ages(ours, topic, 2)
    since_ms = time.time_ns() // 1_000_000 - 25 * 60_000
    ours("topics", "delete-records", f"{topic}:1", "--before", "35m")
    for time_spec in ("latest", "earliest", "max-timestamp", since_ms):
        rows = ours_json("topics", "offsets", topic, "--time", time_spec)
        lines = [f"{row['topic']}:{row['partition']}:{row['offset']}" for row in rows]
        assert lines == theirs("get-offsets", "--topic", topic, "--time", time_spec).split()
    offsets = [row["offset"] for row in ours_json("topics", "offsets", topic, "--time", "earliest")]
    assert offsets == [0, 1]


def test_configs(ours: Run, ours_json: Callable[..., Any], theirs: Run, new_topic: Run) -> None:
    topic = new_topic()
    ours("configs", "set", "--topic", topic, "retention.ms=5", "cleanup.policy=compact")
    ours("configs", "append", "--topic", topic, "cleanup.policy=delete")
    ours("configs", "subtract", "--topic", topic, "cleanup.policy=compact")
    for ours_of, theirs_of in (
        (("--topic", topic), ("--entity-type", "topics", "--entity-name", topic)),
        (("--broker", 1), ("--entity-type", "brokers", "--entity-name", 1)),
    ):
        configs = ours_json("configs", "describe", *ours_of, "--all")
        described = theirs("configs", "--describe", "--all", *theirs_of)
        # Values may hold anything but what stands behind them.
        found = re.findall(r"^  (\S+?)=(.*) sensitive=(\w+) synonyms=\{(.*)\}$", described, re.M)
        assert len(found) == len(configs) > 20
        assert {name: (value, sensitive) for name, value, sensitive, _ in found} == {
            c["name"]: (str(c["value"]).replace("None", "null"), str(c["sensitive"]).lower())
            for c in configs
        }
        sources = {name: synonyms.partition(":")[0] for name, _, _, synonyms in found if synonyms}
        assert sources == {c["name"]: c["synonyms"][0]["source"] for c in configs if c["synonyms"]}
    ours("configs", "unset", "--topic", topic, "retention.ms", "cleanup.policy")
    assert ours_json("configs", "describe", "--topic", topic) == []


def test_configs_of_other_kinds(ours: Run, theirs: Run, unique: Callable[[str], str]) -> None:
    group, metrics = unique("group"), unique("metrics")
    for ours_of, kind, name, setting in (
        (("--group", group), "groups", group, "consumer.session.timeout.ms=50000"),
        (("--client-metrics", metrics), "client-metrics", metrics, "interval.ms=1000"),
    ):
        ours("configs", "set", *ours_of, setting)
        given = ("--describe", "--entity-type", kind, "--entity-name", name)
        assert setting in theirs("configs", *given)
        assert setting.partition("=")[2] in ours("configs", "describe", *ours_of)
        ours("configs", "unset", *ours_of, setting.partition("=")[0])


def test_a_group_with_members(
    broker: Broker,
    ours: Run,
    ours_json: Callable[..., Any],
    theirs: Run,
    new_topic: Run,
    unique: Callable[[str], str],
) -> None:
    topic, group = new_topic(4), unique("group")
    write_ages(ours, topic, 4)
    ours("groups", "reset-offsets", group, "--topic", f"{topic}:0-2", "--to-offset", 1, "--execute")
    members = [
        subprocess.Popen(
            [sys.executable, "-m", "kbroker", "consume", topic, "--group", group],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap},
        )
        for _ in range(2)
    ]
    try:
        deadline = time.monotonic() + WAIT_S
        while True:
            (shape,) = ours_json("groups", "describe", group)
            shares = sorted(len(member["partitions"]) for member in shape["members"])
            if shares == [2, 2] and shape["lag"] == 0:
                break
            assert time.monotonic() < deadline, shape
            time.sleep(0.3)
        described = theirs("consumer-groups", "--describe", "--group", group)
        rows = sorted(line.split() for line in described.splitlines() if topic in line)
        assert rows == [
            [
                group,
                topic,
                str(p["partition"]),
                *(str(p["committed_offset"]) if p["committed_offset"] is not None else "-",),
                str(p["end_offset"]),
                str(p["lag"]) if p["lag"] is not None else "-",
                p["member_id"],
                p["host"],
                p["client_id"],
            ]
            for p in shape["partitions"]
        ]
        state = theirs("consumer-groups", "--describe", "--group", group, "--state")
        assert re.search(r"\srange\s+Stable\s+2", state)
        assert (shape["assignor"], shape["state"]) == ("range", "Stable")
        refused = ours(
            *("groups", "reset-offsets", group, "--topic", topic, "--to-earliest", "--execute"),
            status=1,
        )
        assert (
            "is in state Stable. Offsets can be reset only while a group has no members." in refused
        )
        assert "NON_EMPTY_GROUP" in ours("groups", "delete", group, status=1)
    finally:
        for member in members:
            member.send_signal(signal.SIGINT)
        outputs = [member.communicate(timeout=WAIT_S) for member in members]
    assert [member.returncode for member in members] == [130, 130]
    assert [errors for _, errors in outputs] == [b"", b""]
    ours("groups", "delete-offsets", group, "--topic", topic)
    ours("groups", "delete", group)
    assert group not in theirs("consumer-groups", "--list").split()


# As the two name them.
WAYS = (
    ("--to-earliest",),
    ("--to-latest",),
    ("--to-current",),
    ("--to-offset", 1),
    ("--to-offset", 99),
    ("--shift-by", 2),
    ("--shift-by", -99),
    ("--by-duration", "PT25M"),
    ("--by-duration", "PT1M"),
    ("--to-datetime", None),
)


def test_every_way_to_reset_offsets(
    ours: Run, theirs: Run, new_topic: Run, unique: Callable[[str], str]
) -> None:
    topic, group = new_topic(2), unique("group")
    write_ages(ours, topic, 2)
    ours("topics", "delete-records", f"{topic}:0", "--before-offset", 1)
    scope = ("groups", "reset-offsets", group, "--topic", topic)
    ours(*scope, "--to-offset", 2, "--execute")
    for way, *argument in WAYS:
        if argument == [None]:
            moment = time.gmtime(time.time() - 35 * 60)
            argument = [time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", moment)]
        exported = theirs(
            *("consumer-groups", "--reset-offsets", "--group", group, "--topic", topic),
            *("--dry-run", "--export", way, *argument),
        )
        theirs_rows = [line for line in exported.splitlines() if line.startswith(topic)]
        ours_rows = ours(*scope, "--export", way, *argument).split()
        assert sorted(theirs_rows) == ours_rows, (way, *argument)


def test_files_of_offsets_go_both_ways(
    ours: Run,
    ours_json: Callable[..., Any],
    theirs: Run,
    new_topic: Run,
    unique: Callable[[str], str],
    tmp_path: Any,
) -> None:
    topic, group, file = new_topic(2), unique("group"), tmp_path / "offsets.csv"
    write_ages(ours, topic, 2)
    file.write_text(
        ours("groups", "reset-offsets", group, "--topic", topic, "--to-datetime", "25m", "--export")
    )
    theirs("consumer-groups", "--reset-offsets", "--group", group, "--from-file", file, "--execute")
    (shape,) = ours_json("groups", "describe", group)
    assert [p["committed_offset"] for p in shape["partitions"]] == [2, 2]


def test_log_directories(
    ours: Run, ours_json: Callable[..., Any], theirs: Run, new_topic: Run
) -> None:
    topic = new_topic(3)
    write_ages(ours, topic, 2)
    told = theirs("log-dirs", "--describe", "--topic-list", topic)
    document = json.loads(next(line for line in told.splitlines() if line.startswith("{")))
    expected = [
        {
            "broker": node["broker"],
            "path": directory["logDir"],
            "error": directory["error"],
            "replicas": sorted(
                (p["partition"], p["size"], p["offsetLag"], p["isFuture"])
                for p in directory["partitions"]
            ),
        }
        for node in document["brokers"]
        for directory in node["logDirs"]
    ]
    assert [
        {
            "broker": directory["broker"],
            "path": directory["path"],
            "error": None,
            "replicas": [
                (f"{r['topic']}-{r['partition']}", r["size_bytes"], r["offset_lag"], r["future"])
                for r in directory["replicas"]
            ],
        }
        for directory in ours_json("log-dirs", "describe", topic)
    ] == expected
    assert "LOG_DIR_NOT_FOUND" in ours(
        "log-dirs", "move", topic, "--broker", 1, "--to", "/no/such/dir", status=1
    )


def test_the_cluster(ours: Run, ours_json: Callable[..., Any], theirs: Run, new_topic: Run) -> None:
    topic = new_topic()
    status = ours_json("cluster", "status")
    told = theirs("topics", "--describe", "--topic", topic)  # a tool that asks for the brokers
    assert f"Leader: {status['brokers'][0]['id']}" in told
    quorum = theirs("metadata-quorum", "describe", "--status")
    shape = ours_json("cluster", "quorum")
    assert status["cluster_id"] == re.search(r"ClusterId:\s+(\S+)", quorum)[1]  # type: ignore[index]
    assert shape["leader"] == int(re.search(r"LeaderId:\s+(\d+)", quorum)[1])  # type: ignore[index]
    features = theirs("features", "describe")
    found = re.findall(
        r"Feature: (\S+)\s+SupportedMinVersion: (\S+)\s+SupportedMaxVersion: (\S+)\s+"
        r"FinalizedVersionLevel: (\S+)",
        features,
    )
    shown = ours_json("cluster", "features", "describe")["features"]
    assert sorted(
        (f["name"], str(f["min_supported"]), str(f["max_supported"]), str(f["level"]))
        for f in shown
        if f["name"] != METADATA_VERSION
    ) == sorted(feature for feature in found if feature[0] != METADATA_VERSION)
    # Its levels have names there.
    (level_name,) = (f["level_name"] for f in shown if f["name"] == METADATA_VERSION)
    assert [level for name, _, _, level in found if name == METADATA_VERSION] == [level_name]
    versions = theirs("api-versions")
    for api in ours_json("cluster", "api-versions"):
        if api["name"] is not None:
            low, high = api["min_version"], api["max_version"]
            shown = f"{low}" if low == high else f"{low} to {high}"
            assert re.search(rf"{api['name']}\({api['key']}\): {shown} \[", versions), api
    assert ours("cluster", "reassignments", topic) == "No partitions are being reassigned.\n"
    (elected,) = ours_json("cluster", "elect-leaders", topic, "--type", "preferred")
    assert elected["result"] == "ELECTION_NOT_NEEDED"
    assert "INVALID_UPDATE_VERSION" in ours(
        "cluster", "features", "upgrade", "no.such.feature=1", status=1
    )


@pytest.mark.parametrize("release", ["3.3", "3.9.1", "4.0-IV1", "4.0", "4.2", "4.3"])
def test_a_release_has_the_levels_that_it_has_there(theirs: Run, release: str) -> None:
    lines = theirs("features", "version-mapping", "--release-version", release).splitlines()
    level = metadata_level(release)
    assert level is not None
    assert {
        name: int(number) for name, number in re.findall(r"(\S+)=(\d+)", "\n".join(lines))
    } == release_levels(level)


def test_keys_choose_the_partitions_that_java_chooses(
    ours: Run, theirs: Run, new_topic: Run
) -> None:
    ours_topic, theirs_topic = new_topic(7), new_topic(7)
    lines = "".join(f"key{number}:{number}\n" for number in range(300)) + "schlüssel:x\n"
    ours("produce", ours_topic, "--key-separator", ":", "--compression", "zstd", stdin=lines)
    options = ("--reader-property", "parse.key=true", "--reader-property", "key.separator=:")
    theirs("console-producer", "--topic", theirs_topic, *options, stdin=lines)

    def placed(topic: str) -> set[tuple[int, str, str]]:
        out = ours("consume", topic, "--from-beginning", "--until-end", "--json")
        records = [json.loads(line) for line in out.splitlines()]
        return {(r["partition"], r["key"], r["value"]) for r in records}

    assert len(placed(ours_topic)) == 301
    assert placed(ours_topic) == placed(theirs_topic)


def test_what_we_write_their_consumer_reads_and_the_other_way(
    ours: Run, theirs: Run, new_topic: Run
) -> None:
    first, second = new_topic(), new_topic()
    ours(
        "produce",
        first,
        "--key-separator",
        ":",
        "--null",
        "-",
        "--header",
        "h=1",
        stdin="a:b\nc:-\n",
    )
    shown = ("print.key=true", "print.headers=true", "null.literal=NULL")
    wanted = [option for one in shown for option in ("--formatter-property", one)]
    given = ("--from-beginning", "--max-messages", 2, "--timeout-ms", 30_000)
    out = theirs("console-consumer", "--topic", first, *given, *wanted)
    assert "h:1\ta\tb\nh:1\tc\tNULL\n" in out
    options = [
        option
        for one in (
            "parse.key=true",
            "parse.headers=true",
            "null.marker=-",
            "headers.delimiter=|",
            "key.separator=|",
        )
        for option in ("--reader-property", one)
    ]
    theirs("console-producer", "--topic", second, *options, stdin="h:1|a|b\nh:1|c|-\n")
    words = ("consume", second, "--from-beginning", "--max", 2, "--headers", "--keys")
    assert ours(*words) == "h=1\ta\tb\nh=1\tc\tnull\n"
    json_lines = ours("consume", second, "--from-beginning", "--until-end", "--json")
    third = new_topic()
    ours("produce", third, "--json", stdin=json_lines)
    again = ours("consume", third, "--from-beginning", "--until-end", "--json")
    assert again.replace(third, second) == json_lines
