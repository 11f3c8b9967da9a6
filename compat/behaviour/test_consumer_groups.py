"""Consumer groups of KIP-848, request by request: epochs, static members, commits, both protocols.

An assignment comes when the coordinator has made it, so members send heartbeats until it is there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer

from compat.late import comes_to
from kbroker.wire.codec import decode, encode
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from kbroker.wire.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from kbroker.wire.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from kbroker.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from kbroker.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from kbroker.wire.records.consumer_protocol_assignment import (
    ConsumerProtocolAssignment,
    TopicPartition,
)
from kbroker.wire.records.consumer_protocol_subscription import ConsumerProtocolSubscription

from .asking import assert_error, assert_none, batch, make_topic, produce
from .consumer_groups import (
    LEAVING_FOR_NOW,
    Member,
    Partitions,
    assigned_by,
    describe,
    settle,
)
from .groups import commit, fetch_offsets, heartbeat, join_request, leave, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compat.brokers import Broker
    from compat.raw import RawClient

    NewMember = Callable[..., Member]

pytestmark = [
    pytest.mark.ci,
    pytest.mark.item(24),
    pytest.mark.needs(ConsumerGroupHeartbeatRequest, ConsumerGroupDescribeRequest),
]

PARTITIONS = 4


@pytest.fixture
def topic(unique: Callable[[str], str]) -> str:
    return unique("assigned")


@pytest.fixture
def topic_id(raw: RawClient, topic: str) -> bytes:
    return make_topic(raw, topic, PARTITIONS)


@pytest.fixture
def everything(topic_id: bytes) -> Partitions:
    return frozenset((topic_id, partition) for partition in range(PARTITIONS))


@pytest.fixture
def new_member(raw: RawClient, group: str, topic: str) -> Iterator[NewMember]:
    made: list[Member] = []

    def new(member_id: str, instance: str | None = None) -> Member:
        made.append(Member(raw, group, [topic], member_id, instance))
        return made[-1]

    yield new
    for one in made:
        one.ask(-1)  # whichever are still in the group


def group_type(raw: RawClient, group: str) -> str:
    listed = raw.ask(ListGroupsRequest(), 5, ListGroupsResponse).groups
    return next(one.group_type for one in listed if one.group_id == group)


def test_who_joins_is_assigned_by_topic_id_and_once(
    new_member: NewMember, everything: Partitions
) -> None:
    """With epoch 0 and an id of its own; the assignment is sent again only when it changes."""
    member = new_member("one")
    joined = member.join()
    assert joined.member_epoch > 0
    assert joined.heartbeat_interval_ms > 0
    settle(lambda: member.owned == everything, member)
    for _ in range(3):
        answer = member.ask(member.epoch)
        assert_none(answer.error_code)
        assert (answer.member_epoch, answer.assignment) == (member.epoch, None)
    assert assigned_by(member.ask(member.epoch, is_full=True)) == everything


def test_members_give_up_before_others_get(new_member: NewMember, everything: Partitions) -> None:
    """No partition is anyone's before the one who had it says that it has not; epochs rise."""
    one, two = new_member("one"), new_member("two")
    one.join()
    settle(lambda: one.owned == everything, one)
    before = one.epoch
    two.join()
    assert two.owned == frozenset()  # all are still the other's
    deadline = time.monotonic() + 30
    while (asked := assigned_by(one.ask(one.epoch))) is None:
        two.beat()
        assert two.owned == frozenset()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(asked) == PARTITIONS // 2
    two.beat()
    assert two.owned == frozenset()  # the other was told, and has not yet said that it did
    one.own(asked)
    settle(lambda: one.owned | two.owned == everything and one.epoch == two.epoch, one, two)
    assert len(two.owned) == PARTITIONS // 2
    assert not one.owned & two.owned
    assert one.epoch > before
    two.leave()
    settle(lambda: one.owned == everything, one)
    assert one.epoch > two.epoch


