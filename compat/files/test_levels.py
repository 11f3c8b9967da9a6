"""Clusters at the levels of older releases: what is written at each, and the way up to 4.3."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

import pytest

from compat.apache import run_tool
from compat.behaviour.asking import await_leaders
from compat.behaviour.groups import coordinate
from compat.brokers import ApacheKafka, Kbroker
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
    from pathlib import Path

    from compat.brokers import BrokerProcess
    from compat.clients.records import Record

RELEASES = ("3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "4.0", "4.1", "4.2", "4.3")
PARTITIONS = 2

Records: TypeAlias = "dict[str, list[Record]]"


@pytest.mark.parametrize(
    "release",
    [
        pytest.param("3.3", marks=pytest.mark.ci),
        *(pytest.param(release, marks=pytest.mark.full) for release in RELEASES),
    ],
)
def test_a_cluster_of_an_older_release_is_served_raised_and_handed_on(
    tmp_path: Path, release: str
) -> None:
    apache = ApacheKafka(tmp_path, release=release)
    apache.format()
    kbroker = Kbroker(tmp_path)
    sent: Records = {}
    try:
        kbroker.start()
        at_first = levels(kbroker)
        assert at_first["metadata.version"] == metadata_version_of(release)
        use(kbroker, "at the old levels", sent)
        kbroker.restart()
        use(kbroker, "after a restart", sent)
        assert levels(kbroker) == at_first
        bootstrap = ("--bootstrap-server", kbroker.bootstrap)
        run_tool("features", *bootstrap, "upgrade", "--release-version", "4.3")
        raised = levels(kbroker)
        use(kbroker, "at the new levels", sent)
        kbroker.stop()

        apache.start()
        assert levels(apache) == raised
        use(apache, "by Apache Kafka", sent)
        apache.stop()

        kbroker.start()
        assert levels(kbroker) == raised
        use(kbroker, "and back", sent)
        kbroker.stop()
    finally:
        kbroker.kill()
        apache.kill()


@pytest.mark.full
@pytest.mark.parametrize("release", ["3.3", *RELEASES])
def test_at_the_levels_of_a_release_the_records_are_apache_kafkas(
    tmp_path: Path, release: str
) -> None:
    apache = ApacheKafka(tmp_path / "apache", release=release)
    ApacheKafka(tmp_path / "kbroker", release=release).format()
    brokers: list[BrokerProcess] = [apache, Kbroker(tmp_path / "kbroker")]
    written: list[dict[str, set[str]]] = []
    for broker in brokers:
        try:
            broker.start()
            use(broker, "first", {})
            broker.restart()
            use(broker, "second", {})
            broker.stop()
        finally:
            broker.kill()
        log = broker.data / "__cluster_metadata-0" / f"{0:020}.log"
        text = run_tool("dump-log", "--cluster-metadata-decoder", "--files", str(log))
        versions: dict[str, set[str]] = {}
        for kind, version in re.findall(r'payload: \{"type":"(\w+)","version":(\d+)', text):
            versions.setdefault(kind, set()).add(version)
        written.append(versions)
    theirs, ours = written
    # Only to show others that the leader lives, of which a node alone has none.
    theirs.pop("NO_OP_RECORD", None)
    assert ours == theirs


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
