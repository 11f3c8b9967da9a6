"""Committed offsets of the groups of one shard: commit, fetch, delete, expire (Kafka's
OffsetMetadataManager).

Decisions here change nothing. Offsets change in `replay_stored` and `replay_removed`. Those of a
transaction count from its marker on, in `end_transaction`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.coordinators.result import Result
from kbroker.wire.errors import ErrorCode, refusal
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.offset_commit import (
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)

from .classic.group import GroupState
from .records import NO_TIMESTAMP, CommittedOffset, OffsetRemoved, OffsetStored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbroker.config import BrokerConfig
    from kbroker.coordinators.result import Now
    from kbroker.wire.messages.offset_commit import OffsetCommitRequest
    from kbroker.wire.messages.offset_fetch import OffsetFetchRequestTopics

    from .classic.group import ClassicGroup
    from .classic.result import GroupResult

    # topic -> partition -> what is committed
    _GroupOffsets = dict[str, dict[int, "_LoggedOffset"]]

NO_PRODUCER: Final = -1
INVALID_OFFSET: Final = -1
LAST_TIMESTAMP: Final = (1 << 63) - 1


class _LoggedOffset:
    """A committed offset, and where in the log it was committed: the later one wins at the end of
    a transaction.
    """

    __slots__ = ("record_offset", "value")

    def __init__(self, value: CommittedOffset, record_offset: int) -> None:
        self.value = value
        self.record_offset = record_offset


class CommittedOffsets:
    """group -> topic -> partition -> offset."""

    def __init__(self, config: BrokerConfig) -> None:
        self._config = config
        self._groups: dict[str, _GroupOffsets] = {}
        # What open transactions committed, by producer id; and by group, who they are.
        self._pending: dict[int, dict[str, _GroupOffsets]] = {}
        self._open: dict[str, set[int]] = {}

    def get(self, group_id: str, topic: str, partition: int) -> CommittedOffset | None:
        entry = self._groups.get(group_id, {}).get(topic, {}).get(partition)
        return None if entry is None else entry.value

    def of_group(self, group_id: str) -> Iterator[tuple[str, int, CommittedOffset]]:
        for topic, partitions in self._groups.get(group_id, {}).items():
            for partition, entry in partitions.items():
                yield topic, partition, entry.value

    # --- OffsetCommit

    def decide_commit(
        self, request: OffsetCommitRequest, now: Now
    ) -> GroupResult[OffsetCommitResponse]:
        """Topics have their names and ids, and exist: the handler has seen to that, the shard to
        the group.
        """
        result: GroupResult[OffsetCommitResponse] = Result(now)
        metadata_max = self._config.offset_metadata_max_bytes
        expires_ms = NO_TIMESTAMP
        if request.retention_time_ms != -1:
            expires_ms = min(now.wall_ms + request.retention_time_ms, LAST_TIMESTAMP)
        topics = []
        for topic in request.topics:
            partitions = []
            for partition in topic.partitions:
                index = partition.partition_index
                metadata = partition.committed_metadata or ""
                error = ErrorCode.NONE
                try:
                    if utf16_length(metadata) > metadata_max:
                        error = ErrorCode.OFFSET_METADATA_TOO_LARGE
                    else:
                        value = CommittedOffset(
                            partition.committed_offset,
                            partition.committed_leader_epoch,
                            metadata,
                            now.wall_ms,
                            expires_ms,
                            topic.topic_id,
                        )
                        result.records.append(
                            OffsetStored(request.group_id, topic.name, index, value)
                        )
                except Exception as failure:
                    error = refusal(failure, f"OffsetCommit of {topic.name}-{index}").code
                partitions.append(
                    OffsetCommitResponsePartition(partition_index=index, error_code=error)
                )
            topics.append(
                OffsetCommitResponseTopic(
                    name=topic.name, topic_id=topic.topic_id, partitions=partitions
                )
            )
        result.response = OffsetCommitResponse(topics=topics)
        return result

    # --- OffsetFetch

    def fetch(
        self, group_id: str, topics: list[OffsetFetchRequestTopics], *, require_stable: bool
    ) -> OffsetFetchResponseGroup:
        """Topics have their names; an id that is not the committed one's means that the topic was
        made anew.
        """
        group = self._groups.get(group_id, {})
        unstable = self._unstable(group_id) if require_stable else frozenset()
        response = OffsetFetchResponseGroup(group_id=group_id)
        for topic in topics:
            committed = group.get(topic.name, {})
            partitions = []
            for index in topic.partition_indexes:
                entry = committed.get(index)
                value = None if entry is None else entry.value
                is_unstable = (topic.name, index) in unstable
                try:
                    if value is not None and _is_other_topic(value.topic_id, topic.topic_id):
                        value = None
                    partitions.append(_fetched(index, value, is_unstable=is_unstable))
                except Exception as error:
                    partitions.append(_fetch_failed(topic.name, index, error))
            response.topics.append(
                OffsetFetchResponseTopics(
                    name=topic.name, topic_id=topic.topic_id, partitions=partitions
                )
            )
        return response

    def fetch_all(self, group_id: str, *, require_stable: bool) -> OffsetFetchResponseGroup:
        unstable = self._unstable(group_id) if require_stable else frozenset()
        response = OffsetFetchResponseGroup(group_id=group_id)
        for topic, committed in self._groups.get(group_id, {}).items():
            partitions = []
            for index, entry in committed.items():
                try:
                    partitions.append(
                        _fetched(index, entry.value, is_unstable=(topic, index) in unstable)
                    )
                except Exception as error:
                    partitions.append(_fetch_failed(topic, index, error))
            response.topics.append(OffsetFetchResponseTopics(name=topic, partitions=partitions))
        return response

    def _unstable(self, group_id: str) -> frozenset[tuple[str, int]]:
        """Partitions for which a transaction that is still open has offsets."""
        return frozenset(
            (topic, partition)
            for producer_id in self._open.get(group_id, ())
            for topic, partitions in self._pending[producer_id].get(group_id, {}).items()
            for partition in partitions
        )

    # --- removal

    def removals(self, group_id: str) -> list[OffsetRemoved]:
        """Tombstones for all that the group committed, in open transactions too."""
        keys = {(topic, partition): None for topic, partition, _ in self.of_group(group_id)}
        keys.update(dict.fromkeys(sorted(self._unstable(group_id))))
        return [OffsetRemoved(group_id, topic, partition) for topic, partition in keys]

    def removal(self, group_id: str, topic: str, partition: int) -> OffsetRemoved | None:
        """The tombstone for one partition; None if there is nothing to remove."""
        if self.get(group_id, topic, partition) is None and (
            group_id not in self._open or (topic, partition) not in self._unstable(group_id)
        ):
            return None
        return OffsetRemoved(group_id, topic, partition)

    def removals_of_topic(self, topic: str, topic_id: bytes) -> list[OffsetRemoved]:
        """Tombstones for a deleted topic, of every group; not for a younger topic of the same
        name.
        """
        removals: dict[tuple[str, int], None] = {}
        for groups in (self._groups, *self._pending.values()):
            for group_id, topics in groups.items():
                for partition, entry in topics.get(topic, {}).items():
                    if entry.value.topic_id in (ZERO_UUID, topic_id):
                        removals[group_id, partition] = None
        return [OffsetRemoved(group_id, topic, partition) for group_id, partition in removals]

    def expired(self, group: ClassicGroup, wall_ms: int) -> tuple[list[OffsetRemoved], bool]:
        """Tombstones for what has expired, and whether the group has no offsets beyond that.

        Retention runs from the commit, or from when a group with members lost the last one;
        offsets of topics that members subscribe to stay (KIP-211).
        """
        group_id = group.group_id
        has_open_transactions = group_id in self._open
        topics = self._groups.get(group_id)
        if topics is None:
            return [], not has_open_transactions
        if group.protocol_type is not None:
            is_aware = group.uses_consumer_protocol and group.subscribed_topics is not None
            if group.state is not GroupState.EMPTY and not (
                is_aware and group.state is GroupState.STABLE
            ):
                return [], False
        empty_since_ms = -1
        if group.protocol_type is not None and group.state is GroupState.EMPTY:
            empty_since_ms = group.state_timestamp_ms
        retention_ms = self._config.offsets_retention_minutes * 60_000
        unstable = self._unstable(group_id) if has_open_transactions else frozenset()
        removals = []
        is_all = True
        for topic, partitions in topics.items():
            if group.is_subscribed_to(topic):
                is_all = False
                continue
            for partition, entry in partitions.items():
                if (topic, partition) not in unstable and _is_expired(
                    entry.value, empty_since_ms, wall_ms, retention_ms
                ):
                    removals.append(OffsetRemoved(group_id, topic, partition))
                else:
                    is_all = False
        return removals, is_all and not has_open_transactions

    # --- the only changes

    def replay_stored(self, record: OffsetStored, record_offset: int, producer_id: int) -> None:
        groups = self._groups
        if producer_id != NO_PRODUCER:
            groups = self._pending.setdefault(producer_id, {})
            self._open.setdefault(record.group_id, set()).add(producer_id)
        topics = groups.setdefault(record.group_id, {})
        topics.setdefault(record.topic, {})[record.partition] = _LoggedOffset(
            record.value, record_offset
        )

    def replay_removed(self, record: OffsetRemoved) -> None:
        _remove(self._groups, record)
        for producer_id in self._open.get(record.group_id, ()):
            # The transaction stays known to the group: it must not expire before the marker.
            topics = self._pending[producer_id][record.group_id]
            topics.get(record.topic, {}).pop(record.partition, None)

    def end_transaction(self, producer_id: int, *, is_commit: bool) -> None:
        """A transaction's marker: its offsets count from here on, or are gone."""
        groups = self._pending.pop(producer_id, {})
        for group_id in groups:
            producers = self._open[group_id]
            producers.discard(producer_id)
            if not producers:
                del self._open[group_id]
        if not is_commit:
            return
        for group_id, topics in groups.items():
            for topic, partitions in topics.items():
                for partition, entry in partitions.items():
                    known = self._groups.get(group_id, {}).get(topic, {}).get(partition)
                    # Compaction may have moved a later plain commit before this one's marker.
                    if known is None or entry.record_offset > known.record_offset:
                        current = self._groups.setdefault(group_id, {}).setdefault(topic, {})
                        current[partition] = entry


