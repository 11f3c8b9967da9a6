"""Broker settings that clients' own test suites need."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from compat.raw import RawClient
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
)

from .asking import assert_error, assert_none, await_leaders, batch, describe, make_topic, produce
from .groups import coordinate, join, join_request

if TYPE_CHECKING:
    from compat.conftest import NewBroker

pytestmark = pytest.mark.ci


def test_defaults_of_topics_and_the_node_id(new_broker: NewBroker) -> None:
    broker = new_broker(
        {
            "num.partitions": "3",
            "node.id": "1",
            "auto.create.topics.enable": "true",
            "message.max.bytes": "2000",
            "log.message.timestamp.type": "LogAppendTime",
            "compression.type": "gzip",
        }
    )
    with RawClient(broker.host, broker.port) as raw:
        request = MetadataRequest(topics=[MetadataRequestTopic(name="auto")])
        raw.ask(request, 12, MetadataResponse)
        await_leaders(raw, "auto", 3)
        assert describe(raw, "auto").partitions[0].leader_id == 1
        answer = produce(raw, "auto", batch(b"v"))
        assert answer.log_append_time_ms > 0
        too_large = produce(raw, "auto", batch(bytes(3000)))
        assert_error(too_large.error_code, ErrorCode.MESSAGE_TOO_LARGE)


def test_auto_creation_can_be_off(new_broker: NewBroker) -> None:
    broker = new_broker({"auto.create.topics.enable": "false"})
    with RawClient(broker.host, broker.port) as raw:
        request = MetadataRequest(topics=[MetadataRequestTopic(name="never")])
        for _ in range(2):
            (topic,) = raw.ask(request, 12, MetadataResponse).topics
            assert_error(topic.error_code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            time.sleep(0.3)


def test_sessions_may_be_shorter(new_broker: NewBroker) -> None:
    broker = new_broker(
        {"group.min.session.timeout.ms": "100", "group.max.session.timeout.ms": "5000"}
    )
    with RawClient(broker.host, broker.port) as raw:
        coordinate(raw, "g")
        # No shorter: it begins with the first of the two requests.
        assert_none(join(raw, join_request("g", session_timeout_ms=5000)).error_code)
        for timeout_ms in (99, 5001):
            refused = join(raw, join_request("g", session_timeout_ms=timeout_ms))
            assert_error(refused.error_code, ErrorCode.INVALID_SESSION_TIMEOUT)


def test_the_first_rebalance_waits_for_more_members(new_broker: NewBroker) -> None:
    broker = new_broker({"group.initial.rebalance.delay.ms": "1500"})
    with RawClient(broker.host, broker.port) as raw:
        coordinate(raw, "g")
        started = time.monotonic()
        assert_none(join(raw, join_request("g")).error_code)
        assert time.monotonic() - started > 1.4


def test_the_advertised_address_is_answered(new_broker: NewBroker) -> None:
    broker = new_broker({"advertised.listeners": "PLAINTEXT://kafka.example:4711"})
    with RawClient(broker.host, broker.port) as raw:
        (node,) = raw.ask(MetadataRequest(topics=[]), 12, MetadataResponse).brokers
        assert (node.host, node.port) == ("kafka.example", 4711)


def test_fewer_offsets_partitions(new_broker: NewBroker) -> None:
    broker = new_broker({"offsets.topic.num.partitions": "2"})
    with RawClient(broker.host, broker.port) as raw:
        coordinate(raw, "g")
        topic = describe(raw, "__consumer_offsets")
        assert (len(topic.partitions), topic.is_internal) == (2, True)
        make_topic(raw, "ordinary")
        assert not describe(raw, "ordinary").is_internal
