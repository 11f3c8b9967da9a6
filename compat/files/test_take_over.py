"""Apache Kafka and kbroker take each other's data directory over, again and again.

After each change everything that a client can see is what it was, though the one before was killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.behaviour.asking import await_leaders
from compat.behaviour.groups import coordinate
from compat.brokers import ApacheKafka, Kbroker
from compat.clients.java_client import JavaClient
from compat.clients.librdkafka import Librdkafka
from compat.files.contents import GROUPS, NEWER_GROUPS, RESOURCES, Contents
from compat.files.dumping import dump
from compat.files.seen import latest_by_key, look
from compat.raw import RawClient
from kbroker.storage.batch import BatchHeader

if TYPE_CHECKING:
    from pathlib import Path

    from compat.brokers import BrokerProcess
    from compat.files.seen import Partition, Seen

pytestmark = pytest.mark.full

TURNS = 4
KINDS: tuple[type[BrokerProcess], ...] = (Kbroker, ApacheKafka)
SETTINGS = {
    "log.flush.start.offset.checkpoint.interval.ms": "200",
    "log.cleaner.backoff.ms": "200",
    "log.initial.task.delay.ms": "200",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "5",
}


@pytest.mark.parametrize("end", ["stopped", "killed"])
@pytest.mark.parametrize("first", KINDS, ids=lambda kind: kind.name)
def test_the_other_broker_goes_on(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    first: type[BrokerProcess],
    end: str,
    java_classes: Path,
) -> None:
    # Imported here: pytest has no filter yet for their warnings when it loads a module.
    from compat.clients.aiokafka_client import Aiokafka
    from compat.clients.kafka_python import KafkaPython

    second = KINDS[1 - KINDS.index(first)]
    java = JavaClient(java_classes)
    request.addfinalizer(java.close)
    contents = Contents([KafkaPython(), Aiokafka(), java, Librdkafka()])
    before: Seen | None = None
    apache_was_here = False
    for turn in range(TURNS):
        broker = (first, second)[turn % 2](tmp_path, SETTINGS)
        try:
            broker.start()
            with RawClient(broker.host, broker.port) as raw:
                if before is not None:
                    ready(raw, before)
                    found = look(raw, groups=GROUPS, resources=RESOURCES)
                    assert_all_there(before, found)
                    if broker.name == "apache" and apache_was_here:
                        assert found.group_types.items() >= NEWER_GROUPS.items()
                contents.add(broker, raw)
                before = look(raw, groups=GROUPS, resources=RESOURCES)
                apache_was_here |= broker.name == "apache"
            if end == "stopped":
                broker.stop()
        finally:
            broker.kill()
        if end == "stopped":
            assert_sound(tmp_path / "data")


def ready(raw: RawClient, before: Seen) -> None:
    """Apache Kafka answers before its partitions have leaders and its groups are loaded."""
    for name, topic in before.topics.items():
        await_leaders(raw, name, len(topic.partitions))
    for name, partitions in before.internal.items():
        await_leaders(raw, name, len(partitions))
    for group in (*GROUPS, *NEWER_GROUPS):
        coordinate(raw, group)


def assert_all_there(before: Seen, found: Seen) -> None:
    assert (found.cluster_id, found.node_id) == (before.cluster_id, before.node_id)
    assert found.features == before.features
    assert found.configs == before.configs
    assert found.offsets == before.offsets
    # Coordinators add to what is there, also on their own; the groups, transactions and shares that
    # only Apache Kafka serves lie there too.
    assert found.internal.keys() >= before.internal.keys()
    for name, partitions in before.internal.items():
        for old_batches, new_batches in zip(partitions, found.internal[name], strict=True):
            assert new_batches[: len(old_batches)] == old_batches, name
    # Whoever serves a group lists it, be it as a classic one that only has offsets.
    assert found.group_types.keys() >= {group for group, held in before.offsets.items() if held}
    assert found.topics.keys() == before.topics.keys()
    for name, topic in before.topics.items():
        assert found.topics[name].topic_id == topic.topic_id
        assert found.topics[name].configs == topic.configs, name
        for old, new in zip(topic.partitions, found.topics[name].partitions, strict=True):
            if name == "compacted":  # the cleaner may go on at any time
                assert latest_by_key(new.batches) == latest_by_key(old.batches)
                assert new.end_offset == old.end_offset
            else:
                assert_same_partition(name, old, new)


def assert_same_partition(name: str, old: Partition, new: Partition) -> None:
    assert new.leader_epoch >= old.leader_epoch, name
    offsets = (old.start_offset, old.end_offset, old.last_stable_offset)
    assert (new.start_offset, new.end_offset, new.last_stable_offset) == offsets, name
    assert new.batches == old.batches, name
    assert new.aborted == old.aborted, name
    assert new.by_time == old.by_time, name
    # An epoch in which nothing was written is forgotten when the next one begins.
    written = {BatchHeader(batch).leader_epoch for batch in old.batches}
    for epoch, (found, end) in old.epoch_ends.items():
        assert new.epoch_ends[epoch][1] == end, name
        if epoch in written:
            assert new.epoch_ends[epoch][0] == found, name
    assert new.producers == old.producers, name


def assert_sound(data: Path) -> None:
    """dump-log reads every file of it."""
    for pattern, options in (
        ("[!_]*/*.log", ("--deep-iteration",)),
        ("__cluster_metadata-0/*.log", ("--cluster-metadata-decoder",)),
        ("*/*.index", ("--index-sanity-check",)),
        ("*/*.timeindex", ("--index-sanity-check",)),
        ("*/*.snapshot", ()),
    ):
        files = [file for file in data.glob(pattern) if not file.parent.name.endswith("-delete")]
        dump(sorted(files), *options, gaps=True)
    offsets = dump(sorted(data.glob("__consumer_offsets-*/*.log")), "--offsets-decoder")
    assert '"group":"simple"' in "".join(offsets.values())