def _remove(groups: dict[str, _GroupOffsets], record: OffsetRemoved) -> None:
    topics = groups.get(record.group_id)
    partitions = None if topics is None else topics.get(record.topic)
    if topics is None or partitions is None:
        return
    partitions.pop(record.partition, None)
    if not partitions:
        del topics[record.topic]
    if not topics:
        del groups[record.group_id]


def _fetched(
    index: int, value: CommittedOffset | None, *, is_unstable: bool
) -> OffsetFetchResponsePartitions:
    if is_unstable or value is None:
        return OffsetFetchResponsePartitions(
            partition_index=index,
            committed_offset=INVALID_OFFSET,
            error_code=ErrorCode.UNSTABLE_OFFSET_COMMIT if is_unstable else ErrorCode.NONE,
        )
    return OffsetFetchResponsePartitions(
        partition_index=index,
        committed_offset=value.offset,
        committed_leader_epoch=value.leader_epoch,
        metadata=value.metadata,
    )


def _fetch_failed(topic: str, index: int, error: Exception) -> OffsetFetchResponsePartitions:
    return OffsetFetchResponsePartitions(
        partition_index=index,
        committed_offset=INVALID_OFFSET,
        error_code=refusal(error, f"OffsetFetch of {topic}-{index}").code,
    )


def utf16_length(text: str) -> int:
    """In UTF-16 units, as Java's String.length counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _is_other_topic(committed_id: bytes, asked_id: bytes) -> bool:
    return committed_id != asked_id and ZERO_UUID not in (committed_id, asked_id)


def _is_expired(
    value: CommittedOffset, empty_since_ms: int, wall_ms: int, retention_ms: int
) -> bool:
    if value.expire_timestamp_ms != NO_TIMESTAMP:
        return wall_ms >= value.expire_timestamp_ms
    since_ms = value.commit_timestamp_ms if empty_since_ms == -1 else empty_since_ms
    return wall_ms - since_ms >= retention_ms
