"""Share groups, request by request: assignments, acknowledgements, locks, delivery counts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from compat import apache
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from kbroker.wire.messages.describe_share_group_offsets import DescribeShareGroupOffsetsRequest
from kbroker.wire.messages.end_txn import EndTxnRequest
from kbroker.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from kbroker.wire.messages.share_acknowledge import ShareAcknowledgeRequest
from kbroker.wire.messages.share_fetch import ShareFetchRequest
from kbroker.wire.messages.share_group_describe import (
    DescribedGroup,
    ShareGroupDescribeRequest,
    ShareGroupDescribeResponse,
)
from kbroker.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest

from .asking import assert_error, assert_none, batch, describe, make_topic, produce
from .consumer_groups import assigned_by
from .share_groups import (
    ACCEPT,
    REJECT,
    RELEASE,
    Delivery,
    ShareMember,
    await_that,
    configure,
    lag,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compat.brokers import Broker
    from compat.raw import RawClient

    NewMember = Callable[[], ShareMember]
    Configure = Callable[..., None]

pytestmark = [
    pytest.mark.item(25),
    pytest.mark.needs(
        ShareGroupHeartbeatRequest,
        ShareGroupDescribeRequest,
        ShareFetchRequest,
        ShareAcknowledgeRequest,
        DescribeShareGroupOffsetsRequest,
    ),
]

LOCK_MS = 15_000  # the least that group.share.min.record.lock.duration.ms allows by default


@pytest.fixture
def config() -> dict[str, str | None]:
    """Of the group; a test has its own by `@pytest.mark.parametrize("config", ...)`."""
    return {"share.auto.offset.reset": "earliest"}


@pytest.fixture
def topic(
    raw: RawClient, group: str, unique: Callable[[str], str], config: dict[str, str | None]
) -> Iterator[str]:
    """Made once the group's configs hold."""
    if config:
        configure(raw, group, config)
    name = unique("shared")
    make_topic(raw, name)
    yield name
    if config:
        configure(raw, group, dict.fromkeys(config))


@pytest.fixture
def topic_id(raw: RawClient, topic: str) -> bytes:
    return describe(raw, topic).topic_id


@pytest.fixture
def new_member(
    group: str, topic: str, topic_id: bytes, connect: Callable[[], RawClient]
) -> Iterator[NewMember]:
    """Members that have joined and are assigned the topic."""
    made: list[ShareMember] = []

    def new() -> ShareMember:
        made.append(ShareMember(connect(), group, [topic], topic_id))
        made[-1].join()
        return made[-1]

    yield new
    for one in made:
        one.leave()  # whichever are still in the group


@pytest.mark.ci
def test_an_assignment_is_sent_only_when_it_changes(
    raw: RawClient, new_member: NewMember, topic: str, topic_id: bytes, unique: Callable[[str], str]
) -> None:
    member = new_member()
    for _ in range(5):
        answer = member.ask(member.epoch)
        assert_none(answer.error_code)
        assert (answer.member_epoch, answer.assignment) == (member.epoch, None)
        assert answer.heartbeat_interval_ms > 0
    epoch = member.epoch
    more = unique("shared")
    more_id = make_topic(raw, more)
    member.beat(topics=[topic, more])
    member.await_assignment({topic_id, more_id})
    assert member.epoch > epoch
    assert member.ask(member.epoch).assignment is None


@pytest.mark.ci
def test_members_have_epochs_and_may_share_a_partition(new_member: NewMember) -> None:
    one, two = new_member(), new_member()
    assert one.assigned == two.assigned
    assert_error(one.ask(two.epoch + 5).error_code, ErrorCode.FENCED_MEMBER_EPOCH)
    left = two.leave()
    assert (left.error_code, left.member_epoch) == (0, -1)
    assert_error(two.ask(two.epoch).error_code, ErrorCode.UNKNOWN_MEMBER_ID)
    assert_error(two.leave().error_code, ErrorCode.UNKNOWN_MEMBER_ID)
    again = one.ask(0)  # a join of a member that there is
    assert_none(again.error_code)
    assert assigned_by(again) == one.assigned