def test_wrong_epochs_are_fenced(new_member: NewMember, everything: Partitions) -> None:
    member = new_member("one")
    member.join()
    settle(lambda: member.owned == everything, member)
    member.refused(member.epoch + 1, ErrorCode.FENCED_MEMBER_EPOCH)
    new_member("nobody").refused(1, ErrorCode.UNKNOWN_MEMBER_ID)
    new_member("").refused(0, ErrorCode.INVALID_REQUEST)
    member.refused(-3, ErrorCode.INVALID_REQUEST)
    unknown = new_member("other").ask(0, assignor="no-such-assignor")
    assert_error(unknown.error_code, ErrorCode.UNSUPPORTED_ASSIGNOR)
    member.leave()
    member.refused(member.epoch, ErrorCode.UNKNOWN_MEMBER_ID)
    member.refused(-1, ErrorCode.UNKNOWN_MEMBER_ID)


def test_a_join_says_everything(raw: RawClient, group: str, topic: str) -> None:
    def code(**told: object) -> int:
        request = ConsumerGroupHeartbeatRequest(group_id=group, member_id="m", **told)  # type: ignore[arg-type]
        return raw.ask(request, 1, ConsumerGroupHeartbeatResponse).error_code

    whole = {
        "rebalance_timeout_ms": 30_000,
        "subscribed_topic_names": [topic],
        "topic_partitions": [],
    }
    for lacking in whole:
        rest = {key: value for key, value in whole.items() if key != lacking}
        assert_error(code(**rest), ErrorCode.INVALID_REQUEST)
    regex = {**whole, "subscribed_topic_names": None, "subscribed_topic_regex": "("}
    assert_error(code(**regex), ErrorCode.INVALID_REGULAR_EXPRESSION)


def test_a_static_member_leaves_for_now_and_gets_its_place_back(
    new_member: NewMember, everything: Partitions
) -> None:
    first, other, second = new_member("one", "i"), new_member("two"), new_member("three", "i")
    first.join()
    other.join()
    settle(lambda: len(first.owned) == len(other.owned) == PARTITIONS // 2, first, other)
    kept, epoch = first.owned, other.epoch
    second.refused(0, ErrorCode.UNRELEASED_INSTANCE_ID)
    first.leave(LEAVING_FOR_NOW)
    for _ in range(3):
        other.beat()
    assert (other.owned, other.epoch) == (everything - kept, epoch)  # it is waited for
    second.join()
    settle(lambda: second.owned == kept, second, other)
    first.refused(first.epoch, ErrorCode.FENCED_INSTANCE_ID)
    assert other.epoch == epoch
    second.leave()
    settle(lambda: other.owned == everything, other)
    first.refused(first.epoch, ErrorCode.UNKNOWN_MEMBER_ID)


@pytest.mark.parametrize("version", range(2))
def test_describe_tells_members_with_their_epochs(
    raw: RawClient,
    group: str,
    new_member: NewMember,
    topic: str,
    everything: Partitions,
    version: int,
) -> None:
    absent = describe(raw, group + "-absent", version)
    assert_error(absent.error_code, ErrorCode.GROUP_ID_NOT_FOUND)
    member = new_member("one", "i")
    member.join(assignor="range")
    settle(lambda: member.owned == everything, member)
    found = describe(raw, group, version)
    assert_none(found.error_code)
    assert (found.group_state, found.assignor_name) == ("Stable", "range")
    assert found.group_epoch == found.assignment_epoch == member.epoch
    (seen,) = found.members
    assert (seen.member_id, seen.instance_id, seen.member_epoch) == ("one", "i", member.epoch)
    assert (seen.client_id, seen.subscribed_topic_names) == ("compat", [topic])
    for assignment in (seen.assignment, seen.target_assignment):
        (one,) = assignment.topic_partitions
        told = {(one.topic_id, partition) for partition in one.partitions}
        assert (one.topic_name, told) == (topic, everything)
    if version >= 1:
        assert seen.member_type == 1  # of the new protocol
    assert group_type(raw, group) == "consumer"
    member.leave()
    assert describe(raw, group, version).group_state == "Empty"


def commit_by_id(
    raw: RawClient, group: str, topic_id: bytes, offset: int, epoch: int, member_id: str
) -> int:
    partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    request = OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=epoch,
        member_id=member_id,
        topics=[OffsetCommitRequestTopic(topic_id=topic_id, partitions=[partition])],
    )
    return raw.ask(request, 10, OffsetCommitResponse).topics[0].partitions[0].error_code


