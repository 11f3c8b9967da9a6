"""Classic consumer groups and committed offsets, as handlers ask for them (Kafka's
GroupCoordinatorService).

A method decides before it returns, so in the order of a connection's requests; it returns a
coroutine where the answer has to wait for other members or for the high watermark. Errors are in
the responses.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio

from kbroker.complaints import Complaints
from kbroker.errors import refusal
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.delete_groups import DeletableGroupResult
from kbroker.wire.messages.describe_groups import DescribedGroup
from kbroker.wire.messages.heartbeat import HeartbeatResponse
from kbroker.wire.messages.join_group import JoinGroupResponse
from kbroker.wire.messages.leave_group import LeaveGroupResponse
from kbroker.wire.messages.list_groups import ListedGroup, ListGroupsResponse
from kbroker.wire.messages.offset_commit import (
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from kbroker.wire.messages.offset_delete import OffsetDeleteResponse
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)
from kbroker.wire.messages.sync_group import SyncGroupResponse

from .group.java import hash_map_order, partition_for, string_hash, topic_partition_hash
from .group.offsets import INVALID_OFFSET
from .internal_topics import CONSUMER_OFFSETS
from .runtime import GroupRuntime, Waiter

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from kbroker.clock import Clock
    from kbroker.config import BrokerConfig
    from kbroker.controller.image import MetadataImage
    from kbroker.wire.messages.heartbeat import HeartbeatRequest
    from kbroker.wire.messages.join_group import JoinGroupRequest
    from kbroker.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
    from kbroker.wire.messages.offset_commit import OffsetCommitRequest
    from kbroker.wire.messages.offset_delete import OffsetDeleteRequest
    from kbroker.wire.messages.offset_fetch import OffsetFetchRequestGroup
    from kbroker.wire.messages.sync_group import SyncGroupRequest

    from .group.result import Client
    from .slots import OffsetsPartition, Slot

log = logging.getLogger("kbroker.groups")

T = TypeVar("T")

NO_LEADER: Final = -1
FIND_TIMEOUT_S: Final = 10.0  # a client asks again
PARTITIONS_CACHED_MAX: Final = 10_000
VERSION_WITH_GROUP_ERROR_ON_FETCH: Final = 2


class GroupCoordinator:
    """The groups that this broker coordinates."""

    def __init__(
        self,
        *,
        node_id: int,
        config: BrokerConfig,
        clock: Clock,
        rng: random.Random,
        image: MetadataImage,
        ensure_topic: Callable[[str], Awaitable[object]],
    ) -> None:
        """`ensure_topic(name)` returns when the internal topic exists in `image`; it raises
        RequestError.
        """
        self._node_id = node_id
        self._config = config
        self._rng = rng
        self._image = image
        self._ensure_topic = ensure_topic
        self._runtime = GroupRuntime(config, clock)
        self._creation = trio.Lock()  # one attempt to create the topic at a time
        self._complaints = Complaints(trio.current_time)
        self._partition_count = 0  # 0: not known yet
        self._partitions: dict[str, int] = {}  # of groups, computed before

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Loading, sessions and expiry, until cancelled."""
        await self._runtime.run(task_status=task_status)

    # --- partitions of __consumer_offsets

    def on_elected(self, index: int, partition: OffsetsPartition, leader_epoch: int) -> None:
        """This broker became the leader of a partition of __consumer_offsets."""
        self._runtime.on_elected(index, partition, leader_epoch)

    def on_resigned(self, index: int) -> None:
        """This broker no longer leads it, or it is gone."""
        self._runtime.on_resigned(index)

    def on_topics_deleted(self, topics: Iterable[tuple[str, bytes]]) -> None:
        """Forget what groups committed for (name, id) of deleted topics."""
        for name, topic_id in topics:
            if name == CONSUMER_OFFSETS:
                self._partition_count = 0
                self._partitions.clear()
            for slot in self._runtime.slots():
                self._runtime.forget_topic(slot, name, topic_id)

    async def wait_loaded(self, bytes_max: int | None = None) -> None:
        """Until of the partitions that this broker was elected for by now the smallest are loaded
        and serve, up to so many bytes; all of them with None.
        """
        await self._runtime.wait_loaded(bytes_max)

    def begin_large_loads(self) -> None:
        """Clients are served: what is large is loaded beside them."""
        self._runtime.begin_large_loads()

    def shutdown(self) -> None:
        """This broker stops: who waits for a rebalance is sent to look for another coordinator."""
        for slot in self._runtime.slots():
            self._runtime.on_resigned(slot.index)

    def partition_for(self, group_id: str) -> int:
        """The partition of __consumer_offsets that a group belongs to."""
        index = self._partitions.get(group_id)
        if index is None:
            topic = self._image.topics.get(CONSUMER_OFFSETS)
            if topic is None:
                return partition_for(group_id, self._config.offsets_topic_num_partitions)
            if self._partition_count == 0:
                # Once: adding partitions must not move groups away from their records.
                self._partition_count = len(topic.partitions)
            if len(self._partitions) >= PARTITIONS_CACHED_MAX:
                self._partitions.clear()
            index = self._partitions[group_id] = partition_for(group_id, self._partition_count)
        return index

    async def find(self, group_id: str) -> tuple[ErrorCode, int]:
        """The broker that coordinates a group. If that is this one, it serves the group by now, or
        has much to load first.

        Creates __consumer_offsets on first use. COORDINATOR_NOT_AVAILABLE if that takes too long.
        """
        with trio.move_on_after(FIND_TIMEOUT_S):
            async with self._creation:
                if CONSUMER_OFFSETS not in self._image.topics:
                    try:
                        await self._ensure_topic(CONSUMER_OFFSETS)
                    except RequestError as error:
                        if self._complaints.is_news(str(error)):
                            log.warning("%s cannot be created: %s", CONSUMER_OFFSETS, error)
                        return ErrorCode.COORDINATOR_NOT_AVAILABLE, NO_LEADER
            index = self.partition_for(group_id)
            topic = self._image.topics.get(CONSUMER_OFFSETS)
            partition = None if topic is None else topic.partitions.get(index)
            if partition is None or partition.leader == NO_LEADER:
                return ErrorCode.COORDINATOR_NOT_AVAILABLE, NO_LEADER
            if partition.leader == self._node_id:
                await self._runtime.wait_elected(index)
            return ErrorCode.NONE, partition.leader
        return ErrorCode.COORDINATOR_NOT_AVAILABLE, NO_LEADER

    # --- members

    def join_group(
        self, request: JoinGroupRequest, client: Client
    ) -> JoinGroupResponse | Coroutine[Any, Any, JoinGroupResponse]:
        """Waits for the rebalance."""
        if not request.group_id:
            return JoinGroupResponse(
                member_id=request.member_id, error_code=ErrorCode.INVALID_GROUP_ID
            )
        config = self._config
        if not (
            config.group_min_session_timeout_ms
            <= request.session_timeout_ms
            <= config.group_max_session_timeout_ms
        ):
            return JoinGroupResponse(
                member_id=request.member_id, error_code=ErrorCode.INVALID_SESSION_TIMEOUT
            )
        slot = self._slot(request.group_id)
        if isinstance(slot, ErrorCode):
            return JoinGroupResponse(error_code=slot)
        waiter: Waiter[JoinGroupResponse] = Waiter()
        member_uuid = "" if request.member_id else _uuid_text(self._rng.getrandbits(128))
        result = slot.shard.decide_join(request, client, waiter, member_uuid, self._runtime.now())
        error = self._runtime.apply(slot, result)
        if result.response is None:
            return waiter.wait() if waiter.response is None else waiter.response
        return result.response if error is ErrorCode.NONE else JoinGroupResponse(error_code=error)

    def sync_group(
        self, request: SyncGroupRequest
    ) -> SyncGroupResponse | Coroutine[Any, Any, SyncGroupResponse]:
        """Waits for the leader's assignment."""
        slot = self._slot_of_named(request.group_id)
        if isinstance(slot, ErrorCode):
            return SyncGroupResponse(error_code=slot)
        waiter: Waiter[SyncGroupResponse] = Waiter()
        result = slot.shard.decide_sync(request, waiter, self._runtime.now())
        self._runtime.apply(slot, result)
        if result.response is None:
            return waiter.wait() if waiter.response is None else waiter.response
        return result.response

    def heartbeat(
        self, request: HeartbeatRequest
    ) -> HeartbeatResponse | Coroutine[Any, Any, HeartbeatResponse]:
        slot = self._slot_of_named(request.group_id)
        if isinstance(slot, ErrorCode):
            # While groups are loaded nobody knows better: the member may go on.
            is_loading = slot is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            return HeartbeatResponse(error_code=ErrorCode.NONE if is_loading else slot)
        error = slot.shard.decide_heartbeat(request, self._runtime.now())
        self._runtime.timers_changed()
        return self._settled(slot, HeartbeatResponse(error_code=error), _heartbeat_error)

    def leave_group(
        self, request: LeaveGroupRequest, identities: list[MemberIdentity]
    ) -> LeaveGroupResponse | Coroutine[Any, Any, LeaveGroupResponse]:
        slot = self._slot_of_named(request.group_id)
        if isinstance(slot, ErrorCode):
            return LeaveGroupResponse(error_code=slot)
        result = slot.shard.decide_leave(request, identities, self._runtime.now())
        error = self._runtime.apply(slot, result)
        if error is not ErrorCode.NONE or result.response is None:
            return LeaveGroupResponse(error_code=error)
        return self._settled(slot, result.response, _leave_error)

    # --- offsets

    def commit_offsets(
        self, request: OffsetCommitRequest, api_version: int
    ) -> OffsetCommitResponse | Coroutine[Any, Any, OffsetCommitResponse]:
        """Of topics that exist, with their names and ids."""
        slot = self._slot(request.group_id)
        if isinstance(slot, ErrorCode):
            return commit_error(request, slot)
        result = slot.shard.decide_commit(request, api_version, self._runtime.now())
        if isinstance(result, ErrorCode):
            return self._settled(
                slot, commit_error(request, result), partial(commit_error, request)
            )
        error = self._runtime.apply(slot, result)
        if error is not ErrorCode.NONE or result.response is None:
            return commit_error(request, error)
        if slot.is_settled:
            return result.response
        return self._settle(slot, result.response, partial(commit_error, request))

    def fetch_offsets(
        self, request: OffsetFetchRequestGroup, api_version: int, *, require_stable: bool
    ) -> OffsetFetchResponseGroup | Coroutine[Any, Any, OffsetFetchResponseGroup]:
        """Of topics with their names; all that the group has if `topics` is None."""
        failed = partial(fetch_error, request, api_version)
        slot = self._slot(request.group_id)
        if isinstance(slot, ErrorCode):
            return failed(slot)
        response = slot.shard.fetch_offsets(request, require_stable=require_stable)
        return self._settled(slot, response, failed)

    def delete_offsets(
        self, request: OffsetDeleteRequest
    ) -> OffsetDeleteResponse | Coroutine[Any, Any, OffsetDeleteResponse]:
        slot = self._slot_of_named(request.group_id)
        if isinstance(slot, ErrorCode):
            return OffsetDeleteResponse(error_code=slot)
        result = slot.shard.decide_delete_offsets(request, self._runtime.now())
        error = self._runtime.apply(slot, result)
        if error is not ErrorCode.NONE or result.response is None:
            return OffsetDeleteResponse(error_code=error)
        return self._settled(slot, result.response, _offset_delete_error)

    # --- administration

    async def describe_groups(self, group_ids: list[str], api_version: int) -> list[DescribedGroup]:
        """Partition by partition, as Kafka answers."""
        described = []
        by_partition, failed = self._by_partition(group_ids)
        for index, ids in by_partition:
            slot = await self._settled_slot(index)
            for group_id in ids:
                if isinstance(slot, ErrorCode):
                    described.append(DescribedGroup(group_id=group_id, error_code=slot))
                    continue
                try:
                    described.append(slot.shard.describe(group_id, api_version))
                except Exception as error:
                    failed[group_id] = refusal(error, f"DescribeGroups of {group_id!r}").code
        described += [DescribedGroup(group_id=id_, error_code=code) for id_, code in failed.items()]
        return described

    async def _settled_slot(self, index: int) -> Slot | ErrorCode:
        """The partition, once what its state knows is committed."""
        try:
            slot = self._runtime.slot(index)
            if isinstance(slot, ErrorCode) or slot.is_settled:
                return slot
            error = await self._runtime.settle(slot)
            return self._runtime.slot(index) if error is ErrorCode.NONE else error
        except Exception as failure:
            return refusal(failure, f"DescribeGroups in {CONSUMER_OFFSETS}-{index}").code

    async def list_groups(self, states: list[str], types: list[str]) -> ListGroupsResponse:
        """Of this broker's partitions. Filters are case-insensitive, empty ones let all through."""
        if self._runtime.is_loading:
            return ListGroupsResponse(error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        wanted_states = {state.strip().lower() for state in states}
        wanted_types = {type_.strip().lower() for type_ in types}
        groups: list[ListedGroup] = []
        for slot in self._runtime.loaded_slots():
            if not slot.is_settled:
                error = await self._runtime.settle(slot)
                if error is ErrorCode.NOT_COORDINATOR:
                    continue
                if error is not ErrorCode.NONE:
                    return ListGroupsResponse(error_code=error)
            groups += slot.shard.list_groups(wanted_states, wanted_types)
        return ListGroupsResponse(groups=groups)

    def delete_groups(
        self, group_ids: list[str]
    ) -> Coroutine[Any, Any, list[DeletableGroupResult]]:
        """Partition by partition, and there in the order of a HashSet, as Kafka answers; each
        once.
        """
        decided: list[tuple[Slot | None, list[DeletableGroupResult]]] = []
        by_partition, failed = self._by_partition(list(dict.fromkeys(group_ids)))
        for index, unordered in by_partition:
            ids = hash_map_order(unordered, string_hash)
            try:
                decided.append(self._delete_in(index, ids))
            except Exception as failure:
                code = refusal(failure, f"DeleteGroups in {CONSUMER_OFFSETS}-{index}").code
                decided.append((None, _deletions_failed(ids, code)))
        for group_id, code in failed.items():
            decided.append((None, _deletions_failed([group_id], code)))
        return self._settle_deletions(decided)

    def _delete_in(
        self, index: int, ids: list[str]
    ) -> tuple[Slot | None, list[DeletableGroupResult]]:
        """Of one partition: the results, and what they wait for."""
        slot = self._runtime.slot(index)
        if isinstance(slot, ErrorCode):
            return None, _deletions_failed(ids, slot)
        result = slot.shard.decide_delete_groups(ids, self._runtime.now())
        error = self._runtime.apply(slot, result)
        if error is not ErrorCode.NONE or result.response is None:
            return None, _deletions_failed(ids, error)
        return slot, result.response

    async def _settle_deletions(
        self, decided: list[tuple[Slot | None, list[DeletableGroupResult]]]
    ) -> list[DeletableGroupResult]:
        results = []
        for slot, deletions in decided:
            if slot is not None:
                error = ErrorCode.NONE
                try:
                    if not slot.is_settled:
                        error = await self._runtime.settle(slot)
                except Exception as failure:
                    what = f"DeleteGroups in {CONSUMER_OFFSETS}-{slot.index}"
                    error = refusal(failure, what).code
                if error is not ErrorCode.NONE:
                    deletions = _deletions_failed([d.group_id for d in deletions], error)
            results += deletions
        return results

    # --- inside

    def _by_partition(
        self, group_ids: list[str]
    ) -> tuple[list[tuple[int, list[str]]], dict[str, ErrorCode]]:
        """The ids of each partition, in the order of Kafka's map from TopicPartition; and those
        whose partition cannot be told.
        """
        ids: dict[int, list[str]] = {}
        failed: dict[str, ErrorCode] = {}
        for group_id in group_ids:
            try:
                ids.setdefault(self.partition_for(group_id), []).append(group_id)
            except Exception as error:
                failed[group_id] = refusal(error, f"the partition of group {group_id!r}").code
        order = hash_map_order(ids, partial(topic_partition_hash, CONSUMER_OFFSETS))
        return [(index, ids[index]) for index in order], failed

    def _slot(self, group_id: str) -> Slot | ErrorCode:
        return self._runtime.slot(self.partition_for(group_id))

    def _slot_of_named(self, group_id: str) -> Slot | ErrorCode:
        """For requests that the group "" may not make. It can hold offsets, for old clients'
        sake.
        """
        return self._slot(group_id) if group_id else ErrorCode.INVALID_GROUP_ID

    def _settled(
        self, slot: Slot, response: T, failed: Callable[[ErrorCode], T]
    ) -> T | Coroutine[Any, Any, T]:
        if slot.is_settled:
            return response
        return self._settle(slot, response, failed)

    async def _settle(self, slot: Slot, response: T, failed: Callable[[ErrorCode], T]) -> T:
        error = await self._runtime.settle(slot)
        return response if error is ErrorCode.NONE else failed(error)


def _uuid_text(bits: int) -> str:
    """A random UUID (version 4) as Java prints it."""
    bits = bits & ~(0xF << 76) | 4 << 76
    bits = bits & ~(3 << 62) | 2 << 62
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def commit_error(request: OffsetCommitRequest, error: ErrorCode) -> OffsetCommitResponse:
    """The same error for every partition."""
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    OffsetCommitResponsePartition(
                        partition_index=partition.partition_index, error_code=error
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def fetch_error(
    request: OffsetFetchRequestGroup, api_version: int, error: ErrorCode
) -> OffsetFetchResponseGroup:
    """An error of the whole group; v1 can only say it of each partition."""
    if api_version >= VERSION_WITH_GROUP_ERROR_ON_FETCH:
        return OffsetFetchResponseGroup(group_id=request.group_id, error_code=error)
    return OffsetFetchResponseGroup(
        group_id=request.group_id,
        topics=[
            OffsetFetchResponseTopics(
                name=topic.name,
                partitions=[
                    OffsetFetchResponsePartitions(
                        partition_index=index, committed_offset=INVALID_OFFSET, error_code=error
                    )
                    for index in topic.partition_indexes
                ],
            )
            for topic in request.topics or ()
        ],
    )


def _deletions_failed(group_ids: list[str], error: ErrorCode) -> list[DeletableGroupResult]:
    return [DeletableGroupResult(group_id=group_id, error_code=error) for group_id in group_ids]


def _heartbeat_error(error: ErrorCode) -> HeartbeatResponse:
    return HeartbeatResponse(error_code=error)


def _leave_error(error: ErrorCode) -> LeaveGroupResponse:
    return LeaveGroupResponse(error_code=error)


def _offset_delete_error(error: ErrorCode) -> OffsetDeleteResponse:
    return OffsetDeleteResponse(error_code=error)
