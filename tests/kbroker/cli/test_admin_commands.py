"""Commands for administrators, against a broker in another thread."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from kbroker.testing import broker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kbroker.testing import Kafka

    from .conftest import Terminal


def test_topics(terminal: Terminal) -> None:
    assert "orders" in terminal.run("topics", "list")
    out = terminal.run("topics", "create", "new", "--partitions", "2", "--config", "retention.ms=5")
    assert out == "Created new: 2 partitions, 1 replica each.\n"
    assert terminal.run("topics", "describe", "new") == (
        "new: 2 partitions\n"
        "  retention.ms=5\n"
        "PARTITION  LEADER  EPOCH  REPLICAS  ISR  START  END\n"
        "        0       1      0  1         1        0    0\n"
        "        1       1      0  1         1        0    0\n"
    )
    assert "already exists" in terminal.run("topics", "create", "new", status=1)
    assert terminal.run("topics", "create", "new", "--if-not-exists") == "new already exists.\n"
    assert terminal.run("topics", "alter", "new", "--partitions", "3") == (
        "new now has 3 partitions instead of 2.\n"
    )
    assert "INVALID_PARTITIONS" in terminal.run(
        "topics", "alter", "new", "--partitions", "2", status=1
    )
    assert terminal.run("topics", "delete", "new") == "Deleted new.\n"
    assert "There is no topic 'new'." in terminal.run("topics", "describe", "new", status=1)
    assert "There is no topic 'new'." in terminal.run("topics", "delete", "new", status=1)
    assert terminal.run("topics", "delete", "new", "--if-exists") == "There is no topic 'new'.\n"


def test_a_topic_that_is_only_tried(terminal: Terminal) -> None:
    out = terminal.run("topics", "create", "tried:2", "--validate-only")
    assert out == "Can create tried: 2 partitions, 1 replica each.\n"
    assert "tried" not in terminal.run("topics", "list")


def test_several_topics_of_which_some_cannot_be(terminal: Terminal) -> None:
    error = terminal.run("topics", "create", "good:1:retention.ms=7", "bad name", status=1)
    assert error.count("\n") == 1
    assert "'bad name' could not be created" in error
    (good,) = terminal.run_json("topics", "describe", "good")
    assert good["configs"] == {"retention.ms": "7"}


def test_topics_as_json(terminal: Terminal) -> None:
    terminal.run("topics", "create", "shaped:2")
    (listed,) = terminal.run_json("topics", "list", "shap*")
    assert len(listed.pop("topic_id")) == 22
    assert listed == {
        "name": "shaped",
        "internal": False,
        "partitions": 2,
        "replication_factor": 1,
        "under_replicated": 0,
        "unavailable": 0,
    }
    (described,) = terminal.run_json("topics", "describe", "shaped")
    assert described["partitions"][1] == {
        "partition": 1,
        "leader": 1,
        "leader_epoch": 0,
        "replicas": [1],
        "isr": [1],
        "offline_replicas": [],
        "start_offset": 0,
        "end_offset": 0,
    }


def test_topics_are_filtered(terminal: Terminal) -> None:
    names = [topic["name"] for topic in terminal.run_json("topics", "describe", "--overrides")]
    assert "orders" in names
    for option in ("--under-replicated", "--under-min-isr", "--unavailable"):
        assert terminal.run_json("topics", "describe", option) == []
    assert terminal.run("topics", "describe", "--unavailable-partitions") == "No topics match.\n"
    at_min = terminal.run_json("topics", "describe", "orders", "--at-min-isr")
    assert len(at_min[0]["partitions"]) == 3
    terminal.run("configs", "set", "--topic", "orders", "min.insync.replicas=2")
    under = terminal.run_json("topics", "describe", "--under-min-isr")
    assert [topic["name"] for topic in under] == ["orders"]
    terminal.run("configs", "unset", "--topic", "orders", "min.insync.replicas")
    assert terminal.run("topics", "list", "no*") == "There are no topics.\n"


def test_offsets_and_records_that_go(terminal: Terminal, tmp_path: Path) -> None:
    terminal.run("topics", "create", "aged:2")
    for minutes in ("30m", "20m", "10m"):
        words = ("--partition", "0", "--timestamp", minutes)
        terminal.run("produce", "aged", *words, typed="x\n")

    def offsets(time: str) -> list[int | None]:
        rows = terminal.run_json("topics", "offsets", "aged", "--time", time)
        return [row["offset"] for row in rows]

    assert offsets("latest") == [3, 0]
    assert offsets("earliest") == [0, 0]
    assert offsets("max-timestamp") == [2, None]
    assert offsets("25m") == [1, None]
    assert (
        terminal.run("topics", "offsets", "aged:0")
        == "TOPIC  PARTITION  OFFSET\naged           0       3\n"
    )
    delete = ("topics", "delete-records")
    assert terminal.run(*delete, "aged:0", "--before-offset", "1") == (
        "aged-0 now starts at offset 1.\n"
    )
    assert "now starts at offset 2" in terminal.run(*delete, "aged:0", "--before", "15m")
    assert "OFFSET_OUT_OF_RANGE" in terminal.run(
        *delete, "aged:0", "--before-offset", "9", status=1
    )
    error = terminal.run(*delete, "aged:1,0", "--before-offset", "3", status=1)
    assert "Partition aged-1 could not be emptied: " in error
    assert error.count("\n") == 1
    assert offsets("earliest") == [3, 0]
    file = tmp_path / "offsets.json"
    entry = {"topic": "aged", "partition": 0, "offset": -1}
    file.write_text(json.dumps({"partitions": [entry], "version": 1}))
    assert "now starts at offset 3" in terminal.run(*delete, "--offset-json-file", str(file))
    file.write_text("{}")
    assert "expected {'partitions'" in terminal.run(
        *delete, "--offset-json-file", str(file), status=1
    )
    assert offsets("earliest") == [3, 0]
    assert "There is no partition 2. The partitions of aged are 0 to 1." in terminal.run(
        "topics", "offsets", "aged:1-2", status=1
    )


def test_a_group_that_takes_no_offsets_costs_the_others_nothing(terminal: Terminal) -> None:
    reset = ("groups", "reset-offsets", "x" * 40_000, "beside", "--topic", "orders")
    error = terminal.run(*reset, "--to-earliest", "--execute", status=1)
    assert "request cannot be encoded" in error
    assert error.count("\n") == 1
    (group,) = terminal.run_json("groups", "describe", "beside")
    assert [p["committed_offset"] for p in group["partitions"]] == [0, 0, 0]


def test_configs_of_a_topic(terminal: Terminal) -> None:
    terminal.run("topics", "create", "configured:1")
    of = ("--topic", "configured")
    assert "No values differ from the defaults" in terminal.run("configs", "describe", *of)
    assert terminal.run("configs", "set", *of, "retention.ms=5", "cleanup.policy=compact") == (
        "Topic 'configured' has been changed.\n"
    )
    terminal.run("configs", "append", *of, "cleanup.policy=delete")
    assert terminal.run("configs", "describe", *of) == (
        "Topic configured\n"
        "KEY             VALUE           SOURCE\n"
        "cleanup.policy  compact,delete  DYNAMIC_TOPIC_CONFIG\n"
        "retention.ms    5               DYNAMIC_TOPIC_CONFIG\n"
    )
    terminal.run("configs", "subtract", *of, "cleanup.policy=compact")
    terminal.run("configs", "unset", *of, "retention.ms")
    (config,) = terminal.run_json("configs", "describe", *of)
    assert (config["name"], config["value"]) == ("cleanup.policy", "delete")
    assert config["synonyms"][-1]["source"] == "DEFAULT_CONFIG"
    everything = terminal.run_json("configs", "describe", *of, "--all")
    assert len(everything) > 20
    assert "can be changed" in terminal.run(
        "configs", "set", *of, "retention.ms=9", "--validate-only"
    )
    assert len(terminal.run_json("configs", "describe", *of)) == 1
    error = terminal.run("configs", "set", *of, "nope=1", status=1)
    assert "Topic 'configured' could not be changed: Unknown topic config name: nope" in error
    assert "There is no topic 'x'." in terminal.run("configs", "describe", "--topic", "x", status=1)


def test_configs_of_all_kinds(terminal: Terminal) -> None:
    for of, setting in (
        (("--broker-defaults",), "log.retention.ms=86400000"),
        (("--broker", "1"), "log.segment.bytes=1048577"),
        (("--group", "configured-group"), "consumer.session.timeout.ms=50000"),
        (("--client-metrics", "metrics"), "interval.ms=1000"),
    ):
        key, _, value = setting.partition("=")
        terminal.run("configs", "set", *of, setting)
        found = {c["name"]: c["value"] for c in terminal.run_json("configs", "describe", *of)}
        assert found[key] == value
        terminal.run("configs", "unset", *of, key)
        found = {c["name"]: c["value"] for c in terminal.run_json("configs", "describe", *of)}
        assert found.get(key) != value
    error = terminal.run("configs", "describe", "--broker", "9", status=1)
    assert "There is no broker 9." in error
    listed = terminal.run_json("configs", "list", "--type", "broker", "--type", "topic")
    assert {"type": "broker", "name": "1"} in listed
    assert {"type": "topic", "name": "orders"} in listed


def committed(terminal: Terminal, group: str) -> dict[tuple[str, int], int]:
    (found,) = terminal.run_json("groups", "describe", group)
    return {(p["topic"], p["partition"]): p["committed_offset"] for p in found["partitions"]}


def test_offsets_are_reset_in_every_way(terminal: Terminal, tmp_path: Path) -> None:
    terminal.run("topics", "create", "reset:2")
    for minutes in ("40m", "30m", "20m", "10m"):
        for partition in ("0", "1"):
            words = ("--partition", partition, "--timestamp", minutes)
            terminal.run("produce", "reset", *words, typed="x\n")
    reset = ("groups", "reset-offsets", "resetting")
    out = terminal.run(*reset, "--topic", "reset", "--to-latest")
    assert out == (
        "GROUP      TOPIC  PARTITION  COMMITTED  NEW\n"
        "resetting  reset          0  -            4\n"
        "resetting  reset          1  -            4\n"
        "Nothing has been changed yet. Use --execute to set these offsets.\n"
    )
    assert "resetting" not in terminal.run("groups", "list")
    terminal.run(*reset, "--topic", "reset:0", "--to-offset", "2", "--execute")
    assert committed(terminal, "resetting") == {("reset", 0): 2}
    for way, offset in (
        (("--to-earliest",), 0),
        (("--to-latest",), 4),
        (("--to-current",), 4),
        (("--shift-by", "-3"), 1),
        (("--shift-by", "1"), 2),
        (("--to-datetime", "35m"), 1),
        (("--by-duration", "PT25M"), 2),
        (("--to-offset", "99"), 4),
        (("--by-duration", "5m"), 4),
    ):
        terminal.run(*reset, "--all-topics", *way, "--execute")
        assert committed(terminal, "resetting") == {("reset", 0): offset}, way
    exported = terminal.run(*reset, "--topic", "reset", "--to-datetime", "25m", "--export")
    assert exported == "reset,0,2\nreset,1,2\n"
    file = tmp_path / "offsets.csv"
    file.write_text(exported)
    shape = terminal.run_json(*reset, "--from-file", str(file), "--execute")
    assert shape["executed"] is True
    assert shape["offsets"][1] == {
        "group": "resetting",
        "topic": "reset",
        "partition": 1,
        "committed_offset": None,
        "new_offset": 2,
        "note": None,
    }
    assert committed(terminal, "resetting") == {("reset", 0): 2, ("reset", 1): 2}
    file.write_text("other,reset,0,1\nresetting,reset,0,3\n")
    terminal.run(
        "groups", "reset-offsets", "resetting", "other", "--from-file", str(file), "--execute"
    )
    assert committed(terminal, "resetting")["reset", 0] == 3
    assert committed(terminal, "other") == {("reset", 0): 1}
    error = terminal.run("groups", "reset-offsets", "third", "--from-file", str(file), status=1)
    assert "the file contains no offsets for group 'third'." in error
    several = terminal.run(
        "groups", "reset-offsets", "--all-groups", "--topic", "reset:0", "--to-latest", "--export"
    )
    assert {"other,reset,0,4", "resetting,reset,0,4"} <= set(several.split())
    error = terminal.run(
        "groups", "reset-offsets", "other", "--topic", "reset:1", "--shift-by", "1", status=1
    )
    assert "Partition reset-1 cannot be shifted: the group has no committed offset for it." in error
    file.write_text("reset,x,1\n")
    assert "line 1: 'x' is not a valid partition or offset." in terminal.run(
        *reset, "--from-file", str(file), status=1
    )


def test_groups_and_their_offsets_are_deleted(terminal: Terminal) -> None:
    reset = ("groups", "reset-offsets", "doomed", "--topic", "orders", "--to-latest", "--execute")
    terminal.run(*reset)
    assert terminal.run("groups", "delete-offsets", "doomed", "--topic", "orders:0,1") == (
        "Deleted the offset of orders-0, which was 0.\n"
        "Deleted the offset of orders-1, which was 0.\n"
    )
    assert committed(terminal, "doomed") == {("orders", 2): 0}
    error = terminal.run("groups", "delete-offsets", "doomed", "--topic", "orders:0", status=1)
    assert "Group 'doomed' has no committed offsets for these partitions of 'orders'." in error
    terminal.run(
        "groups", "reset-offsets", "doomed2", "--topic", "orders", "--to-latest", "--execute"
    )
    assert terminal.run("groups", "delete", "doomed", "doomed2") == (
        "Deleted doomed.\nDeleted doomed2.\n"
    )
    assert "There is no group 'doomed'." in terminal.run("groups", "delete", "doomed", status=1)


def test_groups_are_listed_and_summed_up(terminal: Terminal) -> None:
    reset = ("groups", "reset-offsets", "listed", "--topic", "orders", "--to-latest", "--execute")
    terminal.run(*reset)
    listed = terminal.run_json("groups", "list", "--state", "empty", "--type", "classic")
    assert {"group": "listed", "state": "Empty", "type": "classic", "protocol": ""} in listed
    assert terminal.run("groups", "list", "--state", "stable") == "No groups match.\n"
    out = terminal.run("groups", "describe", "listed", "--state")
    assert out.splitlines()[1].split() == ["listed", "Empty", "classic", "1", "-", "0", "0"]
    everything = terminal.run_json("groups", "describe", "--all-groups")
    assert "listed" in [group["group"] for group in everything]


def test_log_directories(terminal: Terminal, served: Kafka) -> None:
    terminal.run("topics", "create", "stored:2")
    terminal.run("produce", "stored", "--partition", "1", typed="x" * 1000 + "\n")
    (directory,) = terminal.run_json("log-dirs", "describe", "stored")
    assert (directory["broker"], directory["state"]) == (1, "online")
    assert directory["usable_bytes"] < directory["total_bytes"]
    sizes = [(r["topic"], r["partition"], r["size_bytes"] > 1000) for r in directory["replicas"]]
    assert sizes == [("stored", 0, False), ("stored", 1, True)]
    out = terminal.run("log-dirs", "list", "--bytes", "--broker", "1")
    assert out.splitlines()[0].split()[:4] == ["BROKER", "DIRECTORY", "STATE", "REPLICAS"]
    assert "online" in out
    assert terminal.run("log-dirs", "describe", "--future") == "No replicas are being moved.\n"
    assert "There is no broker 7." in terminal.run("log-dirs", "list", "--broker", "7", status=1)


def test_the_cluster(terminal: Terminal) -> None:
    status = terminal.run_json("cluster", "status")
    (node,) = status["brokers"]
    assert (node["id"], node["fenced"], status["controller"]) == (1, False, 1)
    assert node["leaders"] == status["partitions"]
    assert (status["under_replicated"], status["unavailable"]) == (0, 0)
    assert f"Cluster {status['cluster_id']}" in terminal.run("cluster", "status")
    quorum = terminal.run_json("cluster", "quorum")
    assert (quorum["leader"], quorum["replicas"][0]["status"]) == (1, "leader")
    features = terminal.run_json("cluster", "features", "describe")["features"]
    levels = {feature["name"]: feature["level"] for feature in features}
    assert levels["metadata.version"] == 30
    versions = terminal.run_json("cluster", "api-versions", "--broker", "1")
    assert versions[0] == {"key": 0, "name": "Produce", "min_version": 0, "max_version": 13}
    assert terminal.run("cluster", "reassignments") == "No partitions are being reassigned.\n"
    elected = terminal.run_json("cluster", "elect-leaders", "orders:0", "--type", "preferred")
    assert elected[0]["result"] == "ELECTION_NOT_NEEDED"
    assert "There is no broker 4." in terminal.run(
        "cluster", "api-versions", "--broker", "4", status=1
    )
    assert "BROKER_ID_NOT_REGISTERED" in terminal.run("cluster", "unregister", "99", status=1)


def test_levels_of_features(terminal: Terminal, empty: Kafka) -> None:
    at = ("--bootstrap", empty.bootstrap)
    name = "group.version"

    def level() -> int:
        features = terminal.run_json("cluster", "features", "describe", *at)["features"]
        return next(int(f["level"]) for f in features if f["name"] == name)

    change = ("cluster", "features")
    before = level()
    assert terminal.run(*change, "disable", name, "--validate-only", *at) == (
        f"{name} can be off now.\n"
    )
    assert level() == before == 1
    assert terminal.run(*change, "disable", name, *at) == f"{name} is off now.\n"
    assert level() == 0
    assert terminal.run(*change, "upgrade", f"{name}=1", *at) == f"{name} is at level 1 now.\n"
    assert level() == 1
    error = terminal.run(*change, "upgrade", "nope=1", *at, status=1)
    assert "INVALID_UPDATE_VERSION" in error


def test_metadata_version_goes_by_releases_and_names(terminal: Terminal, empty: Kafka) -> None:
    at = ("--bootstrap", empty.bootstrap)
    change = ("cluster", "features")
    for text in ("30", "4.3", "4.3.0", "4.3-IV0"):
        assert terminal.run(*change, "upgrade", f"metadata.version={text}", *at) == (
            "metadata.version is at level 30 (4.3-IV0) now.\n"
        )
    error = terminal.run(*change, "downgrade", "metadata.version=4.2", *at, status=1)
    assert "Unsupported metadata.version downgrade from 30 to 29." in error
    described = terminal.run(*change, "describe", *at).splitlines()
    (row,) = (line for line in described if line.startswith("metadata.version"))
    assert re.split(r"\s{2,}", row.strip()) == [
        "metadata.version",
        "30 (4.3-IV0)",
        "7 (3.3-IV3)",
        "30 (4.3-IV0)",
    ]
    features = terminal.run_json(*change, "describe", *at)["features"]
    assert {f["name"]: f["level_name"] for f in features if f["level_name"]} == {
        "metadata.version": "4.3-IV0"
    }


def test_a_release_has_levels_of_all_features(terminal: Terminal, empty: Kafka) -> None:
    at = ("--bootstrap", empty.bootstrap)
    change = ("cluster", "features")
    could = terminal.run(*change, "upgrade", "--release-version", "4.3", "--dry-run", *at)
    assert could.splitlines() == [
        "metadata.version can be at level 30 (4.3-IV0) now.",
        "kraft.version can be at level 1 now.",
        "group.version can be at level 1 now.",
        "transaction.version can be at level 2 now.",
        "eligible.leader.replicas.version can be at level 1 now.",
        "share.version can be at level 1 now.",
        "streams.version can be at level 1 now.",
    ]
    error = terminal.run(*change, "downgrade", "--release-version", "4.1", *at, status=1)
    assert "Unsupported metadata.version downgrade from 30 to 27." in error


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("upgrade", "metadata.version=4.9"),
            "metadata.version=4.9: '4.9' is not a release or the name of a level from 3.3-IV3 to "
            "4.3-IV0.",
        ),
        (("upgrade", "--release-version", "4"), "--release-version: '4' is not a release"),
        (("upgrade", "group.version=4.3"), "group.version=4.3: '4.3' is not a valid level."),
        (("upgrade", "group.version=32768"), "group.version=32768: '32768' is not a valid level."),
        (("upgrade", "group.version=1", "group.version=0"), "group.version is given twice."),
        (
            ("downgrade",),
            "downgrade requires either FEATURE=LEVEL or --release-version, but not both.",
        ),
        (
            ("upgrade", "group.version=1", "--release-version", "4.3"),
            "upgrade requires either FEATURE=LEVEL or --release-version, but not both.",
        ),
    ],
)
def test_what_is_no_level(terminal: Terminal, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in terminal.run("cluster", "features", *words, status=1)


@pytest.fixture
def empty() -> Iterator[Kafka]:
    with broker() as kafka:
        yield kafka


def test_an_empty_cluster(terminal: Terminal, empty: Kafka) -> None:
    at = ("--bootstrap", empty.bootstrap)
    assert terminal.run("topics", "list", *at) == "There are no topics.\n"
    assert terminal.run("topics", "describe", *at) == "There are no topics.\n"
    assert terminal.run("groups", "list", *at) == "There are no groups.\n"
    assert terminal.run("groups", "describe", "--all-groups", *at) == "There are no groups.\n"
    assert terminal.run("log-dirs", "describe", *at) == "There are no replicas.\n"
    words = ("groups", "reset-offsets", "--all-groups", "--all-topics", "--to-latest")
    assert terminal.run(*words, *at) == "There is nothing to reset.\n"
