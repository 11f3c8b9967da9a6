"""Who asks a broker that does not lead a partition is told which one does (KIP-951).

It takes several brokers: a cluster of one has nobody else to ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.late import comes_to
from compat.raw import RawClient
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kbroker.wire.messages.fetch import FetchResponse
from kbroker.wire.messages.metadata import (
    MetadataRequest,
    MetadataResponse,
    MetadataResponseBroker,
)
from kbroker.wire.messages.produce import ProduceResponse

from .asking import (
    LATEST,
    assert_error,
    assert_none,
    batch,
    describe,
    fetch_request,
    list_offset,
    produce_request,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.ci, pytest.mark.item(31)]


@pytest.fixture
def brokers(raw: RawClient) -> dict[int, MetadataResponseBroker]:
    found = raw.ask(MetadataRequest(topics=[]), 12, MetadataResponse).brokers
    if len(found) < 2:
        pytest.skip("hints of leaders need several brokers, and this cluster is of one")
    return {one.node_id: one for one in found}


@pytest.fixture
def topic(
    raw: RawClient, brokers: dict[int, MetadataResponseBroker], unique: Callable[[str], str]
) -> str:
    """Of one replica, so that one broker leads it and the others have nothing of it."""
    assert len(brokers) > 1
    one = CreatableTopic(name=unique("led"), num_partitions=1, replication_factor=1)
    made = raw.ask(CreateTopicsRequest(topics=[one]), 7, CreateTopicsResponse)
    assert_none(made.topics[0].error_code)
    return one.name


@pytest.fixture
def topic_id(raw: RawClient, topic: str, leader: tuple[int, int]) -> bytes:
    assert leader[0] >= 0
    return describe(raw, topic).topic_id


@pytest.fixture
def leader(raw: RawClient, topic: str) -> tuple[int, int]:
    """Its id and epoch."""

    def leads() -> bool:
        found = describe(raw, topic)
        return not found.error_code and found.partitions[0].leader_id >= 0

    comes_to(leads, True)
    partition = describe(raw, topic).partitions[0]
    return partition.leader_id, partition.leader_epoch


@pytest.fixture
def other(
    brokers: dict[int, MetadataResponseBroker], topic: str, leader: tuple[int, int]
) -> Iterator[RawClient]:
    """A connection to one that does not lead, once it has heard of the topic."""
    one = next(one for one in brokers.values() if one.node_id != leader[0])
    with RawClient(one.host, one.port) as client:
        refused = ErrorCode.NOT_LEADER_OR_FOLLOWER
        comes_to(lambda: ErrorCode(list_offset(client, topic, LATEST).error_code), refused)
        yield client


def address(broker: MetadataResponseBroker) -> tuple[int, str, int]:
    return broker.node_id, broker.host, broker.port


@pytest.mark.parametrize("version", range(10, 13))
def test_a_produce_is_told_the_leader(
    other: RawClient,
    brokers: dict[int, MetadataResponseBroker],
    topic: str,
    leader: tuple[int, int],
    version: int,
) -> None:
    answer = other.ask(produce_request(topic, batch(b"v")), version, ProduceResponse)
    partition = answer.responses[0].partition_responses[0]
    assert_error(partition.error_code, ErrorCode.NOT_LEADER_OR_FOLLOWER)
    hint = partition.current_leader
    assert (hint.leader_id, hint.leader_epoch) == leader
    assert [(one.node_id, one.host, one.port) for one in answer.node_endpoints] == [
        address(brokers[leader[0]])
    ]


@pytest.mark.parametrize("version", range(16, 18))
def test_a_fetch_is_told_the_leader(
    other: RawClient,
    brokers: dict[int, MetadataResponseBroker],
    topic_id: bytes,
    leader: tuple[int, int],
    version: int,
) -> None:
    answer = other.ask(fetch_request(topic_id, 0), version, FetchResponse)
    partition = answer.responses[0].partitions[0]
    assert_error(partition.error_code, ErrorCode.NOT_LEADER_OR_FOLLOWER)
    hint = partition.current_leader
    assert (hint.leader_id, hint.leader_epoch) == leader
    assert [(one.node_id, one.host, one.port) for one in answer.node_endpoints] == [
        address(brokers[leader[0]])
    ]