@pytest.mark.ci
def test_the_group_is_described_and_listed(
    raw: RawClient, group: str, new_member: NewMember, topic: str
) -> None:
    member = new_member()

    def described(name: str) -> DescribedGroup:
        request = ShareGroupDescribeRequest(group_ids=[name])
        return raw.ask(request, 1, ShareGroupDescribeResponse).groups[0]

    assert_error(described(group + "-absent").error_code, ErrorCode.GROUP_ID_NOT_FOUND)
    found = described(group)
    assert (found.error_code, found.group_state) == (0, "Stable")
    (seen,) = found.members
    assert (seen.member_id, seen.subscribed_topic_names) == (member.member_id, [topic])
    assert [(one.topic_name, one.partitions) for one in seen.assignment.topic_partitions] == [
        (topic, [0])
    ]
    listed = raw.ask(ListGroupsRequest(types_filter=["share"]), 5, ListGroupsResponse).groups
    assert ("share", "Stable") in [
        (one.group_type, one.group_state) for one in listed if one.group_id == group
    ]
    member.leave()
    assert described(group).group_state == "Empty"


@pytest.mark.ci
def test_records_are_accepted_released_and_rejected(
    raw: RawClient, group: str, new_member: NewMember, topic: str
) -> None:
    member = new_member()
    assert_none(produce(raw, topic, batch(b"a", b"b", b"c", b"d")).error_code)
    values = (b"a", b"b", b"c", b"d")
    assert member.take(4) == [Delivery(i, value, 1) for i, value in enumerate(values)]
    assert_none(member.acknowledge({0: ACCEPT, 1: RELEASE, 2: REJECT}))
    assert member.take(1) == [Delivery(1, b"b", 2)]  # the released one alone; 3 is still held
    member.fetch({1: ACCEPT, 3: ACCEPT})  # a fetch acknowledges too
    assert member.fetch() == []
    await_that(lambda: lag(raw, group, topic) == 0, member.beat)
    assert_none(produce(raw, topic, batch(b"e")).error_code)
    assert member.take(1) == [Delivery(4, b"e", 1)]


@pytest.mark.ci
def test_what_one_holds_no_other_gets_until_the_session_ends(
    raw: RawClient, new_member: NewMember, topic: str
) -> None:
    one, two = new_member(), new_member()
    assert_none(produce(raw, topic, batch(b"a")).error_code)
    assert one.take(1) == [Delivery(0, b"a", 1)]
    assert_none(produce(raw, topic, batch(b"b")).error_code)
    assert two.take(1) == [Delivery(1, b"b", 1)]
    assert two.fetch() == []
    assert_error(two.acknowledge({0: ACCEPT}), ErrorCode.INVALID_RECORD_STATE)
    one.close()
    assert two.take(1) == [Delivery(0, b"a", 2)]
    assert_none(two.acknowledge({0: ACCEPT, 1: ACCEPT}))


@pytest.mark.ci
def test_sessions_have_epochs(new_member: NewMember) -> None:
    member = new_member()
    early = member.fetch_response(5)
    assert_error(early.error_code, ErrorCode.SHARE_SESSION_NOT_FOUND)
    member.fetch()
    wrong = member.fetch_response(member.session_epoch + 3)
    assert_error(wrong.error_code, ErrorCode.INVALID_SHARE_SESSION_EPOCH)
    member.fetch()


@pytest.mark.ci
@pytest.mark.parametrize(
    "config",
    [{"share.delivery.count.limit": "2", "share.auto.offset.reset": "earliest"}],
    ids=["limit-2"],
)
def test_what_was_delivered_too_often_is_not_delivered_again(
    raw: RawClient, group: str, new_member: NewMember, topic: str
) -> None:
    member = new_member()
    assert_none(produce(raw, topic, batch(b"poison")).error_code)
    for count in (1, 2):
        assert member.take(1) == [Delivery(0, b"poison", count)]
        assert_none(member.acknowledge({0: RELEASE}))
    assert member.fetch() == []
    assert_none(produce(raw, topic, batch(b"good")).error_code)
    assert member.take(1) == [Delivery(1, b"good", 1)]
    assert_none(member.acknowledge({1: ACCEPT}))
    await_that(lambda: lag(raw, group, topic) == 0, member.beat)


