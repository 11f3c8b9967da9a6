"""Consumers that come while their group is still being loaded wait, and go on where it was."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Protocol

import pytest

from compat.clients.records import Record
from compat.raw import RawClient
from kbroker.coordinators.group.records import CommittedOffset, OffsetStored, encode
from kbroker.storage.assigned_batches import append_assigned
from kbroker.storage.batch import set_base_offset
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.closing import close
from kbroker.storage.log_config import LogConfig
from kbroker.storage.log_opening import open_log
from kbroker.storage.origin import Origin
from kbroker.storage.os_disk import OsDisk
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from compat.brokers import BrokerProcess
    from compat.clients.records import StockClient
    from compat.conftest import NewBroker

    class Reader(Protocol):
        def __call__(self, bootstrap: str, topic: str, count: int) -> list[int]: ...


pytestmark = pytest.mark.ci

GROUP = "loads"
COMMITS = 600_000
RECORDS = 20
COMMITTED = 7
TIMEOUT_S = 60.0
# Apache Kafka's port is open before it has been elected.
NOT_YET = (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.NOT_COORDINATOR)


def kafka_python(bootstrap: str, topic: str, count: int) -> list[int]:
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=GROUP, auto_offset_reset="latest"
    )
    offsets: list[int] = []
    deadline = time.monotonic() + TIMEOUT_S
    while len(offsets) < count and time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=500).values():
            offsets += [record.offset for record in records]
    consumer.close(autocommit=False)
    return offsets


def librdkafka(bootstrap: str, topic: str, count: int) -> list[int]:
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": GROUP,
            "auto.offset.reset": "latest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    offsets: list[int] = []
    deadline = time.monotonic() + TIMEOUT_S
    while len(offsets) < count and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is not None:
            assert message.error() is None
            offset = message.offset()
            assert offset is not None
            offsets.append(offset)
    consumer.close()
    return offsets


READERS: Mapping[str, Reader] = {"kafka-python": kafka_python, "librdkafka": librdkafka}


@pytest.mark.parametrize("reader", READERS)
def test_a_consumer_that_comes_while_its_group_loads(
    new_broker: NewBroker, clients: dict[str, StockClient], reader: str
) -> None:
    from compat.clients.conftest import create_topic

    broker = new_broker({"offsets.topic.num.partitions": "1"})
    topic = create_topic(broker.bootstrap, "loaded")
    records = [Record(partition=0, value=b"%d" % number) for number in range(RECORDS)]
    clients["librdkafka"].produce(broker.bootstrap, topic, records, codec="none")
    assert ask(broker) == ErrorCode.NONE  # which makes the topic of the offsets
    broker.stop()
    commit_often(broker.data / "__consumer_offsets-0", topic)
    broker.start()
    assert ask(broker) in NOT_YET
    found = READERS[reader](broker.bootstrap, topic, RECORDS - COMMITTED)
    assert found == list(range(COMMITTED, RECORDS))


def ask(broker: BrokerProcess) -> int:
    """What an OffsetFetch is answered at once."""
    from compat.behaviour.groups import coordinate

    with RawClient(broker.host, broker.port) as raw:
        request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=GROUP, topics=None)])
        if not (broker.data / "__consumer_offsets-0").exists():
            coordinate(raw, GROUP)
        return raw.ask(request, 8, OffsetFetchResponse).groups[0].error_code


def commit_often(directory: Path, topic: str) -> None:
    """Write what so many commits would have left behind, into the log of a stopped broker."""
    now_ms = time.time_ns() // 1_000_000

    def committed(offset: int) -> bytearray:
        value = CommittedOffset(offset, -1, "", now_ms)
        key_and_value = encode(OffsetStored(GROUP, topic, 0, value))
        return bytearray(build_batch([NewRecord(now_ms, *key_and_value)]))

    log = open_log(
        OsDisk(), str(directory), LogConfig(), now_ms=now_ms, rng=random.Random(), clean=True
    )
    older, last = committed(COMMITTED - 1), committed(COMMITTED)
    end = log.log_end_offset + COMMITS
    while log.log_end_offset < end:
        chunk = bytearray()
        for offset in range(log.log_end_offset, min(log.log_end_offset + 5_000, end)):
            batch = last if offset == end - 1 else older
            set_base_offset(batch, offset)
            chunk += batch
        append_assigned(
            log, memoryview(chunk), leader_epoch=-1, now_ms=now_ms, origin=Origin.REPLICATION
        )
    close(log)
    (directory.parent / ".kafka_cleanshutdown").unlink()  # the checkpoints know nothing of it
