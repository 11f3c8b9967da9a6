"""InitProducerId, and what idempotent producers are answered: windows, gaps, epochs, restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import batch, make_topic, new_producer, produce_request
from compat.differential.scenarios import scenario
from compat.differential.scenarios.produce import ends
from kbroker.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from kbroker.wire.messages.produce import ProduceRequest

if TYPE_CHECKING:
    from compat.differential.asking import Topic
    from compat.differential.peer import Peer, Pending

SEQUENCE_MAX = 2**31 - 1


class Producer:
    """A producer id that writes to one partition."""

    def __init__(self, peer: Peer, topic: Topic, partition: int) -> None:
        self.peer = peer
        self.topic = topic
        self.partition = partition
        self.id = new_producer(peer)
        self.version = peer.last(ProduceRequest)

    def send(self, step: str, sequence: int, count: int = 1, epoch: int = 0) -> None:
        values = [b"%d" % i for i in range(count)]
        records = batch(self.peer, *values, producer=(self.id, epoch, sequence))
        request = produce_request(
            self.topic, records, version=self.version, partition=self.partition
        )
        name = f"{step}: sequence {sequence}, {count} records, epoch {epoch}"
        self.peer.probe(name, request, self.version)


@scenario(InitProducerIdRequest)
def ids(peer: Peer) -> None:
    new_producer(peer)
    for version in peer.shared(InitProducerIdRequest):
        for timeout_ms in (60_000, 0, -1, 2**31 - 1):
            request = InitProducerIdRequest(
                transactional_id=None, transaction_timeout_ms=timeout_ms
            )
            peer.probe(f"v{version} timeout {timeout_ms}", request, version)
        first = peer.ask(
            f"v{version} fresh",
            InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1),
            version,
            InitProducerIdResponse,
        )
        for label, producer_id, epoch in (
            ("mine", first.producer_id, 0),
            ("mine, no epoch", first.producer_id, -1),
            ("an epoch alone", -1, 0),
            ("someone's", 2**40, 3),
            ("wrong id", -5, 0),
            ("wrong epoch", first.producer_id, -5),
        ):
            if version >= 3:
                request = InitProducerIdRequest(
                    transactional_id=None,
                    transaction_timeout_ms=1,
                    producer_id=producer_id,
                    producer_epoch=epoch,
                )
                peer.probe(f"v{version} {label}", request, version)
        request = InitProducerIdRequest(transactional_id="", transaction_timeout_ms=60_000)
        peer.probe(f"v{version} empty transactional id", request, version)


@scenario(ProduceRequest, InitProducerIdRequest)
def windows(peer: Peer) -> None:
    """What is remembered of a producer: its last five batches."""
    topic = make_topic(peer, "windows", 12)
    one = Producer(peer, topic, 0)
    for number in range(8):
        one.send("in order", number * 2, 2)
    for number in range(8):
        one.send("again", number * 2, 2)
    one.send("half a batch", 14, 1)
    one.send("more than a batch", 12, 4)
    one.send("overlap", 15, 2)
    one.send("gap", 17)
    one.send("next", 16)
    ends(peer, "windows", topic)

    for partition, first in enumerate((0, 5, SEQUENCE_MAX, 2_000_000), start=1):
        other = Producer(peer, topic, partition)
        other.send("first", first)
        other.send("first again", first)
        other.send("then", 0 if first == SEQUENCE_MAX else first + 1)

    wrapping = Producer(peer, topic, 5)
    wrapping.send("before the end", SEQUENCE_MAX - 1, 1)
    wrapping.send("over the end", SEQUENCE_MAX, 3)
    wrapping.send("over the end again", SEQUENCE_MAX, 3)
    wrapping.send("after", 2)
    wrapping.send("wrong", 0)

    epochs = Producer(peer, topic, 6)
    epochs.send("epoch 0", 0, 2)
    epochs.send("new epoch, wrong", 2, 1, 1)
    epochs.send("new epoch", 0, 2, 1)
    epochs.send("new epoch again", 0, 2, 1)
    epochs.send("old epoch", 2, 1, 0)
    epochs.send("later epoch", 0, 1, 7)
    epochs.send("last epoch", 0, 1, 32767)
    epochs.send("first epoch", 0, 1, 0)
    epochs.send("negative epoch", 0, 1, -1)

    other = Producer(peer, topic, 7)
    other.send("negative sequence", -1)
    other.send("negative sequence", -2)
    other.send("later epoch at first", 9, 1, 5)
    ends(peer, "epochs", topic, 6)

    for version in peer.shared(ProduceRequest):
        versioned = Producer(peer, topic, 8)
        versioned.version = version
        versioned.send(f"v{version}", 0, 2)
        versioned.send(f"v{version} duplicate", 0, 2)
        versioned.send(f"v{version} gap", 5)
        versioned.send(f"v{version} new epoch, wrong", 3, 1, 1)
        versioned.send(f"v{version} new epoch", 0, 1, 1)
        versioned.send(f"v{version} old epoch", 1, 1, 0)


@scenario(ProduceRequest, InitProducerIdRequest)
def pipelined(peer: Peer) -> None:
    """Several under way at once, as clients send them."""
    topic = make_topic(peer, "pipelined")
    producer_id = new_producer(peer)
    version = peer.last(ProduceRequest)
    sent: list[Pending] = []
    for sequence in (0, 1, 2, 4, 3, 3, 5, 4, 9):
        records = batch(peer, b"x", producer=(producer_id, 0, sequence))
        request = produce_request(topic, records, version=version)
        sent.append(peer.send(f"{len(sent)}: sequence {sequence}", request, version))
    for pending in sent:
        pending.outcome()
    ends(peer, "pipelined", topic)