@pytest.mark.full
@pytest.mark.parametrize(
    "config",
    [{"share.record.lock.duration.ms": str(LOCK_MS), "share.auto.offset.reset": "earliest"}],
    ids=["lock-15s"],
)
def test_a_lock_ends_and_the_record_is_delivered_again(
    raw: RawClient, new_member: NewMember, topic: str
) -> None:
    one, two = new_member(), new_member()
    assert_none(produce(raw, topic, batch(b"a")).error_code)
    started = time.monotonic()
    assert one.take(1) == [Delivery(0, b"a", 1)]
    two.fetch()
    response = two.fetch_response(two.session_epoch)
    two.session_epoch += 1
    assert response.acquisition_lock_timeout_ms == LOCK_MS
    assert two.take(1) == [Delivery(0, b"a", 2)]
    assert time.monotonic() - started >= LOCK_MS / 1000
    assert_error(one.acknowledge({0: ACCEPT}), ErrorCode.INVALID_RECORD_STATE)  # too late
    assert_none(two.acknowledge({0: ACCEPT}))


@pytest.mark.ci
@pytest.mark.parametrize("config", [{}], ids=["as-it-is"])
def test_a_group_begins_at_the_end_by_default(
    raw: RawClient, new_member: NewMember, topic: str
) -> None:
    """Which is where it began to read: no answer tells when, so records go on until one comes."""
    assert_none(produce(raw, topic, batch(b"before")).error_code)
    member = new_member()
    got: list[bytes | None] = []

    def fetch() -> None:
        got.extend(one.value for one in member.fetch())
        assert_none(produce(raw, topic, batch(b"after")).error_code)

    await_that(lambda: bool(got), fetch)
    assert set(got) == {b"after"}


ISOLATED = {"share.isolation.level": "read_committed", "share.auto.offset.reset": "earliest"}


@pytest.mark.ci
@pytest.mark.needs(AddPartitionsToTxnRequest, EndTxnRequest)
@pytest.mark.parametrize(
    ("config", "seen"),
    [
        (ISOLATED, [b"kept", b"plain"]),
        ({"share.auto.offset.reset": "earliest"}, [b"kept", b"undone", b"plain"]),
    ],
    ids=["read_committed", "read_uncommitted"],
)
def test_isolation_says_whether_aborted_records_come(
    broker: Broker,
    raw: RawClient,
    new_member: NewMember,
    topic: str,
    unique: Callable[[str], str],
    seen: list[bytes],
) -> None:
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap, "transactional.id": unique("sharing")}
    )
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(topic, b"kept", partition=0)
    producer.commit_transaction(60)
    producer.begin_transaction()
    producer.produce(topic, b"undone", partition=0)
    assert producer.flush(60) == 0
    producer.abort_transaction(60)
    assert_none(produce(raw, topic, batch(b"plain")).error_code)
    member = new_member()
    got: list[bytes | None] = []

    def fetch() -> None:
        got.extend(one.value for one in member.fetch())

    await_that(lambda: b"plain" in got, fetch)
    assert got == seen


@pytest.mark.ci
@pytest.mark.java
@pytest.mark.client("java")
def test_java_s_share_consumer_takes_what_was_released(
    broker: Broker, raw: RawClient, group: str, new_member: NewMember, topic: str
) -> None:
    member = new_member()
    assert_none(produce(raw, topic, batch(b"first", b"second")).error_code)
    assert len(member.take(2)) == 2
    assert_none(member.acknowledge({0: ACCEPT, 1: RELEASE}))
    member.close()
    printed = apache.run_tool(
        "console-share-consumer",
        "--bootstrap-server",
        broker.bootstrap,
        *("--topic", topic, "--group", group, "--max-messages", "1", "--timeout-ms", "60000"),
    )
    assert [line for line in printed.splitlines() if line in ("first", "second")] == ["second"]
    shown = apache.run_tool(
        "share-groups",
        *("--bootstrap-server", broker.bootstrap, "--describe", "--group", group, "--members"),
    )
    assert member.member_id in shown
