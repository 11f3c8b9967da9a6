"""Topics and partitions that stand twice where records are written, read and looked up, with what
differs between the two, and what has come of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import (
    EARLIEST,
    LATEST,
    NAMES_LAST,
    NO_SUCH_ID,
    Topic,
    batch,
    fill,
    make_topic,
    new_producer,
    produce_request,
)
from compat.differential.scenarios import scenario
from compat.differential.scenarios.fetch import fetch, fetch_topic, part
from compat.differential.scenarios.fetch_sessions import Session
from compat.differential.scenarios.produce import ends, read_back, with_field
from kbroker.storage.batch import CRC_AT
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from kbroker.wire.messages.describe_producers import DescribeProducersRequest, TopicRequest
from kbroker.wire.messages.fetch import FetchRequest, FetchResponse, ForgottenTopic
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
from kbroker.wire.messages.produce import ProduceRequest

if TYPE_CHECKING:
    from compat.differential.peer import Peer


def produce(version: int, *parts: tuple[Topic, int, bytes], acks: int = 1) -> ProduceRequest:
    """Each part a topic of its own in the request."""
    request = ProduceRequest(acks=acks, timeout_ms=10_000)
    for topic, partition, records in parts:
        one = produce_request(topic, records, version=version, partition=partition)
        request.topic_data += one.topic_data
    return request


@scenario(ProduceRequest)
def produced(peer: Peer) -> None:
    topic, other = make_topic(peer, "produced", 2), make_topic(peer, "other", 2)
    missing = Topic(peer.name("missing"), NO_SUCH_ID, 1)
    a, b, c = (batch(peer, value) for value in (b"a", b"b1" * 9, b"c"))
    wrong = with_field(a, CRC_AT, ">I", 5, crc=False)
    for version in peer.shared(ProduceRequest):
        for step, parts in (
            ("the same", [(topic, 0, a), (topic, 0, a)]),
            ("the last counts", [(topic, 0, a), (topic, 0, b)]),
            ("two partitions", [(topic, 0, a), (topic, 1, b)]),
            ("around another", [(topic, 0, a), (other, 0, c), (topic, 0, b)]),
            ("two of each", [(topic, 1, a), (other, 0, b), (topic, 0, a), (other, 1, c)]),
            ("the first wrong", [(topic, 0, wrong), (topic, 0, a)]),
            ("the last wrong", [(topic, 0, a), (topic, 0, wrong)]),
            ("a missing partition", [(topic, 0, a), (topic, 9, b), (topic, 9, c)]),
            ("a missing topic", [(missing, 0, a), (topic, 0, b), (missing, 0, a)]),
            ("a missing topic's partitions", [(missing, 0, a), (missing, 1, a)]),
        ):
            for acks in (1, -1):
                request = produce(version, *parts, acks=acks)
                peer.probe(f"v{version} acks {acks} {step}", request, version)
        peer.unanswered(produce(version, (topic, 0, a), (topic, 0, b), acks=0), version)
        for one in (topic, other):
            for partition in (0, 1):
                ends(peer, f"v{version} {one.name[-5:]} {partition}", one, partition)
    for one in (topic, other):
        for partition in (0, 1):
            read_back(peer, f"{one.name[-5:]} {partition}", one, partition)


@scenario(ProduceRequest)
def sequences(peer: Peer) -> None:
    """Of an idempotent producer: what is left out leaves a gap."""
    version = peer.last(ProduceRequest)
    topic = make_topic(peer, "sequences", 2)
    producer = new_producer(peer)
    first, second, third = (batch(peer, b"x", producer=(producer, 0, i)) for i in range(3))
    for step, parts in (
        ("the same", [(topic, 0, first), (topic, 0, first)]),
        ("it again", [(topic, 0, first)]),
        ("two at once", [(topic, 0, second), (topic, 0, third)]),
        ("the one that was left out", [(topic, 0, second)]),
        ("the next", [(topic, 0, third)]),
        ("the same in two partitions", [(topic, 1, first), (topic, 0, third)]),
    ):
        peer.probe(step, produce(version, *parts), version)
    read_back(peer, "all", topic)


@scenario(FetchRequest)
def fetched(peer: Peer) -> None:
    topic, other = make_topic(peer, "fetched", 3), make_topic(peer, "other", 2)
    missing = Topic(peer.name("missing"), NO_SUCH_ID, 1)
    fill(peer, topic, batch(peer, b"a"), batch(peer, b"b"), batch(peer, b"c"))
    fill(peer, topic, batch(peer, b"d"), partition=1)
    fill(peer, other, batch(peer, b"e"))
    for version in peer.shared(FetchRequest):
        for step, asked in (
            ("the same", [(topic, part(0)), (topic, part(0))]),
            ("the last offset", [(topic, part(0)), (topic, part(0, 2))]),
            ("the last is out of range", [(topic, part(0)), (topic, part(0, 99))]),
            ("the first is out of range", [(topic, part(0, 99)), (topic, part(0))]),
            ("two partitions", [(topic, part(1)), (topic, part(0))]),
            ("around another", [(topic, part(0)), (other, part(0)), (topic, part(1))]),
            ("the same around another", [(topic, part(0)), (other, part(0)), (topic, part(0, 1))]),
            ("missing", [(missing, part(0)), (topic, part(0)), (missing, part(0))]),
            ("missing partitions", [(topic, part(9)), (topic, part(0)), (topic, part(9))]),
        ):
            request = fetch(*(fetch_topic(one, version, wanted) for one, wanted in asked))
            peer.probe(f"v{version} {step}", request, version)
        both = fetch(fetch_topic(topic, version, part(0), part(1), part(0, 1)))
        peer.probe(f"v{version} in one topic", both, version)


@scenario(FetchRequest)
def fetch_sessions(peer: Peer) -> None:
    topic = make_topic(peer, "fetched", 2)
    fill(peer, topic, batch(peer, b"a"), batch(peer, b"b"), batch(peer, b"c"))
    for version in peer.shared(FetchRequest, first=7):
        one, two = (fetch_topic(topic, version, part(0, offset)) for offset in (0, 1))
        session = Session(peer, version, "made", one, fetch_topic(topic, version, part(1)), two)
        session.go("the same again")
        session.go("moved on twice", two, one)
        by_name = version <= NAMES_LAST
        forgotten = ForgottenTopic(
            topic=topic.name if by_name else "",
            topic_id=ZERO_UUID if by_name else topic.id,
            partitions=[0, 0],
        )
        for step, topics in (("forgotten twice", ()), ("forgotten and wanted", (two,))):
            request = fetch(*topics, session=session.id, epoch=session.epoch)
            request.forgotten_topics_data = [forgotten, forgotten]
            peer.ask(f"v{version} {step}", request, version, FetchResponse)
            session.epoch += 1
            session.go(f"after {step}")


@scenario(FetchRequest)
def fetched_in_order(peer: Peer) -> None:
    """What was read comes first, in the order of the request, then ids that nobody knows, then
    partitions that are not there.
    """
    topic, other = make_topic(peer, "order", 2), make_topic(peer, "other", 2)
    missing, gone = (
        Topic(peer.name(name), bytes([i]) * 16, 1) for i, name in ((1, "missing"), (2, "gone"))
    )
    peer.topic_ids |= {missing.id.hex(): "missing", gone.id.hex(): "gone"}
    fill(peer, topic, batch(peer, b"a"))
    for version in peer.shared(FetchRequest):
        topics = [
            fetch_topic(other, version, part(7), part(1)),
            fetch_topic(gone, version, part(0), part(1)),
            fetch_topic(topic, version, part(9), part(0), part(1, 99)),
            fetch_topic(missing, version, part(0)),
            fetch_topic(other, version, part(0), part(8)),
        ]
        peer.probe(f"v{version}", fetch(*topics), version)
        peer.probe(f"v{version} backwards", fetch(*topics[::-1]), version)
        if version >= 7:
            session = Session(peer, version, "session", *topics)
            fill(peer, other, batch(peer, b"b"))
            session.go("then")
            session.go("a missing partition more", fetch_topic(topic, version, part(5), part(1)))


@scenario(ListOffsetsRequest)
def listed(peer: Peer) -> None:
    topic, other = make_topic(peer, "listed", 2), make_topic(peer, "other", 2)
    missing = Topic(peer.name("missing"), NO_SUCH_ID, 1)
    fill(peer, topic, batch(peer, b"a"), batch(peer, b"b"))
    fill(peer, topic, batch(peer, b"c"), partition=1)
    for version in peer.shared(ListOffsetsRequest):
        for step, asked in (
            ("the same", [(topic, 0, LATEST), (topic, 0, LATEST)]),
            ("another time", [(topic, 0, LATEST), (topic, 0, EARLIEST)]),
            ("two partitions", [(topic, 0, LATEST), (topic, 1, LATEST)]),
            ("around another", [(topic, 0, LATEST), (other, 0, LATEST), (topic, 1, LATEST)]),
            ("three times", [(topic, 0, LATEST)] * 3),
            ("a bad time", [(topic, 0, -99), (topic, 0, LATEST)]),
            ("missing", [(missing, 0, LATEST), (topic, 9, LATEST)] * 2),
        ):
            request = ListOffsetsRequest(
                replica_id=-1,
                topics=[
                    ListOffsetsTopic(
                        name=one.name,
                        partitions=[ListOffsetsPartition(partition_index=index, timestamp=time)],
                    )
                    for one, index, time in asked
                ],
            )
            peer.probe(f"v{version} {step}", request, version)


@scenario(OffsetForLeaderEpochRequest)
def epochs(peer: Peer) -> None:
    topic, other = make_topic(peer, "epochs", 2), make_topic(peer, "other", 2)
    fill(peer, topic, batch(peer, b"a"), batch(peer, b"b"))
    for version in peer.shared(OffsetForLeaderEpochRequest):
        for step, asked in (
            ("the same", [(topic, 0, 0), (topic, 0, 0)]),
            ("another epoch", [(topic, 0, 0), (topic, 0, 5)]),
            ("another epoch first", [(topic, 0, 5), (topic, 0, 0)]),
            ("two partitions", [(topic, 0, 0), (topic, 1, 0)]),
            ("around another", [(topic, 0, 0), (other, 0, 0), (topic, 0, 0)]),
            ("missing", [(topic, 9, 0), (topic, 0, 0), (topic, 9, 0)]),
        ):
            request = OffsetForLeaderEpochRequest(
                topics=[
                    OffsetForLeaderTopic(
                        topic=one.name,
                        partitions=[OffsetForLeaderPartition(partition=index, leader_epoch=epoch)],
                    )
                    for one, index, epoch in asked
                ]
            )
            peer.probe(f"v{version} {step}", request, version)


@scenario(DeleteRecordsRequest)
def deleted_records(peer: Peer) -> None:
    for version in peer.shared(DeleteRecordsRequest):
        topic, other = (make_topic(peer, f"{name}-{version}", 2) for name in ("deleted", "other"))
        for one in (topic, other):
            fill(peer, one, *(batch(peer, b"%d" % i) for i in range(9)))
        for step, asked in (
            ("the same", [(topic, 0, 1), (topic, 0, 1)]),
            ("less", [(topic, 0, 3), (topic, 0, 2)]),
            ("more", [(topic, 0, 4), (topic, 0, 5)]),
            ("too much, then right", [(topic, 0, 99), (topic, 0, 6)]),
            ("right, then too much", [(topic, 0, 7), (topic, 0, 99)]),
            ("two partitions", [(topic, 0, 7), (topic, 1, 0)]),
            ("around another", [(topic, 0, 7), (other, 0, 2), (topic, 0, 8)]),
            ("missing", [(topic, 9, 0), (topic, 0, 8), (topic, 9, 0)]),
        ):
            request = DeleteRecordsRequest(
                topics=[
                    DeleteRecordsTopic(
                        name=one.name,
                        partitions=[DeleteRecordsPartition(partition_index=index, offset=offset)],
                    )
                    for one, index, offset in asked
                ],
                timeout_ms=10_000,
            )
            peer.probe(f"v{version} {step}", request, version)
            ends(peer, f"v{version} {step}", topic)
        whole = [DeleteRecordsPartition(partition_index=0, offset=i) for i in (9, 8)]
        request = DeleteRecordsRequest(
            topics=[DeleteRecordsTopic(name=topic.name, partitions=whole)], timeout_ms=10_000
        )
        peer.probe(f"v{version} in one topic", request, version)
        ends(peer, f"v{version} in one topic", topic)


@scenario(DescribeProducersRequest)
def producers(peer: Peer) -> None:
    topic, other = make_topic(peer, "producers", 2), make_topic(peer, "other", 2)
    fill(peer, topic, batch(peer, b"a", producer=(new_producer(peer), 0, 0)))
    version = peer.last(DescribeProducersRequest)
    missing = Topic(peer.name("missing"), NO_SUCH_ID, 1)
    for step, asked in (
        ("the same", [(topic, [0]), (topic, [0])]),
        ("in one topic", [(topic, [0, 1, 0])]),
        ("two partitions", [(topic, [0]), (topic, [1])]),
        ("around another", [(topic, [0]), (other, [0]), (topic, [1])]),
        ("missing", [(missing, [0]), (topic, [9]), (missing, [0]), (topic, [9])]),
    ):
        request = DescribeProducersRequest(
            topics=[TopicRequest(name=one.name, partition_indexes=parts) for one, parts in asked]
        )
        peer.probe(step, request, version)
