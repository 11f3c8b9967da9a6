"""Fetch without sessions: offsets, limits, waiting, epochs, isolation, topics that are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import (
    NAMES_LAST,
    NO_SUCH_ID,
    Topic,
    batch,
    fill,
    make_topic,
)
from compat.differential.scenarios import scenario
from kbroker.storage.compression import Codec
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic, ReplicaState

if TYPE_CHECKING:
    from compat.differential.peer import Peer


def fetch_topic(topic: Topic, version: int, *parts: FetchPartition) -> FetchTopic:
    """By name or by id, as the version has it."""
    by_name = version <= NAMES_LAST
    return FetchTopic(
        topic=topic.name if by_name else "",
        topic_id=ZERO_UUID if by_name else topic.id,
        partitions=list(parts),
    )


def part(partition: int = 0, offset: int = 0, **more: int) -> FetchPartition:
    return FetchPartition(
        partition=partition,
        fetch_offset=offset,
        partition_max_bytes=more.get("max_bytes", 1 << 20),
        current_leader_epoch=more.get("epoch", -1),
        last_fetched_epoch=more.get("fetched_epoch", -1),
        log_start_offset=more.get("log_start_offset", -1),
    )


def fetch(*topics: FetchTopic, **more: int) -> FetchRequest:
    return FetchRequest(
        max_wait_ms=more.get("max_wait_ms", 0),
        min_bytes=more.get("min_bytes", 0),
        max_bytes=more.get("max_bytes", 1 << 22),
        isolation_level=more.get("isolation", 0),
        session_id=more.get("session", 0),
        session_epoch=more.get("epoch", -1),
        topics=list(topics),
    )


def filled(peer: Peer) -> Topic:
    """Partition 0 has batches of 1 to 4 records, 1 is empty, 2 has larger ones."""
    topic = make_topic(peer, "fetched", 4)
    fill(
        peer,
        topic,
        batch(peer, b"a"),
        batch(peer, b"b", b"c"),
        batch(peer, b"d", b"e", b"f", codec=Codec.SNAPPY),
        batch(peer, b"g", b"h", b"i", b"j", key=None),
    )
    fill(peer, topic, *(batch(peer, b"%d" % i * 2000) for i in range(4)), partition=2)
    return topic


@scenario(FetchRequest)
def offsets(peer: Peer) -> None:
    topic = filled(peer)
    for version in peer.shared(FetchRequest):
        v = f"v{version} "
        for offset in (*range(12), -1, -2, 2**63 - 1):
            request = fetch(fetch_topic(topic, version, part(0, offset)))
            peer.probe(f"{v}offset {offset}", request, version)
        for partition in (1, 3, 4, -1):
            request = fetch(fetch_topic(topic, version, part(partition)))
            peer.probe(f"{v}partition {partition}", request, version)
        for offset in (0, 1):
            request = fetch(fetch_topic(topic, version, part(1, offset)))
            peer.probe(f"{v}empty, offset {offset}", request, version)
        for isolation in (1, 2, -1):
            request = fetch(fetch_topic(topic, version, part(0, 3)), isolation=isolation)
            peer.probe(f"{v}isolation {isolation}", request, version)
        if version >= 9:
            for epoch in (0, 1, -2):
                request = fetch(fetch_topic(topic, version, part(0, epoch=epoch)))
                peer.probe(f"{v}leader epoch {epoch}", request, version)
        if version >= 12:
            for epoch in (0, 1, -2):
                request = fetch(fetch_topic(topic, version, part(0, 3, fetched_epoch=epoch)))
                peer.probe(f"{v}last fetched epoch {epoch}", request, version)
            request = fetch(fetch_topic(topic, version, part(0, 99, fetched_epoch=0)))
            peer.probe(f"{v}diverging", request, version)
        peer.probe(v + "none", fetch(), version)


@scenario(FetchRequest)
def wrong_topics(peer: Peer) -> None:
    topic = filled(peer)
    missing = Topic(peer.name("missing"), NO_SUCH_ID, 1)
    unnamed = Topic("", ZERO_UUID, 1)
    wrong = Topic("a b", NO_SUCH_ID, 1)
    for version in peer.shared(FetchRequest):
        v = f"v{version} "
        for label, one in (("missing", missing), ("unnamed", unnamed), ("wrong", wrong)):
            request = fetch(fetch_topic(one, version, part()), max_wait_ms=500, min_bytes=1)
            peer.probe(f"{v}{label}", request, version)
            both = fetch(fetch_topic(one, version, part()), fetch_topic(topic, version, part()))
            peer.probe(f"{v}{label} and one", both, version)
        twice = fetch(fetch_topic(topic, version, part(), part(0, 3)))
        peer.probe(v + "a partition twice", twice, version)
        empty = fetch(fetch_topic(topic, version))
        peer.probe(v + "no partitions", empty, version)
        follower = fetch(fetch_topic(topic, version, part()))
        if version <= 14:
            follower.replica_id = 99
        else:
            follower.replica_state = ReplicaState(replica_id=99, replica_epoch=1)
        peer.probe(v + "a follower", follower, version)
        debugger = fetch(fetch_topic(topic, version, part()))
        if version <= 14:
            debugger.replica_id = -2
        else:
            debugger.replica_state = ReplicaState(replica_id=-2)
        peer.probe(v + "a debugger", debugger, version)
        if version >= 12:
            request = fetch(fetch_topic(topic, version, part()))
            request.cluster_id = "another"
            peer.probe(v + "another cluster", request, version)
        if version >= 11:
            request = fetch(fetch_topic(topic, version, part()))
            request.rack_id = "r1"
            peer.probe(v + "a rack", request, version)


@scenario(FetchRequest)
def limits(peer: Peer) -> None:
    topic = filled(peer)
    for version in (4, 7, NAMES_LAST, peer.last(FetchRequest)):
        v = f"v{version} "
        for size in (0, 1, 61, 100, 2067, 2068, 2069, 4000, 4136, 4137, 10_000, -1, 2**31 - 1):
            request = fetch(fetch_topic(topic, version, part(2, max_bytes=size)))
            peer.probe(f"{v}partition {size}", request, version)
            request = fetch(fetch_topic(topic, version, part(2)), max_bytes=size)
            peer.probe(f"{v}request {size}", request, version)
            both = fetch_topic(topic, version, part(2, max_bytes=size), part(0, max_bytes=size))
            peer.probe(f"{v}two partitions {size}", fetch(both), version)
            both = fetch_topic(topic, version, part(2), part(1), part(0))
            peer.probe(f"{v}three of {size}", fetch(both, max_bytes=size), version)
        for min_bytes in (1, 100, 2**31 - 1, -1):
            request = fetch(
                fetch_topic(topic, version, part(0)), min_bytes=min_bytes, max_wait_ms=100
            )
            peer.probe(f"{v}min bytes {min_bytes}", request, version)
            request = fetch(
                fetch_topic(topic, version, part(1)), min_bytes=min_bytes, max_wait_ms=100
            )
            peer.probe(f"{v}min bytes {min_bytes} of nothing", request, version)
        request = fetch(fetch_topic(topic, version, part(1)), min_bytes=1, max_wait_ms=-1)
        peer.probe(f"{v}wait -1", request, version)


@scenario(FetchRequest)
def waiting(peer: Peer) -> None:
    """A long poll is answered when there is enough."""
    topic = make_topic(peer, "waiting", 2)
    version = peer.last(FetchRequest)
    for number, min_bytes in enumerate((1, 60, 200)):
        request = fetch(
            fetch_topic(topic, version, part(0, number * 3), part(1)),
            min_bytes=min_bytes,
            max_wait_ms=8000,
        )
        pending = peer.send(f"min bytes {min_bytes}", request, version, connection="poll")
        fill(peer, topic, batch(peer, b"first"))
        if min_bytes == 200:
            fill(peer, topic, batch(peer, b"second"), batch(peer, b"x" * 200))
        else:
            pending.outcome()
            fill(peer, topic, batch(peer, b"second"), batch(peer, b"third"))
            continue
        pending.outcome()
