"""A log whose last values are kept says what it says when each record is replayed at its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.coordinators.deadlines import Deadlines
from kbroker.coordinators.group.records import (
    CommittedOffset,
    GroupRemoved,
    GroupStored,
    OffsetRemoved,
    OffsetStored,
    UnknownRecord,
    decode,
    encode,
)
from kbroker.coordinators.group.replay import GroupReplay
from kbroker.coordinators.group.shard import GroupShard
from kbroker.coordinators.replay import UnreadableValue
from kbroker.storage.batch import BatchHeader, ControlType, control_key, key_values, payload
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.lone_records import lone_records
from kbroker.wire.errors import ErrorCode, ProtocolError
from kbroker.wire.messages.offset_fetch import OffsetFetchRequestGroup
from kbroker.wire.records.group_metadata_value import GroupMetadataValue, MemberMetadata
from tests.kbroker.coordinators.rig import WALL_MS, config, subscription

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUPS = ("a", "b", "c")
TOPICS = ("t", "u")
PRODUCERS = (-1, -1, -1, 7, 8)


class Batch:
    """Consecutive records of one producer, or a transaction's marker."""

    def __init__(
        self,
        records: Sequence[tuple[bytes | None, bytes | None]],
        producer_id: int,
        marker: ControlType | None = None,
    ) -> None:
        self.producer_id = producer_id
        self.marker = marker
        self.records = records if marker is None else [(control_key(marker), b"\0\0\0\0\0\0")]

    def __repr__(self) -> str:
        what = self.marker.name if self.marker is not None else self.records
        return f"Batch({what}, producer {self.producer_id})"

    def built(self, base_offset: int) -> bytes:
        return build_batch(
            [NewRecord(0, key, value) for key, value in self.records],
            base_offset=base_offset,
            producer_id=self.producer_id,
            producer_epoch=0 if self.producer_id >= 0 else -1,
            base_sequence=0 if self.producer_id >= 0 and self.marker is None else -1,
            is_control=self.marker is not None,
            is_transactional=self.producer_id >= 0,
        )


def group_value(generation: int, member_ids: Sequence[str]) -> GroupMetadataValue:
    return GroupMetadataValue(
        protocol_type="consumer",
        generation=generation,
        protocol="range",
        leader=member_ids[0] if member_ids else None,
        current_state_timestamp=WALL_MS + generation,
        members=[
            MemberMetadata(
                member_id=name,
                client_id="c",
                client_host="/h",
                rebalance_timeout=60_000,
                session_timeout=10_000,
                subscription=subscription("t"),
                assignment=name.encode(),
            )
            for name in member_ids
        ],
    )


groups, topics = st.sampled_from(GROUPS), st.sampled_from(TOPICS)
commits = st.builds(
    lambda group, topic, index, offset: encode(
        OffsetStored(group, topic, index, CommittedOffset(offset, 1, "", WALL_MS + offset))
    ),
    groups,
    topics,
    st.integers(0, 2),
    st.integers(0, 1_000),
)
old_commits = commits.map(lambda record: (b"\0\0" + record[0][2:], record[1]))
tombstones = st.builds(
    lambda group, topic, index: encode(OffsetRemoved(group, topic, index)),
    groups,
    topics,
    st.integers(0, 2),
)
old_tombstones = tombstones.map(lambda record: (b"\0\0" + record[0][2:], None))
stored_groups = st.builds(
    lambda group, generation, members: encode(
        GroupStored(group, group_value(generation, [f"m{i}" for i in range(members)]))
    ),
    groups,
    st.integers(0, 9),
    st.integers(0, 2),
)
removed_groups = groups.map(lambda group: encode(GroupRemoved(group)))
foreign = st.sampled_from(
    [
        (b"\x00\x03\x00\x01g", b"\x00\x00\x00\x00\x00\x01"),
        (b"\x00", b""),
        (None, b"x"),
    ]
)
readable = st.one_of(
    commits, commits, commits, old_commits, tombstones, old_tombstones, stored_groups,
    removed_groups, foreign,
)  # fmt: skip
unreadable = st.builds(lambda record: (record[0], b"\x00\x63?"), commits | stored_groups) | st.just(
    (b"\x00\x01\x00\x05short", b"\x00\x04")
)


def logs(records: st.SearchStrategy[tuple[bytes | None, bytes | None]]) -> st.SearchStrategy[Batch]:
    return st.one_of(
        st.builds(Batch, st.lists(records, min_size=1, max_size=1), st.just(-1)),
        st.builds(
            Batch,
            st.lists(records, min_size=1, max_size=4),
            st.sampled_from(PRODUCERS),
        ),
        st.builds(
            Batch,
            st.just([]),
            st.sampled_from([7, 8]),
            st.sampled_from([ControlType.COMMIT, ControlType.ABORT]),
        ),
    )


def new_shard() -> GroupShard:
    return GroupShard(0, config(offsets_retention_minutes=1), Deadlines())


def whole(batches: Sequence[Batch]) -> tuple[GroupShard, int]:
    """Each record replayed at its place; and how many could not be."""
    shard, offset, skipped = new_shard(), 0, 0
    for batch in batches:
        for key, value in batch.records:
            if batch.marker is not None:
                is_commit = batch.marker is ControlType.COMMIT
                shard.end_transaction(batch.producer_id, is_commit=is_commit)
            elif key is None:
                skipped += 1
            else:
                try:
                    record = decode(key, value)
                except (UnknownRecord, ProtocolError):
                    skipped += 1
                else:
                    shard.replay(record, offset, batch.producer_id)
            offset += 1
    return shard, skipped


