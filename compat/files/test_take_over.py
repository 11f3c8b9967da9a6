"""Apache Kafka opens kbroker's data directory and goes on with it, and kbroker takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.behaviour.asking import await_leaders
from compat.behaviour.groups import coordinate
from compat.brokers import ApacheKafka, Kbroker
from compat.clients.conftest import create_topic
from compat.clients.librdkafka import Librdkafka
from compat.clients.records import CODECS, Position, Record, assert_same, sample_records
from compat.raw import RawClient

if TYPE_CHECKING:
    from pathlib import Path

    from compat.brokers import BrokerProcess

pytestmark = pytest.mark.full

PARTITIONS = 2
KINDS: tuple[type[BrokerProcess], ...] = (Kbroker, ApacheKafka)


@pytest.mark.parametrize("first", KINDS, ids=lambda kind: kind.name)
def test_the_other_broker_goes_on(tmp_path: Path, first: type[BrokerProcess]) -> None:
    second = KINDS[1 - KINDS.index(first)]
    client = Librdkafka()
    sent: dict[str, list[Record]] = {}
    for turn, kind in enumerate((first, second, first)):
        broker = kind(tmp_path)
        try:
            broker.start()
            with RawClient(broker.host, broker.port) as raw:
                coordinate(raw, "group")
                for topic in sent:
                    await_leaders(raw, topic, PARTITIONS)
            # All that the others have left is there...
            for topic, records in sent.items():
                assert_same(records, client.read(broker.bootstrap, {topic: len(records)})[topic])
            for partition in range(turn):
                found = client.committed(broker.bootstrap, "group", "turn-0", partition)
                assert found is not None
                assert found.offset == 100 + partition
            # ...and is added to: records to the old topics, a new topic, a commit.
            for topic, records in sent.items():
                more = sample_records(PARTITIONS)
                client.produce(broker.bootstrap, topic, more, codec="gzip", idempotent=True)
                records += more
            topic = create_topic(broker.bootstrap, f"turn-{turn}", PARTITIONS)
            sent[topic] = []
            for codec in CODECS:
                records = sample_records(PARTITIONS)
                client.produce(broker.bootstrap, topic, records, codec=codec, idempotent=True)
                sent[topic] += records
            where = ("turn-0", turn, Position(100 + turn, ""))
            if turn < PARTITIONS:
                client.commit(broker.bootstrap, "group", *where, wait=True)
            broker.stop()
        finally:
            broker.kill()