def test_commits_are_by_member_epoch(
    raw: RawClient, group: str, new_member: NewMember, topic: str, topic_id: bytes
) -> None:
    member = new_member("one")
    member.join()
    settle(lambda: bool(member.owned), member)

    def code(offset: int, epoch: int, member_id: str, version: int) -> int:
        if version >= 10:
            return commit_by_id(raw, group, topic_id, offset, epoch, member_id)
        options = {"generation": epoch, "member_id": member_id, "version": version}
        return commit(raw, group, topic, offset, **options)  # type: ignore[arg-type]

    for version in (9, 10):
        assert_none(code(version, member.epoch, "one", version))
        stale = code(1, member.epoch + 1, "one", version)
        assert_error(stale, ErrorCode.STALE_MEMBER_EPOCH)
        assert_error(code(1, member.epoch, "nobody", version), ErrorCode.UNKNOWN_MEMBER_ID)
        assert_error(code(1, -1, "", version), ErrorCode.UNKNOWN_MEMBER_ID)  # who is no member
    # Before version 9 a client could not know what to do about it.
    assert_error(code(1, member.epoch + 1, "one", 8), ErrorCode.UNSUPPORTED_VERSION)

    def fetch(epoch: int, member_id: str | None, version: int) -> tuple[int, list[int]]:
        wanted = OffsetFetchRequestTopics(
            name=topic if version < 10 else "",
            topic_id=topic_id if version >= 10 else bytes(16),
            partition_indexes=[0],
        )
        one = OffsetFetchRequestGroup(
            group_id=group, member_id=member_id, member_epoch=epoch, topics=[wanted]
        )
        found = raw.ask(OffsetFetchRequest(groups=[one]), version, OffsetFetchResponse).groups[0]
        offsets = [p.committed_offset for t in found.topics for p in t.partitions]
        return found.error_code, offsets

    for version in (9, 10):
        assert fetch(member.epoch, "one", version) == (0, [10])
        assert fetch(-1, None, version) == (0, [10])  # a tool, which is no member
        code_ = fetch(member.epoch + 1, "one", version)[0]
        assert_error(code_, ErrorCode.STALE_MEMBER_EPOCH)
        assert_error(fetch(member.epoch, "nobody", version)[0], ErrorCode.UNKNOWN_MEMBER_ID)
    member.leave()
    assert fetch(-1, None, 10) == (0, [10])


