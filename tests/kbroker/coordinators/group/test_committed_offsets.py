from __future__ import annotations

import pytest

from kbroker.coordinators.group.committed_offsets import utf16_length
from kbroker.coordinators.group.records import (
    CommittedOffset,
    GroupRemoved,
    OffsetRemoved,
    OffsetStored,
)
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from tests.kbroker.coordinators.rig import (
    GROUP,
    TOPIC_ID,
    WALL_MS,
    ShardRig,
    commit_request,
    fetch_request,
    join_request,
    subscription,
    sync_request,
)

MINUTE_MS = 60_000
WEEK_MS = 7 * 24 * 60 * MINUTE_MS
OTHER_ID = b"u" * 16


# --- OffsetCommit


def test_a_consumer_without_a_group_can_commit() -> None:
    rig = ShardRig()
    request = commit_request({0: 5}, metadata="m", leader_epoch=3)
    assert rig.commit_offsets(request) == ErrorCode.NONE
    assert rig.shard.offsets.get(GROUP, "t", 0) == CommittedOffset(
        5, 3, "m", WALL_MS, topic_id=TOPIC_ID
    )
    assert rig.state == "Empty"
    assert rig.reload().offsets.get(GROUP, "t", 0) == rig.shard.offsets.get(GROUP, "t", 0)


@pytest.mark.parametrize(
    ("api_version", "error"),
    [(8, ErrorCode.ILLEGAL_GENERATION), (9, ErrorCode.GROUP_ID_NOT_FOUND)],
)
def test_a_generation_of_an_unknown_group(api_version: int, error: ErrorCode) -> None:
    request = commit_request({0: 5}, member_id="m", generation_id=1)
    assert ShardRig().commit_offsets(request, api_version) == error


