"""Fetch sessions (KIP-227): made, used, changed, closed, misused; and topics that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import (
    NAMES_LAST,
    NO_SUCH_ID,
    Topic,
    batch,
    delete,
    fill,
    make_topic,
    usable,
)
from compat.differential.scenarios import scenario
from compat.differential.scenarios.fetch import fetch, fetch_topic, part
from compat.differential.scenarios.topics import create, new
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from kbroker.wire.messages.delete_topics import DeleteTopicsRequest
from kbroker.wire.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    ForgottenTopic,
)

if TYPE_CHECKING:
    from compat.differential.peer import Peer


class Session:
    """A fetch session, by its id and the epoch of the next request."""

    def __init__(self, peer: Peer, version: int, step: str, *topics: FetchTopic) -> None:
        self.peer = peer
        self.version = version
        self.id = 0
        self.epoch = 0
        self.id = self.go(step, *topics).session_id

    def go(self, step: str, *topics: FetchTopic, forget: Topic | None = None) -> FetchResponse:
        """The next request of the session."""
        request = fetch(*topics, session=self.id, epoch=self.epoch)
        if forget is not None:
            by_name = self.version <= NAMES_LAST
            request.forgotten_topics_data = [
                ForgottenTopic(
                    topic=forget.name if by_name else "",
                    topic_id=ZERO_UUID if by_name else forget.id,
                    partitions=[0],
                )
            ]
        self.epoch += 1
        step = f"v{self.version} {step}"
        return self.peer.ask(step, request, self.version, FetchResponse)

    def topic(self, topic: Topic, *parts: FetchPartition) -> FetchTopic:
        return fetch_topic(topic, self.version, *parts)


@scenario(FetchRequest)
def used(peer: Peer) -> None:
    for version in peer.shared(FetchRequest, first=7):
        one = make_topic(peer, f"one-{version}", 2)
        two = make_topic(peer, f"two-{version}")
        fill(peer, one, batch(peer, b"a", b"b"))
        first = fetch_topic(one, version, part(0), part(1))
        session = Session(peer, version, "made", first)
        session.go("the same again")
        session.go("moved on", session.topic(one, part(0, 2)))
        session.go("nothing new")
        fill(peer, one, batch(peer, b"c"), partition=1)
        session.go("new in another partition")
        session.go("still there")
        session.go("moved on there", session.topic(one, part(1, 1)))
        session.go("another topic", session.topic(two, part(0)))
        fill(peer, two, batch(peer, b"d"))
        session.go("new in it")
        session.go("forgotten", forget=two)
        session.go("without it")
        session.go("forgotten again", forget=two)
        session.go("forgotten and asked for", session.topic(two, part(0)), forget=two)
        session.go("then")
        session.go("out of range", session.topic(one, part(0, 99)))
        session.go("still out of range")
        session.go("in range", session.topic(one, part(0, 2)))
        session.go("missing partition", session.topic(one, part(7)))
        session.go("still missing")
        missing = Topic(peer.name("missing"), NO_SUCH_ID, 1)
        session.go("missing topic", session.topic(missing, part(0)))
        session.go("still missing topic")
        session.go("forgotten missing topic", forget=missing)
        session.go("and then")


@scenario(FetchRequest)
def misused(peer: Peer) -> None:
    for version in peer.shared(FetchRequest, first=7):
        topic = make_topic(peer, f"topic-{version}")
        fill(peer, topic, batch(peer, b"a"))
        asked = fetch_topic(topic, version, part(0))
        v = f"v{version} "
        session = Session(peer, version, "made", asked)
        for label, session_id, epoch in (
            ("unknown id", 12345, 1),
            ("negative id", -1, 1),
            ("no id", 0, 1),
            ("epoch too high", session.id, 5),
            ("epoch too low", session.id, -2),
        ):
            request = fetch(asked, session=session_id, epoch=epoch)
            peer.probe(v + label, request, version)
        session.go("goes on")
        session.epoch -= 1
        session.go("epoch again")
        session.go("and right")
        request = fetch(asked, session=session.id, epoch=-1)
        peer.probe(v + "closed by a last request", request, version)
        peer.probe(v + "used after that", fetch(session=session.id, epoch=session.epoch), version)
        session = Session(peer, version, "another", asked)
        renewed = fetch(asked, session=session.id, epoch=0)
        peer.probe(v + "renewed", renewed, version)
        peer.probe(v + "the old one", fetch(session=session.id, epoch=1), version)
        peer.probe(v + "a session of nothing", fetch(epoch=0), version)


@scenario(FetchRequest, DeleteTopicsRequest, CreateTopicsRequest)
def topics_come_and_go(peer: Peer) -> None:
    """A topic of a session is deleted and made again."""
    for version in (NAMES_LAST, peer.last(FetchRequest)):
        topic = make_topic(peer, f"again-{version}")
        fill(peer, topic, batch(peer, b"old", b"old"))
        session = Session(peer, version, "made", fetch_topic(topic, version, part(0, 2)))
        session.go("nothing new")
        delete(peer, topic)
        session.go("deleted")
        session.go("deleted, again")
        again = create(new(topic.name))
        peer.quietly(again, peer.last(CreateTopicsRequest), CreateTopicsResponse)
        other = usable(peer, topic.name, 1)
        session.go("made again")
        session.go("made again, asked once more")
        session.go("the new one", session.topic(other, part(0)))
        session.go("then", forget=topic if version > NAMES_LAST else None)
        session.go("and then")
        fill(peer, other, batch(peer, b"new"))
        session.go("something in it")
