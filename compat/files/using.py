"""Somebody who uses each broker that has a data directory in turn, and finds all that was sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from compat.apache import run_tool
from compat.behaviour.asking import await_leaders
from compat.behaviour.groups import coordinate
from compat.clients.conftest import create_topic
from compat.clients.librdkafka import Librdkafka
from compat.clients.records import Position, assert_same, sample_records
from compat.files.seen import finalized
from compat.raw import RawClient
from kbroker.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

if TYPE_CHECKING:
    from compat.brokers import BrokerProcess
    from compat.clients.records import Record

PARTITIONS = 2

Records: TypeAlias = "dict[str, list[Record]]"


def use(broker: BrokerProcess, what: str, sent: Records) -> None:
    """All that was sent is there, and more is sent: to what there is, and to a new topic."""
    client = Librdkafka()
    with RawClient(broker.host, broker.port) as raw:
        coordinate(raw, "group")
        for topic in sent:
            await_leaders(raw, topic, PARTITIONS)
        if sent:
            first = next(iter(sent))
            found = client.committed(broker.bootstrap, "group", first, 0)
            assert found is not None
            assert found.offset == len(sent)
    for topic, records in sent.items():
        assert_same(records, client.read(broker.bootstrap, {topic: len(records)})[topic])
        more = sample_records(PARTITIONS)
        client.produce(broker.bootstrap, topic, more, codec="lz4", idempotent=True)
        records += more
    topic = create_topic(broker.bootstrap, re.sub(r"\W", "-", what), PARTITIONS)
    sent[topic] = sample_records(PARTITIONS)
    client.produce(broker.bootstrap, topic, sent[topic], codec="zstd", idempotent=True)
    where = (next(iter(sent)), 0, Position(len(sent), ""))
    client.commit(broker.bootstrap, "group", *where, wait=True)
    with RawClient(broker.host, broker.port) as raw:
        set_config(raw, topic, "min.insync.replicas", "2")
        set_config(raw, topic, "retention.ms", "-1")


def set_config(raw: RawClient, topic: str, key: str, value: str) -> None:
    resource = AlterConfigsResource(
        resource_type=2, resource_name=topic, configs=[AlterableConfig(name=key, value=value)]
    )
    request = IncrementalAlterConfigsRequest(resources=[resource])
    response = raw.ask(request, 1, IncrementalAlterConfigsResponse)
    assert response.responses[0].error_code == 0, response


def levels(broker: BrokerProcess) -> dict[str, int]:
    with RawClient(broker.host, broker.port) as raw:
        return finalized(raw)


def metadata_version_of(release: str) -> int:
    """As Apache Kafka's own tool says."""
    text = run_tool("features", "version-mapping", "--release-version", release)
    found = re.search(r"metadata\.version=(\d+)", text)
    assert found is not None, text
    return int(found[1])
