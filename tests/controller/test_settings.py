"""The settings of a controller that nobody has set."""

from __future__ import annotations

import pytest

from kbroker.config.broker import BROKER_KEYS
from kbroker.controller.raft.node import RaftConfig
from tests.controller.parts import SETTINGS


@pytest.mark.parametrize(
    "name",
    [
        "num_partitions",
        "default_replication_factor",
        "min_insync_replicas",
        "delete_topic_enable",
        "broker_session_timeout_ms",
        "metadata_max_idle_interval_ms",
        "metadata_log_max_record_bytes_between_snapshots",
        "metadata_log_max_snapshot_interval_ms",
    ],
)
def test_a_default_is_that_of_its_key(name: str) -> None:
    assert getattr(SETTINGS, name) == BROKER_KEYS[name.replace("_", ".")].default


@pytest.mark.parametrize("name", ["election_timeout_ms", "fetch_timeout_ms", "request_timeout_ms"])
def test_a_default_of_the_quorum_is_that_of_its_key(name: str) -> None:
    key = f"controller.quorum.{name.replace('_', '.')}"
    assert getattr(RaftConfig(), name) == BROKER_KEYS[key].default
