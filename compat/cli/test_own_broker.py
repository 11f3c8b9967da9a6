"""Changes that need a broker of their own: what one command line does, the other one shows."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from compat.apache import ToolError, run_tool

from .conftest import kbroker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from compat.brokers import BrokerProcess

pytestmark = pytest.mark.ci

WAIT_S = 60


def test_replicas_move_to_another_log_directory(
    new_broker: Callable[..., BrokerProcess], tmp_path: Path
) -> None:
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    at = new_broker({"log.dirs": f"{first},{second}"}).bootstrap
    kbroker(at, "topics", "create", "moved:3")
    kbroker(at, "topics", "offsets", "moved")  # waits for leaders
    kbroker(at, "produce", "moved", stdin="".join(f"{number}\n" for number in range(3000)))

    def by_ours(*words: object) -> dict[str, list[int]]:
        return {
            directory["path"]: [replica["partition"] for replica in directory["replicas"]]
            for directory in json.loads(kbroker(at, "log-dirs", "describe", *words, "--json"))
        }

    def by_theirs() -> dict[str, list[int]]:
        base = ("--bootstrap-server", at)
        text = run_tool("log-dirs", *base, "--describe", "--topic-list", "moved")
        document = json.loads(next(line for line in text.splitlines() if line.startswith("{")))
        return {
            directory["logDir"]: sorted(
                int(partition["partition"].rpartition("-")[2])
                for partition in directory["partitions"]
            )
            for directory in document["brokers"][0]["logDirs"]
        }

    def await_arrival() -> None:
        deadline = time.monotonic() + WAIT_S
        while any(by_ours("moved", "--future").values()):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    for target, other in ((first, second), (second, first)):
        kbroker(at, "log-dirs", "move", "moved", "--broker", 1, "--to", target)
        await_arrival()
        assert by_ours("moved") == by_theirs() == {target: [0, 1, 2], other: []}

    plan = tmp_path / "plan.json"
    moved = {"topic": "moved", "partition": 1, "replicas": [1], "log_dirs": [first]}
    plan.write_text(json.dumps({"version": 1, "partitions": [moved]}))
    base = ("--bootstrap-server", at, "--reassignment-json-file", str(plan))
    run_tool("reassign-partitions", *base, "--execute")
    await_arrival()
    assert by_ours("moved") == {first: [1], second: [0, 2]}
    values = kbroker(at, "consume", "moved", "--from-beginning", "--until-end").split()
    assert sorted(map(int, values)) == list(range(3000))


def test_levels_of_features_go_down_and_up(new_broker: Callable[..., BrokerProcess]) -> None:
    at = new_broker().bootstrap

    def features(*words: object, status: int = 0) -> str:
        return kbroker(at, "cluster", "features", *words, status=status)

    def by_ours() -> dict[str, int]:
        document: dict[str, Any] = json.loads(features("describe", "--json"))
        return {feature["name"]: feature["level"] for feature in document["features"]}

    def by_theirs() -> dict[str, int]:
        text = run_tool("features", "--bootstrap-server", at, "describe")
        found = re.findall(r"Feature: (\S+).*FinalizedVersionLevel: (\d+)\s", text)
        return {name: int(level) for name, level in found}

    def expect(**changed: int) -> None:
        """Both see the levels of the beginning with these changes, sooner or later."""
        wanted = before | {name.replace("_", "."): level for name, level in changed.items()}
        deadline = time.monotonic() + WAIT_S
        while by_ours() != wanted:  # Apache Kafka answers before its broker has heard of it
            assert time.monotonic() < deadline, by_ours()
        # There the levels of metadata.version have names.
        assert by_theirs() == {n: level for n, level in wanted.items() if n != "metadata.version"}

    before = by_ours()
    assert (before["transaction.version"], before["streams.version"]) == (2, 1)
    down = ("downgrade", "transaction.version=1")
    assert features(*down, "--dry-run") == "transaction.version can be at level 1 now.\n"
    expect()
    assert features(*down) == "transaction.version is at level 1 now.\n"
    expect(transaction_version=1)
    assert features("disable", "streams.version") == "streams.version is off now.\n"
    expect(transaction_version=1, streams_version=0)
    for refused in (
        ("upgrade", "transaction.version=3"),
        ("downgrade", "transaction.version=2"),
        ("downgrade", "metadata.version=20"),
        ("disable", "metadata.version"),
    ):
        assert "INVALID_UPDATE_VERSION" in features(*refused, status=1), refused
    with pytest.raises(ToolError, match=r"transaction\.version"):
        run_tool(
            *("features", "--bootstrap-server", at),
            *("upgrade", "--feature", "transaction.version=3"),
        )
    expect(transaction_version=1, streams_version=0)
    features("upgrade", "transaction.version=2", "streams.version=1")
    expect()
