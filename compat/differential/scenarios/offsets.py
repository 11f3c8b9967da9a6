"""ListOffsets and OffsetForLeaderEpoch: every special value, times, epochs, wrong partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import Topic, batch, fill, make_topic
from compat.differential.scenarios import scenario
from kbroker.storage.compression import Codec
from kbroker.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from kbroker.wire.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)

if TYPE_CHECKING:
    from compat.differential.peer import Peer

HOUR_MS = 3_600_000


def offsets(
    name: str,
    timestamp: int,
    *,
    partition: int = 0,
    epoch: int = -1,
    isolation: int = 0,
    replica_id: int = -1,
) -> ListOffsetsRequest:
    one = ListOffsetsPartition(
        partition_index=partition, timestamp=timestamp, current_leader_epoch=epoch
    )
    return ListOffsetsRequest(
        replica_id=replica_id,
        isolation_level=isolation,
        timeout_ms=5000,
        topics=[ListOffsetsTopic(name=name, partitions=[one])],
    )


def filled(peer: Peer) -> Topic:
    """Stamps that rise, fall back and are equal; compressed and not; partition 1 is empty."""
    topic = make_topic(peer, "offsets", 3)
    base = peer.now_ms - HOUR_MS
    fill(
        peer,
        topic,
        batch(peer, b"a", b"b", b"c", stamps=[base, base + 10, base + 20]),
        batch(peer, b"d", b"e", stamps=[base + 15, base + 5], codec=Codec.LZ4),
        batch(peer, b"f", b"g", b"h", stamps=[base + 30, base + 30, base + 30]),
        batch(peer, b"i", b"j", stamps=[base + 100, base + 50], codec=Codec.GZIP),
        batch(peer, b"k", stamps=[base + 60]),
        batch(peer, b"l", stamps=[base + 100]),
    )
    fill(peer, topic, batch(peer, b"a", b"b", stamps=[-1, -1]), partition=2)
    return topic


@scenario(ListOffsetsRequest)
def listed(peer: Peer) -> None:
    topic = filled(peer)
    base = peer.now_ms - HOUR_MS
    stamps = [0, 1, *(base + delta for delta in (-1, 0, 1, 5, 6, 10, 11, 15, 16, 20, 21, 29, 30))]
    stamps += [base + delta for delta in (31, 50, 51, 60, 61, 99, 100, 101)] + [2**63 - 1]
    for version in peer.shared(ListOffsetsRequest):
        v = f"v{version} "
        for stamp in stamps if version in (1, peer.last(ListOffsetsRequest)) else stamps[3:6]:
            label = stamp - base if 0 < stamp < 2**62 and stamp > 1 else stamp
            peer.probe(f"{v}time {label}", offsets(topic.name, stamp), version)
        for stamp in range(-8, 0):
            for partition in (0, 1, 2):
                request = offsets(topic.name, stamp, partition=partition)
                peer.probe(f"{v}special {stamp} of {partition}", request, version)
        peer.probe(f"{v}special min", offsets(topic.name, -(2**63)), version)
        for isolation in (1, 2, -1) if version >= 2 else ():
            for stamp in (-1, -2, base):
                request = offsets(topic.name, stamp, isolation=isolation)
                step = f"{v}isolation {isolation} {stamp if stamp < 0 else 'time'}"
                peer.probe(step, request, version)
        for epoch in (0, 1, 5, -2) if version >= 4 else ():
            for stamp in (-1, -2, -3, base):
                request = offsets(topic.name, stamp, epoch=epoch)
                step = f"{v}epoch {epoch} {stamp if stamp < 0 else 'time'}"
                peer.probe(step, request, version)
        for partition in (3, -1):
            request = offsets(topic.name, -1, partition=partition)
            peer.probe(f"{v}partition {partition}", request, version)
        for name in (peer.name("missing"), "", "a b"):
            peer.probe(f"{v}topic {name[-8:]!r}", offsets(name, -1), version)
        for replica in (-2, -3, 0, 1, 99):
            request = offsets(topic.name, -1, replica_id=replica)
            peer.probe(f"{v}replica {replica}", request, version)
        several = offsets(topic.name, -1)
        several.topics.append(offsets(peer.name("missing"), -1).topics[0])
        several.topics[0].partitions += offsets(topic.name, -2, partition=2).topics[0].partitions
        peer.probe(f"{v}several", several, version)
        twice = offsets(topic.name, -1)
        twice.topics[0].partitions += offsets(topic.name, -2).topics[0].partitions
        peer.probe(f"{v}a partition twice", twice, version)
        peer.probe(f"{v}none", ListOffsetsRequest(replica_id=-1), version)


@scenario(OffsetForLeaderEpochRequest)
def ends_of_epochs(peer: Peer) -> None:
    topic = filled(peer)

    def ask(
        step: str, name: str, partition: int, epoch: int, current: int = -1, replica: int = -1
    ) -> None:
        one = OffsetForLeaderPartition(
            partition=partition, leader_epoch=epoch, current_leader_epoch=current
        )
        request = OffsetForLeaderEpochRequest(
            replica_id=replica, topics=[OffsetForLeaderTopic(topic=name, partitions=[one])]
        )
        peer.probe(step, request, version)

    for version in peer.shared(OffsetForLeaderEpochRequest):
        for partition in (0, 1, 3, -1):
            for epoch in (0, 1, 5, -1, -2, 2**31 - 1):
                step = f"v{version} partition {partition} epoch {epoch}"
                ask(step, topic.name, partition, epoch)
        for current in (0, 1, -2):
            ask(f"v{version} current epoch {current}", topic.name, 0, 0, current)
        for replica in (-2, 0, 1, 99):
            ask(f"v{version} replica {replica}", topic.name, 0, 0, replica=replica)
        ask(f"v{version} missing", peer.name("missing"), 0, 0)
        ask(f"v{version} no name", "", 0, 0)
        peer.probe(f"v{version} none", OffsetForLeaderEpochRequest(replica_id=-1), version)