@pytest.mark.parametrize(
    ("member", "generation_id", "instance_id", "error"),
    [
        ("member", 1, None, ErrorCode.NONE),
        ("member", 2, None, ErrorCode.ILLEGAL_GENERATION),
        ("member", -1, None, ErrorCode.ILLEGAL_GENERATION),
        ("who", 1, None, ErrorCode.UNKNOWN_MEMBER_ID),
        ("member", 1, "one", ErrorCode.UNKNOWN_MEMBER_ID),
        ("", -1, None, ErrorCode.UNKNOWN_MEMBER_ID),
        ("", -1, "one", ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_a_group_with_members_takes_commits_of_its_generation(
    member: str, generation_id: int, instance_id: str | None, error: ErrorCode
) -> None:
    rig = ShardRig()
    (member_id,) = rig.stable()
    request = commit_request(
        {0: 5},
        member_id=member_id if member == "member" else member,
        generation_id=generation_id,
        instance_id=instance_id,
    )
    assert rig.commit_offsets(request) == error
    assert rig.committed(0) == (5 if error is ErrorCode.NONE else None)


@pytest.mark.parametrize(
    ("generation_id", "error"), [(-1, ErrorCode.NONE), (2, ErrorCode.UNKNOWN_MEMBER_ID)]
)
def test_an_empty_group_takes_commits_without_a_generation(
    generation_id: int, error: ErrorCode
) -> None:
    rig = ShardRig()
    (member_id,) = rig.stable()
    rig.advance(10_000)
    request = commit_request({0: 5}, member_id=member_id, generation_id=generation_id)
    assert rig.commit_offsets(request) == error


def test_members_commit_before_they_rejoin_but_not_before_they_sync() -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    rig.join(join_request(leader))
    request = commit_request({0: 5}, member_id=follower, generation_id=2)
    assert rig.commit_offsets(request) == ErrorCode.NONE
    rig.join(join_request(follower))
    request = commit_request({0: 6}, member_id=follower, generation_id=3)
    assert rig.commit_offsets(request) == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_commit_keeps_the_session_alive() -> None:
    rig = ShardRig()
    (member_id,) = rig.stable()
    for offset in range(5):
        rig.advance(9_000)
        request = commit_request({0: offset}, member_id=member_id, generation_id=1)
        assert rig.commit_offsets(request) == ErrorCode.NONE
    assert rig.state == "Stable"


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        (None, ErrorCode.NONE),
        ("x" * 10, ErrorCode.NONE),
        ("x" * 11, ErrorCode.OFFSET_METADATA_TOO_LARGE),
        ("\U0001f600" * 5, ErrorCode.NONE),
        ("\U0001f600" * 6, ErrorCode.OFFSET_METADATA_TOO_LARGE),
    ],
)
def test_metadata_has_a_limit(metadata: str | None, error: ErrorCode) -> None:
    rig = ShardRig(offset_metadata_max_bytes=10)
    assert rig.commit_offsets(commit_request({0: 5}, metadata=metadata)) == error
    assert rig.committed(0) == (5 if error is ErrorCode.NONE else None)


# --- OffsetFetch


def test_fetched_offsets_have_epoch_and_metadata() -> None:
    rig = ShardRig()
    rig.commit_offsets(commit_request({0: 5}, metadata="m", leader_epoch=3))
    response = rig.shard.fetch_offsets(fetch_request(0, 1), require_stable=True)
    (topic,) = response.topics
    known, unknown = topic.partitions
    assert (known.committed_offset, known.committed_leader_epoch, known.metadata) == (5, 3, "m")
    assert (unknown.partition_index, unknown.committed_offset) == (1, -1)
    assert (unknown.committed_leader_epoch, unknown.metadata, unknown.error_code) == (-1, "", 0)


def test_an_unknown_group_has_no_offsets() -> None:
    rig = ShardRig()
    response = rig.shard.fetch_offsets(fetch_request(0), require_stable=False)
    assert response.error_code == ErrorCode.NONE
    assert response.topics[0].partitions[0].committed_offset == -1


def test_all_offsets_of_a_group() -> None:
    rig = ShardRig()
    rig.commit_offsets(commit_request({0: 5, 2: 7}))
    rig.commit_offsets(commit_request({1: 9}, topic="u", topic_id=OTHER_ID))
    request = fetch_request()
    request.topics = None
    response = rig.shard.fetch_offsets(request, require_stable=False)
    assert {
        (topic.name, p.partition_index, p.committed_offset)
        for topic in response.topics
        for p in topic.partitions
    } == {("t", 0, 5), ("t", 2, 7), ("u", 1, 9)}


@pytest.mark.parametrize(
    ("committed_id", "asked_id", "offset"),
    [
        (TOPIC_ID, TOPIC_ID, 5),
        (TOPIC_ID, OTHER_ID, -1),
        (TOPIC_ID, bytes(16), 5),  # asked by name
        (bytes(16), OTHER_ID, 5),  # committed before ids were kept
    ],
)
def test_offsets_of_a_topic_that_was_made_anew_do_not_count(
    committed_id: bytes, asked_id: bytes, offset: int
) -> None:
    rig = ShardRig()
    rig.commit_offsets(commit_request({0: 5}, topic_id=committed_id))
    response = rig.shard.fetch_offsets(fetch_request(0, topic_id=asked_id), require_stable=False)
    assert response.topics[0].partitions[0].committed_offset == offset


# --- transactions, as a log may hold them


def transactional(rig: ShardRig, offset: int, producer_id: int = 7) -> None:
    rig.store(OffsetStored(GROUP, "t", 0, CommittedOffset(offset, -1, "", WALL_MS)), producer_id)


def fetched(rig: ShardRig, *, require_stable: bool) -> tuple[int, int]:
    response = rig.shard.fetch_offsets(fetch_request(0), require_stable=require_stable)
    partition = response.topics[0].partitions[0]
    return partition.committed_offset, partition.error_code


def test_offsets_of_an_open_transaction_wait_for_its_marker() -> None:
    rig = ShardRig()
    rig.commit_offsets(commit_request({0: 5}))
    transactional(rig, 9)
    assert fetched(rig, require_stable=False) == (5, ErrorCode.NONE)
    assert fetched(rig, require_stable=True) == (-1, ErrorCode.UNSTABLE_OFFSET_COMMIT)
    rig.shard.end_transaction(7, is_commit=True)
    assert fetched(rig, require_stable=True) == (9, ErrorCode.NONE)


def test_offsets_of_an_aborted_transaction_never_count() -> None:
    rig = ShardRig()
    rig.commit_offsets(commit_request({0: 5}))
    transactional(rig, 9)
    rig.shard.end_transaction(7, is_commit=False)
    assert fetched(rig, require_stable=True) == (5, ErrorCode.NONE)


def test_a_later_plain_commit_beats_a_transaction_that_ends_after_it() -> None:
    rig = ShardRig()
    transactional(rig, 9)
    rig.commit_offsets(commit_request({0: 5}))
    rig.shard.end_transaction(7, is_commit=True)
    assert fetched(rig, require_stable=True) == (5, ErrorCode.NONE)


def test_a_group_with_an_open_transaction_does_not_expire() -> None:
    rig = ShardRig()
    transactional(rig, 9)
    rig.advance(2 * WEEK_MS)
    assert GROUP in rig.shard.groups
    rig.shard.end_transaction(7, is_commit=False)
    rig.advance(10 * MINUTE_MS)
    assert GROUP not in rig.shard.groups


def test_deleting_a_group_ends_what_its_transactions_hold() -> None:
    rig = ShardRig()
    transactional(rig, 9)
    rig.apply(rig.shard.decide_delete_groups([GROUP], rig.now))
    rig.shard.end_transaction(7, is_commit=True)
    assert fetched(rig, require_stable=True) == (-1, ErrorCode.NONE)


# --- OffsetDelete


def delete(rig: ShardRig, *indexes: int, topic: str = "t") -> tuple[int, list[int]]:
    request = OffsetDeleteRequest(
        group_id=GROUP,
        topics=[
            OffsetDeleteRequestTopic(
                name=topic,
                partitions=[OffsetDeleteRequestPartition(partition_index=i) for i in indexes],
            )
        ],
    )
    result = rig.shard.decide_delete_offsets(request, rig.now)
    rig.apply(result)
    assert result.response is not None
    return result.response.error_code, [
        p.error_code for topic in result.response.topics for p in topic.partitions
    ]


def test_offsets_can_be_deleted() -> None:
    rig = ShardRig()
    rig.commit_offsets(commit_request({0: 5, 1: 6}))
    assert delete(rig, 0, 9) == (ErrorCode.NONE, [ErrorCode.NONE, ErrorCode.NONE])
    assert (rig.committed(0), rig.committed(1)) == (None, 6)
    assert rig.reload().offsets.get(GROUP, "t", 0) is None
    records_before = len(rig.log)
    delete(rig, 0)
    assert len(rig.log) == records_before


def test_offsets_of_an_unknown_group_cannot_be_deleted() -> None:
    assert delete(ShardRig(), 0) == (ErrorCode.GROUP_ID_NOT_FOUND, [])


def test_offsets_of_a_subscribed_topic_cannot_be_deleted() -> None:
    rig = ShardRig()
    (member_id,) = rig.stable()
    for topic in ("t", "u"):
        rig.commit_offsets(
            commit_request({0: 5}, topic=topic, member_id=member_id, generation_id=1)
        )
    assert delete(rig, 0) == (ErrorCode.NONE, [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC])
    assert delete(rig, 0, topic="u") == (ErrorCode.NONE, [ErrorCode.NONE])
    assert (rig.committed(0), rig.committed(0, "u")) == (5, None)


def test_members_of_another_protocol_keep_all_offsets() -> None:
    rig = ShardRig()
    rig.join(join_request(protocol_type="connect", protocols={"eager": b"?"}), api_version=3)
    rig.advance(0)
    assert delete(rig, 0) == (ErrorCode.NON_EMPTY_GROUP, [])


# --- DeleteGroups


def test_an_empty_group_is_deleted_with_its_offsets() -> None:
    rig = ShardRig()
    rig.commit_offsets(commit_request({0: 5}))
    result = rig.shard.decide_delete_groups([GROUP, "other"], rig.now)
    rig.apply(result)
    assert result.response is not None
    assert [r.error_code for r in result.response] == [
        ErrorCode.NONE,
        ErrorCode.GROUP_ID_NOT_FOUND,
    ]
    assert rig.state == "Dead"
    assert rig.committed(0) is None
    assert rig.reload().groups == {}


@pytest.mark.parametrize("member_count", [0, 1])
def test_a_group_that_went_on_as_one_of_another_kind_keeps_its_offsets(member_count: int) -> None:
    """Apache Kafka removes the classic group then, and leaves the offsets to its successor."""
    rig = ShardRig()
    if member_count:
        (member_id,) = rig.stable()
        rig.commit_offsets(commit_request({0: 5}, member_id=member_id, generation_id=1))
    else:
        rig.commit_offsets(commit_request({0: 5}))
    rig.store(GroupRemoved(GROUP))
    assert rig.committed(0) == 5
    loaded = rig.reload()
    assert [(g.group_id, g.group_state) for g in loaded.list_groups(set(), set())] == [
        (GROUP, "Empty")
    ]
    deleted = loaded.decide_delete_groups([GROUP], rig.now)
    assert deleted.records == [OffsetRemoved(GROUP, "t", 0), GroupRemoved(GROUP)]
    rig.advance(WEEK_MS + 20 * MINUTE_MS)
    assert rig.state == "Dead"
    assert rig.reload().offsets.get(GROUP, "t", 0) is None


def test_a_group_with_members_is_not_deleted() -> None:
    rig = ShardRig()
    rig.stable()
    result = rig.shard.decide_delete_groups([GROUP], rig.now)
    assert result.response is not None
    assert result.response[0].error_code == ErrorCode.NON_EMPTY_GROUP


# --- expiry


def test_offsets_without_members_expire_after_their_last_commit() -> None:
    rig = ShardRig()
    rig.commit_offsets(commit_request({0: 5, 1: 5}))
    rig.advance(WEEK_MS - 20 * MINUTE_MS)
    rig.commit_offsets(commit_request({1: 6}))
    rig.advance(20 * MINUTE_MS)
    assert (rig.committed(0), rig.committed(1)) == (None, 6)
    rig.advance(WEEK_MS)
    assert rig.state == "Dead"
    assert rig.reload().groups == {}


def test_offsets_of_an_emptied_group_expire_after_the_last_member() -> None:
    rig = ShardRig()
    (member_id,) = rig.stable()
    rig.commit_offsets(commit_request({0: 5}, member_id=member_id, generation_id=1))
    for _ in range(1_000):
        rig.advance(9_000)
        rig.heartbeat(member_id, 1)
    rig.advance(WEEK_MS)
    assert rig.committed(0) == 5
    rig.advance(10 * MINUTE_MS + 10_000)
    assert rig.state == "Dead"


def test_offsets_of_subscribed_topics_stay_as_long_as_there_are_members() -> None:
    rig = ShardRig(offsets_retention_minutes=1, offsets_retention_check_interval_ms=60_000)
    (member_id,) = rig.stable()
    for topic in ("t", "u"):
        rig.commit_offsets(
            commit_request({0: 5}, topic=topic, member_id=member_id, generation_id=1)
        )
    for _ in range(30):
        rig.advance(9_000)
        rig.heartbeat(member_id, 1)
    assert (rig.committed(0), rig.committed(0, "u")) == (5, None)


def test_offsets_stay_while_nobody_knows_what_members_subscribe_to() -> None:
    rig = ShardRig(offsets_retention_minutes=1, offsets_retention_check_interval_ms=60_000)
    rig.commit_offsets(commit_request({0: 5}))
    joining = rig.join(join_request(protocols={"range": b"garbage"}), api_version=3)
    rig.advance(0)
    assert joining.response is not None
    rig.sync(sync_request(joining.response.member_id, 1))
    for _ in range(30):
        rig.advance(9_000)
        rig.heartbeat(joining.response.member_id, 1)
    assert rig.committed(0) == 5


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_retention_of_its_own_beats_the_brokers(is_kept: bool) -> None:
    rig = ShardRig()
    retention_ms = 3 * WEEK_MS if is_kept else 5 * MINUTE_MS
    rig.commit_offsets(commit_request({0: 5}, retention_ms=retention_ms), api_version=4)
    rig.advance(2 * WEEK_MS if is_kept else 10 * MINUTE_MS)
    assert rig.committed(0) == (5 if is_kept else None)


def test_a_retention_beyond_the_end_of_time_ends_there() -> None:
    rig = ShardRig()
    request = commit_request({0: 5}, retention_ms=(1 << 63) - 1)
    assert rig.commit_offsets(request, api_version=4) == ErrorCode.NONE
    rig.advance(2 * WEEK_MS)
    assert rig.committed(0) == 5


def test_an_empty_group_without_offsets_goes_at_the_next_check() -> None:
    rig = ShardRig()
    rig.stable()
    rig.advance(10_000)
    assert rig.state == "Empty"
    rig.advance(10 * MINUTE_MS)
    assert rig.state == "Dead"


def test_offsets_of_a_deleted_topic_go_with_it() -> None:
    rig = ShardRig()
    rig.commit_offsets(commit_request({0: 5}))
    rig.commit_offsets(commit_request({1: 6}, topic_id=OTHER_ID))  # a younger topic's
    rig.commit_offsets(commit_request({2: 7}, topic_id=bytes(16)))
    rig.apply(rig.shard.decide_topic_deleted("t", TOPIC_ID, rig.now))
    assert [rig.committed(index) for index in range(3)] == [None, 6, None]


def test_topics_are_read_from_any_version_of_a_subscription() -> None:
    rig = ShardRig()
    metadata = subscription("t", "u", version=3) + b"owned partitions and more"
    rig.join(join_request(protocols={"range": metadata}), api_version=3)
    rig.advance(0)
    assert rig.shard.groups[GROUP].subscribed_topics == {"t", "u"}


def test_a_failure_within_one_partition_leaves_the_others_alone() -> None:
    rig = ShardRig()
    request = commit_request({0: 5, 1: 6, 2: 7})
    request.topics[0].partitions[1].committed_metadata = 1  # type: ignore[assignment]
    result = rig.shard.decide_commit(request, 9, rig.now)
    assert not isinstance(result, ErrorCode)
    rig.apply(result)
    assert result.response is not None
    assert [each.error_code for each in result.response.topics[0].partitions] == [
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_SERVER_ERROR,
        ErrorCode.NONE,
    ]
    assert [rig.committed(index) for index in range(3)] == [5, None, 7]


def test_lengths_count_utf16_units() -> None:
    assert utf16_length("abc") == 3
    assert utf16_length("\U0001f600") == 2
