"""OffsetCommit, OffsetFetch and OffsetDelete without members: metadata, errors, topic ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.late import comes_to
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from kbroker.wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from kbroker.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from kbroker.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
)
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)

from .asking import assert_error, assert_none, make_topic
from .groups import commit, coordinate, fetch_offsets, join, join_request, sync

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient

pytestmark = [pytest.mark.ci, pytest.mark.item(16)]


@pytest.fixture
def topic(raw: RawClient, unique: Callable[[str], str]) -> str:
    name = unique("committed")
    make_topic(raw, name, 3)
    return name


@pytest.fixture
def group(raw: RawClient, unique: Callable[[str], str]) -> str:
    name = unique("group")
    coordinate(raw, name)
    return name


def committed(raw: RawClient, group: str, topic: str) -> dict[int, tuple[int, str | None, int]]:
    """Partition -> offset, metadata, leader epoch."""
    found = fetch_offsets(raw, group, {topic: [0, 1, 2]})
    assert_none(found.error_code)
    return {
        p.partition_index: (p.committed_offset, p.metadata, p.committed_leader_epoch)
        for p in found.topics[0].partitions
    }


@pytest.mark.parametrize("metadata", ["", "plain", "ü☃ \N{GRINNING FACE}", "x" * 4096])
def test_metadata_and_epoch_come_back(
    raw: RawClient, group: str, topic: str, metadata: str
) -> None:
    assert_none(commit(raw, group, topic, 42, metadata=metadata, leader_epoch=0))
    assert committed(raw, group, topic) == {
        0: (42, metadata, 0),
        1: (-1, "", -1),
        2: (-1, "", -1),
    }


def test_null_metadata_comes_back_as_empty(raw: RawClient, group: str, topic: str) -> None:
    assert_none(commit(raw, group, topic, 1, metadata=None))
    assert committed(raw, group, topic)[0] == (1, "", -1)


def test_metadata_that_is_too_long_is_refused(raw: RawClient, group: str, topic: str) -> None:
    code = commit(raw, group, topic, 1, metadata="x" * 4097)
    assert_error(code, ErrorCode.OFFSET_METADATA_TOO_LARGE)
    assert committed(raw, group, topic)[0] == (-1, "", -1)


@pytest.mark.parametrize("version", range(2, 10))
def test_every_version_commits(raw: RawClient, group: str, topic: str, version: int) -> None:
    assert_none(commit(raw, group, topic, version, metadata="m", version=version))
    assert committed(raw, group, topic)[0] == (version, "m", -1)


@pytest.mark.parametrize("version", range(1, 8))
def test_every_old_version_fetches(raw: RawClient, group: str, topic: str, version: int) -> None:
    assert_none(commit(raw, group, topic, 9, metadata="m", leader_epoch=0))
    wanted = OffsetFetchRequestTopic(name=topic, partition_indexes=[0, 1])
    request = OffsetFetchRequest(group_id=group, topics=[wanted])
    response = raw.ask(request, version, OffsetFetchResponse)
    assert_none(response.error_code)
    (found,) = response.topics
    epoch = 0 if version >= 5 else -1
    assert [
        (p.committed_offset, p.metadata, p.committed_leader_epoch) for p in found.partitions
    ] == [(9, "m", epoch), (-1, "", -1)]
    if version >= 2:
        everything = raw.ask(
            OffsetFetchRequest(group_id=group, topics=None), version, OffsetFetchResponse
        )
        assert [[p.partition_index for p in t.partitions] for t in everything.topics] == [[0]]


def test_several_groups_in_one_request(
    raw: RawClient, topic: str, unique: Callable[[str], str]
) -> None:
    groups = [unique("many") for _ in range(3)]
    for i, group in enumerate(groups):
        coordinate(raw, group)
        assert_none(commit(raw, group, topic, i))
    request = OffsetFetchRequest(
        groups=[OffsetFetchRequestGroup(group_id=group, topics=None) for group in groups]
    )
    response = raw.ask(request, 8, OffsetFetchResponse)
    assert [g.group_id for g in response.groups] == groups
    found = [g.topics[0].partitions[0].committed_offset for g in response.groups]
    assert found == [0, 1, 2]


def test_topic_ids_from_version_10(
    raw: RawClient, group: str, unique: Callable[[str], str]
) -> None:
    name = unique("by-id")
    topic_id = make_topic(raw, name)

    def commit_to(topic_id: bytes) -> int:
        partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=5)
        request = OffsetCommitRequest(
            group_id=group,
            topics=[OffsetCommitRequestTopic(topic_id=topic_id, partitions=[partition])],
        )
        (topic,) = raw.ask(request, 10, OffsetCommitResponse).topics
        assert topic.topic_id == topic_id
        return topic.partitions[0].error_code

    assert_none(commit_to(topic_id))
    assert_error(commit_to(b"\x09" * 16), ErrorCode.UNKNOWN_TOPIC_ID)

    def fetch_of(topic_id: bytes) -> tuple[int, int]:
        wanted = OffsetFetchRequestTopics(topic_id=topic_id, partition_indexes=[0])
        request = OffsetFetchRequest(
            groups=[OffsetFetchRequestGroup(group_id=group, topics=[wanted])]
        )
        (topic,) = raw.ask(request, 10, OffsetFetchResponse).groups[0].topics
        assert topic.topic_id == topic_id
        return topic.partitions[0].error_code, topic.partitions[0].committed_offset

    assert fetch_of(topic_id) == (0, 5)
    assert fetch_of(b"\x09" * 16) == (ErrorCode.UNKNOWN_TOPIC_ID, -1)


def test_an_unknown_topic_cannot_be_committed(
    raw: RawClient, group: str, topic: str, unique: Callable[[str], str]
) -> None:
    code = commit(raw, group, unique("absent"), 1)
    assert_error(code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    code = commit(raw, group, topic, 1, partition=3)
    assert_error(code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


def test_a_member_nobody_knows_cannot_commit(raw: RawClient, group: str, topic: str) -> None:
    code = commit(raw, group, topic, 1, generation=3, member_id="nobody")
    assert_error(code, ErrorCode.GROUP_ID_NOT_FOUND)
    code = commit(raw, group, topic, 1, generation=3, member_id="nobody", version=8)
    assert_error(code, ErrorCode.ILLEGAL_GENERATION)


def test_members_commit_with_their_generation(raw: RawClient, group: str, topic: str) -> None:
    joined = join(raw, join_request(group, topics=(topic,)))
    member = {"generation": joined.generation_id, "member_id": joined.member_id}
    before_sync = commit(raw, group, topic, 1, **member)  # type: ignore[arg-type]
    assert_error(before_sync, ErrorCode.REBALANCE_IN_PROGRESS)
    assert_none(sync(raw, group, joined, {joined.member_id: b"a"}).error_code)
    assert_none(commit(raw, group, topic, 1, **member))  # type: ignore[arg-type]
    stale = commit(
        raw, group, topic, 2, generation=joined.generation_id + 1, member_id=joined.member_id
    )
    assert_error(stale, ErrorCode.ILLEGAL_GENERATION)
    other = commit(raw, group, topic, 2, generation=joined.generation_id, member_id="other")
    assert_error(other, ErrorCode.UNKNOWN_MEMBER_ID)
    simple = commit(raw, group, topic, 2)
    assert_error(simple, ErrorCode.UNKNOWN_MEMBER_ID)
    assert committed(raw, group, topic)[0][0] == 1


def test_a_group_of_the_empty_name_holds_offsets(raw: RawClient, topic: str) -> None:
    coordinate(raw, "")
    assert_none(commit(raw, "", topic, 3))
    assert committed(raw, "", topic)[0][0] == 3
    response = raw.ask(DeleteGroupsRequest(groups_names=[""]), 2, DeleteGroupsResponse)
    assert_none(response.results[0].error_code)
    assert committed(raw, "", topic)[0][0] == -1


def test_offsets_are_deleted_one_by_one(raw: RawClient, group: str, topic: str) -> None:
    for partition in range(3):
        assert_none(commit(raw, group, topic, 7, partition=partition))

    def delete(group: str, *partitions: int) -> OffsetDeleteResponse:
        wanted = [OffsetDeleteRequestPartition(partition_index=p) for p in partitions]
        request = OffsetDeleteRequest(
            group_id=group, topics=[OffsetDeleteRequestTopic(name=topic, partitions=wanted)]
        )
        return raw.ask(request, 0, OffsetDeleteResponse)

    response = delete(group, 0, 2, 9)
    assert_none(response.error_code)
    codes = {p.partition_index: p.error_code for p in response.topics[0].partitions}
    assert codes == {0: 0, 2: 0, 9: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    found = {p: offset for p, (offset, _, _) in committed(raw, group, topic).items()}
    assert found == {0: -1, 1: 7, 2: -1}
    absent = delete(group + "-absent", 0)
    assert_error(absent.error_code, ErrorCode.GROUP_ID_NOT_FOUND)

    joined = join(raw, join_request(group, topics=(topic,)))
    sync(raw, group, joined, {joined.member_id: b"a"})
    refused = delete(group, 1)
    assert_none(refused.error_code)
    code = refused.topics[0].partitions[0].error_code
    assert_error(code, ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC)


def test_the_offsets_of_a_deleted_topic_go_with_it(
    raw: RawClient, group: str, unique: Callable[[str], str]
) -> None:
    name = unique("gone")
    make_topic(raw, name, 3)
    assert_none(commit(raw, group, name, 7))
    request = DeleteTopicsRequest(topics=[DeleteTopicState(name=name)], timeout_ms=10_000)
    assert_none(raw.ask(request, 6, DeleteTopicsResponse).responses[0].error_code)
    make_topic(raw, name, 3)
    comes_to(lambda: committed(raw, group, name)[0][0], -1)
