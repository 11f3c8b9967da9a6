"""What is answered on the data path for a topic that was deleted, and for one made in its place."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from compat.differential.asking import (
    Topic,
    batch,
    delete,
    fill,
    make_topic,
    produce_request,
    usable,
)
from compat.differential.group_asking import await_coordinator, commit
from compat.differential.scenarios import scenario
from compat.differential.scenarios.fetch import fetch, fetch_topic, part
from compat.differential.scenarios.group_offsets import fetch as fetch_offsets
from compat.differential.scenarios.offsets import offsets
from compat.differential.scenarios.topics import create, new
from kbroker.wire.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from kbroker.wire.messages.delete_topics import DeleteTopicsRequest
from kbroker.wire.messages.fetch import FetchRequest
from kbroker.wire.messages.list_offsets import ListOffsetsRequest
from kbroker.wire.messages.offset_commit import OffsetCommitRequest
from kbroker.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from kbroker.wire.messages.produce import ProduceRequest

if TYPE_CHECKING:
    from compat.differential.peer import Peer

FETCH_WAIT_MS = 30_000
SETTLED_S = 0.5  # by then a fetch that was sent waits, which cannot be asked


def use(peer: Peer, when: str, topic: Topic, group: str) -> None:
    """Write, read, ask for ends and commit, by name and by id."""
    for version in (3, 12, 13):
        request = produce_request(topic, batch(peer, b"x"), version=version)
        peer.probe(f"{when}: produce v{version}", request, version)
    for version in (4, 12, 13, peer.last(FetchRequest)):
        peer.probe(f"{when}: fetch v{version}", fetch(fetch_topic(topic, version, part())), version)
    for stamp in (-1, -2):
        request_offsets = offsets(topic.name, stamp)
        version = peer.last(ListOffsetsRequest)
        peer.probe(f"{when}: offset {stamp}", request_offsets, version)
    for version in (9, 10):
        committing = commit(group, [(topic.name, topic.id, {0: version})])
        peer.probe(f"{when}: commit v{version}", committing, version)
        peer.probe(
            f"{when}: committed v{version}", fetch_offsets(version, group, [(topic, [0])]), version
        )


@scenario(
    CreateTopicsRequest,
    DeleteTopicsRequest,
    ProduceRequest,
    FetchRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
)
def used(peer: Peer) -> None:
    """Before its end, after it, and after another has its name."""
    group = peer.name("group")
    await_coordinator(peer, group)
    topic = make_topic(peer, "used", 2)
    fill(peer, topic, batch(peer, b"a"))
    use(peer, "before", topic, group)
    delete(peer, topic)
    # The coordinator forgets its offsets by and by.
    peer.until(
        fetch_offsets(9, group, [(topic, [0])]),
        9,
        OffsetFetchResponse,
        lambda answer: answer.groups[0].topics[0].partitions[0].committed_offset < 0,
    )
    use(peer, "deleted", topic, group)
    again = create(new(topic.name))
    peer.quietly(again, peer.last(CreateTopicsRequest), CreateTopicsResponse)
    other = usable(peer, topic.name, 1)
    use(peer, "made again, the old id", topic, group)
    use(peer, "made again, the new id", other, group)


@scenario(DeleteTopicsRequest, FetchRequest)
def under_a_fetch(peer: Peer) -> None:
    """A fetch that waits for records, of a topic that goes meanwhile."""
    for version in (4, 11, 12, 13, peer.last(FetchRequest)):
        stays, goes = make_topic(peer, f"stays-{version}"), make_topic(peer, f"goes-{version}")
        topics = [fetch_topic(goes, version, part()), fetch_topic(stays, version, part())]
        request = fetch(*topics, max_wait_ms=FETCH_WAIT_MS, min_bytes=1 << 20)
        pending = peer.send(f"v{version}", request, version, connection="poll")
        time.sleep(SETTLED_S)
        delete(peer, goes)
        pending.outcome()