def test_who_lost_an_answer_may_come_with_the_epoch_before(
    new_member: NewMember, everything: Partitions
) -> None:
    """If it owns no more than the answer gave it."""
    one, two = new_member("one"), new_member("two")
    one.join()
    settle(lambda: one.owned == everything, one)
    before, owned = one.epoch, one.owned
    two.join()
    settle(lambda: one.epoch > before and len(two.owned) == PARTITIONS // 2, one, two)
    again = one.ask(before, owned=one.owned)
    assert_none(again.error_code)
    assert again.member_epoch == one.epoch
    assert_error(one.ask(before, owned=owned).error_code, ErrorCode.FENCED_MEMBER_EPOCH)


@pytest.mark.client("librdkafka")
def test_a_stock_consumer_shares_with_a_member(
    broker: Broker,
    raw: RawClient,
    group: str,
    new_member: NewMember,
    topic: str,
    everything: Partitions,
) -> None:
    """librdkafka's own members of the new protocol, which commit and leave by themselves."""
    for partition in range(PARTITIONS):
        assert_none(produce(raw, topic, batch(b"v"), partition=partition).error_code)
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": group,
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    seen = set()
    deadline = time.monotonic() + 60
    try:
        while len(seen) < PARTITIONS:
            assert time.monotonic() < deadline, seen
            message = consumer.poll(1)
            if message is not None:
                assert message.error() is None
                seen.add(message.partition())
        consumer.commit(asynchronous=False)
        assert fetch_offsets(raw, group, {topic: [0]}).topics[0].partitions[0].committed_offset == 1
        member = new_member("one")
        member.join()
        half = PARTITIONS // 2
        while len(member.owned) != half or len(consumer.assignment()) != half:
            assert time.monotonic() < deadline, member.owned
            consumer.poll(0.1)
            member.beat()
        parts = {one.partition for one in consumer.assignment()}
        assert parts | {partition for _, partition in member.owned} == set(range(PARTITIONS))
    finally:
        consumer.close()
    settle(lambda: member.owned == everything, member)


# A classic and a new member in one group, as the default of group.consumer.migration.policy allows.


def classic_request(group: str, topic: str, member_id: str = "") -> JoinGroupRequest:
    request = join_request(group, member_id, session_timeout_ms=45_000, topics=(topic,))
    # What a consumer of today sends: what it owns, in version 3.
    metadata = b"\0\3" + encode(ConsumerProtocolSubscription(topics=[topic]), 3)
    request.protocols = [JoinGroupRequestProtocol(name="range", metadata=metadata)]
    return request


def classic_join(raw: RawClient, request: JoinGroupRequest) -> JoinGroupResponse:
    joined = raw.ask(request, 9, JoinGroupResponse)
    if joined.error_code == ErrorCode.MEMBER_ID_REQUIRED:
        request.member_id = joined.member_id
        joined = raw.ask(request, 9, JoinGroupResponse)
    assert_none(joined.error_code)
    return joined


def classic_share(assignment: bytes) -> set[int]:
    """The partitions of the one topic."""
    told = decode(ConsumerProtocolAssignment, 0, assignment, 2)
    return {partition for one in told.assigned_partitions for partition in one.partitions}


def classic_assignment(topic: str) -> bytes:
    one = TopicPartition(topic=topic, partitions=list(range(PARTITIONS)))
    return b"\0\0" + encode(ConsumerProtocolAssignment(assigned_partitions=[one]), 0)


@pytest.mark.usefixtures("topic_id")
def test_a_group_is_upgraded_and_downgraded_online(
    raw: RawClient, group: str, new_member: NewMember, topic: str
) -> None:
    """The classic member stays a member throughout, and so do the group's offsets."""
    classic = classic_join(raw, classic_request(group, topic))
    done = sync(raw, group, classic, {classic.member_id: classic_assignment(topic)})
    assert classic_share(done.assignment) == set(range(PARTITIONS))
    membership = {"generation": classic.generation_id, "member_id": classic.member_id}
    assert_none(commit(raw, group, topic, 3, **membership))  # type: ignore[arg-type]
    assert group_type(raw, group) == "classic"

    member = new_member("new")
    member.join()
    assert group_type(raw, group) == "consumer"
    # The classic one hears of the rebalance by its heartbeat, as ever, and joins again.
    share: set[int] = set()
    deadline = time.monotonic() + 60
    while {partition for _, partition in member.owned} | share != set(range(PARTITIONS)) or (
        len(share) != PARTITIONS // 2
    ):
        assert time.monotonic() < deadline, (member.owned, share)
        member.beat()
        code = heartbeat(raw, group, classic.generation_id, classic.member_id)
        if code == ErrorCode.REBALANCE_IN_PROGRESS:
            classic = classic_join(raw, classic_request(group, topic, classic.member_id))
            done = sync(raw, group, classic)
            assert_none(done.error_code)
            share = classic_share(done.assignment)
        else:
            assert_none(code)
        time.sleep(0.1)
    assert len(member.owned) == PARTITIONS // 2
    kinds = {one.member_id: one.member_type for one in describe(raw, group).members}
    assert kinds == {classic.member_id: 0, "new": 1}

    # With the last of the new members gone it is a classic group again.
    member.leave()
    assert group_type(raw, group) == "classic"
    comes_to(
        lambda: heartbeat(raw, group, classic.generation_id, classic.member_id),
        ErrorCode.REBALANCE_IN_PROGRESS,
    )
    classic = classic_join(raw, classic_request(group, topic, classic.member_id))
    assert [one.member_id for one in classic.members] == [classic.member_id]
    request = OffsetFetchRequestGroup(group_id=group, topics=None)
    found = raw.ask(OffsetFetchRequest(groups=[request]), 9, OffsetFetchResponse).groups[0]
    assert found.topics[0].partitions[0].committed_offset == 3
    assert_none(leave(raw, group, (classic.member_id, None)).error_code)
