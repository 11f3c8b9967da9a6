"""Metadata and DescribeTopicPartitions: topics by name, by id, none and wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import NO_SUCH_ID, make_topic, usable
from compat.differential.scenarios import scenario
from kbroker.wire.messages.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    TopicRequest,
)
from kbroker.wire.messages.describe_topic_partitions import (
    DescribeTopicPartitionsRequestCursor as Cursor,
)
from kbroker.wire.messages.metadata import MetadataRequest, MetadataRequestTopic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compat.differential.peer import Peer

BAD_NAMES = ("", ".", "..", "a b", "a/b", "ü", "x" * 249, "x" * 250, "__share_group_state")


def named(names: Iterable[str], **options: bool) -> MetadataRequest:
    options.setdefault("allow_auto_topic_creation", False)
    return MetadataRequest(
        topics=[MetadataRequestTopic(name=name) for name in names],
        allow_auto_topic_creation=options["allow_auto_topic_creation"],
        include_cluster_authorized_operations=options.get("cluster_operations", False),
        include_topic_authorized_operations=options.get("topic_operations", False),
    )


@scenario(MetadataRequest)
def by_name(peer: Peer) -> None:
    one = make_topic(peer, "one", 3).name
    two = make_topic(peer, "two").name
    missing = peer.name("missing")
    for version in peer.shared(MetadataRequest):
        # Before v4 a request cannot say that topics shall not be made.
        quiet = version >= 4
        options = {} if quiet else {"allow_auto_topic_creation": True}
        peer.probe(f"v{version} one", named([one], **options), version)
        peer.probe(f"v{version} both", named([two, one], **options), version)
        peer.probe(f"v{version} twice", named([one, one], **options), version)
        if quiet:
            peer.probe(f"v{version} one missing", named([one, missing]), version)
            for name in BAD_NAMES:
                peer.probe(f"v{version} {name[:12]!r} {len(name)}", named([name]), version)
        if version >= 1:
            peer.probe(f"v{version} none", MetadataRequest(topics=[]), version)
        if version >= 8:
            request = named([one, missing], topic_operations=True)
            peer.probe(f"v{version} topic operations", request, version)
        if 8 <= version <= 10:
            request = named([one], cluster_operations=True)
            peer.probe(f"v{version} cluster operations", request, version)


@scenario(MetadataRequest)
def auto_created(peer: Peer) -> None:
    """Asked for with leave to make it; Apache Kafka says that it is not there, and makes it."""
    for version in peer.shared(MetadataRequest):
        name = peer.name(f"auto-{version}")
        peer.probe(f"v{version} asked", named([name], allow_auto_topic_creation=True), version)
        usable(peer, name, 1)
        again = named([name], allow_auto_topic_creation=True)
        peer.probe(f"v{version} asked again", again, version)
        for wrong in ("", "a b", "x" * 250):
            request = named([wrong], allow_auto_topic_creation=True)
            peer.probe(f"v{version} {wrong[:5]!r}", request, version)


@scenario(MetadataRequest)
def by_id(peer: Peer) -> None:
    topic = make_topic(peer, "by-id", 2)
    for version in peer.shared(MetadataRequest, first=10):
        for label, topic_id, name in (
            ("known id", topic.id, None),
            ("unknown id", NO_SUCH_ID, None),
            ("id and its name", topic.id, topic.name),
            ("id and a name", topic.id, "other"),
            ("null name, no id", bytes(16), None),
        ):
            asked = [MetadataRequestTopic(topic_id=topic_id, name=name)]
            request = MetadataRequest(topics=asked, allow_auto_topic_creation=False)
            peer.probe(f"v{version} {label}", request, version)
        mixed = [
            MetadataRequestTopic(topic_id=topic.id, name=None),
            MetadataRequestTopic(topic_id=NO_SUCH_ID, name=None),
            MetadataRequestTopic(topic_id=topic.id, name=None),
        ]
        request = MetadataRequest(topics=mixed, allow_auto_topic_creation=False)
        peer.probe(f"v{version} several ids", request, version)
        mixed = [
            MetadataRequestTopic(topic_id=topic.id, name=None),
            MetadataRequestTopic(name=topic.name),
        ]
        request = MetadataRequest(topics=mixed, allow_auto_topic_creation=False)
        peer.probe(f"v{version} an id and a name", request, version)


@scenario(DescribeTopicPartitionsRequest)
def described(peer: Peer) -> None:
    """Pages of partitions (KIP-966)."""
    one = make_topic(peer, "paged-1", 5).name
    two = make_topic(peer, "paged-2", 3).name
    missing = peer.name("missing")

    version = peer.last(DescribeTopicPartitionsRequest)

    def ask(
        label: str, names: Iterable[str], limit: int = 2000, cursor: Cursor | None = None
    ) -> None:
        request = DescribeTopicPartitionsRequest(
            topics=[TopicRequest(name=name) for name in names],
            response_partition_limit=limit,
            cursor=cursor,
        )
        peer.probe(label, request, version)

    ask("both", [two, one])
    ask("twice", [one, one])
    ask("missing", [missing, one])
    for limit in (1, 2, 5, 6, 8, 9, 2000, 2001, 0, -1, 2**31 - 1, -(2**31)):
        ask(f"limit {limit}", [one, two], limit)
    for partition in (0, 2, 4, 5, 99, -1):
        cursor = Cursor(topic_name=one, partition_index=partition)
        ask(f"from partition {partition}", [one, two], 4, cursor)
    ask("from the second", [one, two], cursor=Cursor(topic_name=two, partition_index=1))
    ask("from a missing topic", [one, two], cursor=Cursor(topic_name=missing))
    ask("from between", [one, two], cursor=Cursor(topic_name=f"{one}x"))
    ask("from after all", [one, two], cursor=Cursor(topic_name=f"{two}x"))
    for name in BAD_NAMES[:7]:
        ask(f"name {name[:12]!r} {len(name)}", [name])