def sliced(
    batches: Sequence[Batch], flush_after: frozenset[int], *, keeps_latest: bool = True
) -> tuple[GroupShard, int]:
    """As a load does it, with what is kept taken in between too."""
    shard, offset = new_shard(), 0
    replay = GroupReplay(shard, keeps_latest=keeps_latest)
    for number, batch in enumerate(batches):
        built = batch.built(offset)
        step = lone_records(built, 0, offset, 100)
        if step.found:
            replay.take(step.found)
        else:
            header = BatchHeader(built)
            records = key_values(payload(memoryview(built), header), header)
            for _ in replay.take_batch(header, records):
                pass
        offset += len(batch.records)
        if number in flush_after:
            for _ in replay.flush():
                pass
    for _ in replay.flush():
        pass
    return shard, replay.skipped.total()


def seen(shard: GroupShard) -> object:
    """All that a client can see of it, and what is removed with a group or after a while."""
    fetched = {}
    for group in GROUPS:
        for is_stable in (False, True):
            request = OffsetFetchRequestGroup(group_id=group, topics=None)
            response = shard.fetch_offsets(request, require_stable=is_stable)
            fetched[group, is_stable] = sorted(
                (topic.name, p.partition_index, p.committed_offset, p.error_code)
                for topic in response.topics
                for p in topic.partitions
            )
    expired = {
        group.group_id: (sorted(removals), is_all)
        for at_ms in (500, 60_002, 61_000)
        for group in shard.groups.values()
        for removals, is_all in [shard.offsets.expired(group, WALL_MS + at_ms)]
    }
    return (
        sorted((group.group_id, group.group_state) for group in shard.list_groups(set(), set())),
        [shard.describe(group, 5) for group in GROUPS],
        fetched,
        {group: sorted(shard.offsets.removals(group)) for group in GROUPS},
        expired,
    )


@settings(max_examples=400)
@given(st.lists(logs(readable), max_size=30), st.frozensets(st.integers(0, 29), max_size=3))
def test_the_state_is_that_of_a_whole_replay(
    batches: list[Batch], flush_after: frozenset[int]
) -> None:
    expected, skipped = whole(batches)
    found, found_skipped = sliced(batches, flush_after)
    assert seen(found) == seen(expected)
    assert found_skipped == skipped
    # Transactions that are still open end alike.
    for shard in (expected, found):
        shard.end_transaction(7, is_commit=True)
        shard.end_transaction(8, is_commit=False)
    assert seen(found) == seen(expected)


@given(st.lists(logs(readable | unreadable), max_size=20), st.frozensets(st.integers(0, 19)))
def test_where_the_last_value_cannot_be_read_an_earlier_one_is_in_force(
    batches: list[Batch], flush_after: frozenset[int]
) -> None:
    expected, skipped = whole(batches)
    try:
        found, _ = sliced(batches, flush_after)
    except UnreadableValue:
        found, found_skipped = sliced(batches, flush_after, keeps_latest=False)
        assert found_skipped == skipped
    assert seen(found) == seen(expected)


def commit(offset: int) -> Batch:
    value = CommittedOffset(offset, 1, "", WALL_MS)
    return Batch([encode(OffsetStored("a", "t", 0, value))], -1)


def test_an_unreadable_last_value_is_reported_not_passed_over() -> None:
    log = [commit(5), Batch([(commit(6).records[0][0], b"\x00\x63?")], -1)]
    with pytest.raises(UnreadableValue):
        sliced(log, frozenset())
    found, skipped = sliced(log, frozenset(), keeps_latest=False)
    assert skipped == 1
    value = found.offsets.get("a", "t", 0)
    assert value is not None
    assert value.offset == 5


@pytest.mark.parametrize("is_old", [False, True])
def test_the_oldest_logs_keys_are_the_same_keys(is_old: bool) -> None:
    """A downgrade long ago may have left both types."""
    old, new = [
        Batch([(prefix + commit(5).records[0][0][2:], commit(offset).records[0][1])], -1)  # type: ignore[index]
        for prefix, offset in ((b"\0\0", 6), (b"\0\1", 7))
    ]
    first, last = (new, old) if is_old else (old, new)
    found, _ = sliced([first, last, first, last], frozenset())
    value = found.offsets.get("a", "t", 0)
    assert value is not None
    assert value.offset == (6 if is_old else 7)
    gone = Batch([(last.records[0][0], None)], -1)
    found, _ = sliced([last, first, gone], frozenset())
    assert found.offsets.get("a", "t", 0) is None


def test_only_the_last_value_of_a_key_is_decoded() -> None:
    replaced = Batch([(commit(5).records[0][0], b"\x00\x63?")], -1)
    found, skipped = sliced([replaced, commit(6)], frozenset())
    value = found.offsets.get("a", "t", 0)
    assert value is not None
    assert (value.offset, skipped) == (6, 0)


def test_two_members_of_one_instance_id_are_no_group() -> None:
    value = group_value(1, ["m0", "m1"])
    for member in value.members:
        member.group_instance_id = "i"
    found, skipped = sliced(
        [Batch([encode(GroupStored("a", value))], -1)], frozenset(), keeps_latest=False
    )
    assert (found.groups, skipped) == ({}, 1)
    assert found.describe("a", 6).error_code == ErrorCode.GROUP_ID_NOT_FOUND
