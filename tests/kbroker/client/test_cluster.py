"""Retries: what is tried again, how often, and the sentence at the end."""

from __future__ import annotations

import pytest
import trio

from kbroker.client.cluster import ATTEMPTS_MAX, Cluster
from kbroker.client.errors import BrokerError, ClientError, Disconnected
from kbroker.wire import codec, frame
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.metadata import (
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)

from .peer import Peer, api_versions, framed


class Brokers:
    """One broker that says `topics`, one after the other; the last of them for ever."""

    def __init__(self, *topics: MetadataResponseTopic) -> None:
        self._topics = list(topics)
        self.metadata_count = 0

    async def connect(self, host: str, port: int) -> Peer:
        return Peer(self._answer)

    def _answer(self, key: int, version: int, correlation_id: int) -> bytes:
        if key == ApiKey.API_VERSIONS:
            return api_versions(correlation_id, version, {ApiKey.METADATA: (0, 13)})
        assert key == ApiKey.METADATA
        self.metadata_count += 1
        topic = self._topics.pop(0) if len(self._topics) > 1 else self._topics[0]
        response = MetadataResponse(
            brokers=[MetadataResponseBroker(node_id=1, host="broker", port=9092)], topics=[topic]
        )
        return framed(
            frame.response_header(key, version, correlation_id) + codec.encode(response, version)
        )


def unknown() -> MetadataResponseTopic:
    return MetadataResponseTopic(name="t", error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


def known(leader: int) -> MetadataResponseTopic:
    partition = MetadataResponsePartition(leader_id=leader, replica_nodes=[1], isr_nodes=[1])
    return MetadataResponseTopic(name="t", partitions=[partition])


def cluster_of(brokers: Brokers) -> Cluster:
    return Cluster([("broker", 9092)], brokers.connect)


async def test_a_topic_that_is_being_created_is_waited_for(autojump_clock: object) -> None:
    brokers = Brokers(unknown(), unknown(), known(-1), known(1))
    topic = await cluster_of(brokers).topic("t", create=True)
    assert topic.partitions[0].leader == 1


async def test_a_topic_that_nobody_creates(autojump_clock: object) -> None:
    brokers = Brokers(unknown())
    with pytest.raises(ClientError, match="no topic 't', and the broker did not create it"):
        await cluster_of(brokers).topic("t", create=True)
    assert ATTEMPTS_MAX <= brokers.metadata_count <= 2 * ATTEMPTS_MAX


async def test_an_error_that_does_not_pass_is_not_tried_again() -> None:
    calls = 0

    async def refused() -> None:
        nonlocal calls
        calls += 1
        raise BrokerError("x", ErrorCode.INVALID_REQUEST)

    with pytest.raises(BrokerError):
        await cluster_of(Brokers(known(1))).retry(refused)
    assert calls == 1


async def test_tries_have_an_end(autojump_clock: object) -> None:
    calls = 0

    async def lost() -> None:
        nonlocal calls
        calls += 1
        raise Disconnected("gone")

    with pytest.raises(Disconnected, match="gone"):
        await cluster_of(Brokers(known(1))).retry(lost)
    assert calls == ATTEMPTS_MAX


async def test_a_coordinator_that_loads_is_given_as_long_as_apache_kafkas_client_gives_it(
    autojump_clock: object,
) -> None:
    ends = 40.0

    async def loading() -> str:
        if trio.current_time() < ends:
            raise BrokerError("x", ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        return "loaded"

    began = trio.current_time()
    ends += began
    assert await cluster_of(Brokers(known(1))).retry(loading) == "loaded"
    assert 40 <= trio.current_time() - began < 42
    ends = trio.current_time() + 1e9
    began = trio.current_time()
    with pytest.raises(BrokerError, match="COORDINATOR_LOAD_IN_PROGRESS"):
        await cluster_of(Brokers(known(1))).retry(loading)
    assert 60 <= trio.current_time() - began < 62


async def test_the_second_bootstrap_address_is_tried_too() -> None:
    brokers = Brokers(known(1))

    async def connect(host: str, port: int) -> Peer:
        if host == "dead":
            raise ConnectionRefusedError(111, "Connection refused")
        return await brokers.connect(host, port)

    cluster = Cluster([("dead", 1), ("broker", 9092)], connect)
    await cluster.refresh(["t"])
    assert cluster.node_ids == [1]


async def test_a_broker_that_nobody_knows_is_a_passing_error() -> None:
    with pytest.raises(Disconnected, match=r"Broker 7 is not in the cluster\."):
        await cluster_of(Brokers(known(1))).connection(7)


async def test_tasks_that_need_a_broker_at_once_share_one_connection() -> None:
    brokers = Brokers(known(1))
    peers: list[Peer] = []

    async def connect(host: str, port: int) -> Peer:
        peers.append(await brokers.connect(host, port))
        return peers[-1]

    cluster = Cluster([("broker", 9092)], connect)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(cluster.refresh, ["t"])
    assert len(peers) == 1
    await cluster.close()
    assert [peer.is_closed for peer in peers] == [True]
