"""What there is that can have a configuration."""

from __future__ import annotations

import pytest

from kbroker.handlers import list_config_resources
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.list_config_resources import (
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)

from .cluster_rig import ClusterRig

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32

GROUPS = [(GROUP, "g1")]
SUBSCRIPTIONS = [(METRICS, "m1"), (METRICS, "m2")]
LOGGERS = [(LOGGER, "1"), (LOGGER, "2")]
BROKERS = [(BROKER, "1"), (BROKER, "2")]
TOPICS = [(TOPIC, "t"), (TOPIC, "__consumer_offsets")]


@pytest.fixture
def rig() -> ClusterRig:
    rig = ClusterRig()
    rig.add_broker(2)
    rig.add_broker(3, fenced=True)
    rig.add_broker(4, listener="OTHER")
    rig.add_topic("t")
    rig.add_topic("__consumer_offsets")
    rig.set_config(TOPIC, "t", "retention.ms", "5")
    rig.set_config(BROKER, "", "log.cleaner.threads", "1")
    rig.set_config(METRICS, "m1", "interval.ms", "1000")
    rig.set_config(METRICS, "m2", "interval.ms", "1000")
    rig.set_config(GROUP, "g1", "consumer.session.timeout.ms", "50000")
    return rig


def ask(rig: ClusterRig, types: list[int], version: int = 1) -> ListConfigResourcesResponse:
    request = ListConfigResourcesRequest(resource_types=types)
    return list_config_resources.handle(request, rig.context(version))


@pytest.mark.parametrize(
    ("types", "found"),
    [
        ([], GROUPS + SUBSCRIPTIONS + LOGGERS + BROKERS + TOPICS),
        ([TOPIC], TOPICS),
        ([BROKER], BROKERS),
        ([LOGGER], LOGGERS),
        ([METRICS], SUBSCRIPTIONS),
        ([GROUP], GROUPS),
        ([TOPIC, TOPIC], TOPICS),
        ([TOPIC, GROUP], GROUPS + TOPICS),
    ],
)
def test_resources_by_type(rig: ClusterRig, types: list[int], found: list[tuple[int, str]]) -> None:
    response = ask(rig, types)
    assert response.error_code == ErrorCode.NONE
    assert [(r.resource_type, r.resource_name) for r in response.config_resources] == found


def test_the_first_version_lists_client_metrics(rig: ClusterRig) -> None:
    response = ask(rig, [], version=0)
    assert [r.resource_name for r in response.config_resources] == ["m1", "m2"]
    assert {r.resource_type for r in response.config_resources} == {METRICS}


@pytest.mark.parametrize("types", [[0], [1], [3], [64], [-1], [127], [TOPIC, 99]])
def test_types_that_are_not_listed(rig: ClusterRig, types: list[int]) -> None:
    response = ask(rig, types)
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert response.config_resources == []
