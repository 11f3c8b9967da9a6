"""Classic consumer groups and committed offsets, as handlers ask for them (Kafka's
GroupCoordinatorService).

A method decides before it returns, and so in the order of a connection's requests. It returns a
coroutine if the answer has to wait for other members or for the high watermark. Errors are in the
responses.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from kbroker.controller.topic_names import CONSUMER_OFFSETS
from kbroker.errors import refusal
from kbroker.java_order import hash_map_order, string_hash, topic_partition_hash
from kbroker.storage.compression import Codec
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_groups import DescribedGroup
from kbroker.wire.messages.heartbeat import HeartbeatResponse
from kbroker.wire.messages.join_group import JoinGroupResponse
from kbroker.wire.messages.leave_group import LeaveGroupResponse
from kbroker.wire.messages.list_groups import ListedGroup, ListGroupsResponse
from kbroker.wire.messages.offset_delete import OffsetDeleteResponse
from kbroker.wire.messages.sync_group import SyncGroupResponse

from .finder import CoordinatorFinder
from .group import records as group_records
from .group.replay import GroupReplay
from .group.shard import GroupShard
from .group_errors import (
    commit_error,
    deletion_errors,
    fetch_error,
    heartbeat_error,
    leave_error,
    offset_delete_error,
)
from .runtime import CoordinatorRuntime, Waiter
from .shard import CoordinatedTopic

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from kbroker.clock import Clock
    from kbroker.config import BrokerConfig
    from kbroker.controller.image import MetadataImage
    from kbroker.wire.messages.delete_groups import DeletableGroupResult
    from kbroker.wire.messages.heartbeat import HeartbeatRequest
    from kbroker.wire.messages.join_group import JoinGroupRequest
    from kbroker.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
    from kbroker.wire.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
    from kbroker.wire.messages.offset_delete import OffsetDeleteRequest
    from kbroker.wire.messages.offset_fetch import (
        OffsetFetchRequestGroup,
        OffsetFetchResponseGroup,
    )
    from kbroker.wire.messages.sync_group import SyncGroupRequest

    from .deadlines import Deadlines
    from .group.classic.join_rules import Client
    from .group.classic.result import GroupResult
    from .group.deadlines import GroupEvent
    from .partition import CoordinatedPartition, LeaderReplica
    from .result import Now

    GroupPartition = CoordinatedPartition[GroupShard]

log = logging.getLogger("kbroker.groups")

T = TypeVar("T")


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
        self._config = config
        self._rng = rng
        self._runtime = CoordinatorRuntime(_consumer_offsets(config), clock)
        self._finder = CoordinatorFinder(
            CONSUMER_OFFSETS,
            partition_count=config.offsets_topic_num_partitions,
            node_id=node_id,
            image=image,
            ensure_topic=ensure_topic,
            wait_elected=self._runtime.wait_elected,
            log=log,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Loading, sessions and expiry, until cancelled."""
        await self._runtime.run(task_status=task_status)

    # --- partitions of __consumer_offsets

    def on_elected(self, index: int, replica: LeaderReplica, leader_epoch: int) -> None:
        """This broker became the leader of a partition of __consumer_offsets."""
        self._runtime.on_elected(index, replica, leader_epoch)

    def on_resigned(self, index: int) -> None:
        """This broker no longer leads it, or it is gone."""
        self._runtime.on_resigned(index)

    def on_topics_deleted(self, topics: Iterable[tuple[str, bytes]]) -> None:
        """Forget what groups committed for (name, id) of deleted topics."""
        for name, topic_id in topics:
            if name == CONSUMER_OFFSETS:
                self._finder.on_topic_deleted()
            self._runtime.decide_in_all(partial(_decide_topic_deleted, name, topic_id))

    async def wait_loaded(self, bytes_max: int | None = None) -> None:
        """Wait until the smallest of the partitions that this broker was elected for by now are
        loaded and serve, up to `bytes_max` bytes together; all of them with None.
        """
        await self._runtime.wait_loaded(bytes_max)

    def begin_large_loads(self) -> None:
        """Clients are served from now on: load large partitions beside them."""
        self._runtime.begin_large_loads()

    def shutdown(self) -> None:
        """This broker stops: members who wait for a rebalance must look for another coordinator."""
        for partition in self._runtime.partitions():
            self._runtime.on_resigned(partition.index)

    def partition_for(self, group_id: str) -> int:
        """The partition of __consumer_offsets that a group belongs to."""
        return self._finder.partition_for(group_id)

    async def find(self, group_id: str) -> tuple[ErrorCode, int]:
        """The broker that coordinates a group. If that is this one, it serves the group by now, or
        has much to load first.

        Creates __consumer_offsets on first use. COORDINATOR_NOT_AVAILABLE if that takes too long.
        """
        return await self._finder.find(group_id)

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
        partition = self._partition(request.group_id)
        if isinstance(partition, ErrorCode):
            return JoinGroupResponse(error_code=partition)
        waiter: Waiter[JoinGroupResponse] = Waiter()
        member_uuid = "" if request.member_id else _uuid_text(self._rng.getrandbits(128))
        result = partition.shard.decide_join(
            request, client, waiter, member_uuid, self._runtime.now()
        )
        error = self._runtime.apply(partition, result)
        if result.response is None:
            return waiter.wait() if waiter.response is None else waiter.response
        return result.response if error is ErrorCode.NONE else JoinGroupResponse(error_code=error)

    def sync_group(
        self, request: SyncGroupRequest
    ) -> SyncGroupResponse | Coroutine[Any, Any, SyncGroupResponse]:
        """Waits for the leader's assignment."""
        partition = self._partition_of_named(request.group_id)
        if isinstance(partition, ErrorCode):
            return SyncGroupResponse(error_code=partition)
        waiter: Waiter[SyncGroupResponse] = Waiter()
        result = partition.shard.decide_sync(request, waiter, self._runtime.now())
        self._runtime.apply(partition, result)
        if result.response is None:
            return waiter.wait() if waiter.response is None else waiter.response
        return result.response

    def heartbeat(
        self, request: HeartbeatRequest
    ) -> HeartbeatResponse | Coroutine[Any, Any, HeartbeatResponse]:
        partition = self._partition_of_named(request.group_id)
        if isinstance(partition, ErrorCode):
            # While groups are loaded nobody knows better: the member may go on.
            is_loading = partition is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            return HeartbeatResponse(error_code=ErrorCode.NONE if is_loading else partition)
        error = partition.shard.decide_heartbeat(request, self._runtime.now())
        self._runtime.deadlines_changed()
        return self._when_committed(partition, HeartbeatResponse(error_code=error), heartbeat_error)

    def leave_group(
        self, request: LeaveGroupRequest, identities: list[MemberIdentity]
    ) -> LeaveGroupResponse | Coroutine[Any, Any, LeaveGroupResponse]:
        partition = self._partition_of_named(request.group_id)
        if isinstance(partition, ErrorCode):
            return LeaveGroupResponse(error_code=partition)
        result = partition.shard.decide_leave(request, identities, self._runtime.now())
        error = self._runtime.apply(partition, result)
        if error is not ErrorCode.NONE or result.response is None:
            return LeaveGroupResponse(error_code=error)
        return self._when_committed(partition, result.response, leave_error)

    # --- offsets

    def commit_offsets(
        self, request: OffsetCommitRequest, api_version: int
    ) -> OffsetCommitResponse | Coroutine[Any, Any, OffsetCommitResponse]:
        """Of topics that exist, with their names and ids."""
        partition = self._partition(request.group_id)
        if isinstance(partition, ErrorCode):
            return commit_error(request, partition)
        result = partition.shard.decide_commit(request, api_version, self._runtime.now())
        if isinstance(result, ErrorCode):
            return self._when_committed(
                partition, commit_error(request, result), partial(commit_error, request)
            )
        error = self._runtime.apply(partition, result)
        if error is not ErrorCode.NONE or result.response is None:
            return commit_error(request, error)
        if partition.is_all_committed:
            return result.response
        return self._wait_and_answer(partition, result.response, partial(commit_error, request))

    def fetch_offsets(
        self, request: OffsetFetchRequestGroup, api_version: int, *, require_stable: bool
    ) -> OffsetFetchResponseGroup | Coroutine[Any, Any, OffsetFetchResponseGroup]:
        """Of topics with their names; all that the group has if `topics` is None."""
        failed = partial(fetch_error, request, api_version)
        partition = self._partition(request.group_id)
        if isinstance(partition, ErrorCode):
            return failed(partition)
        response = partition.shard.fetch_offsets(request, require_stable=require_stable)
        return self._when_committed(partition, response, failed)

    def delete_offsets(
        self, request: OffsetDeleteRequest
    ) -> OffsetDeleteResponse | Coroutine[Any, Any, OffsetDeleteResponse]:
        partition = self._partition_of_named(request.group_id)
        if isinstance(partition, ErrorCode):
            return OffsetDeleteResponse(error_code=partition)
        result = partition.shard.decide_delete_offsets(request, self._runtime.now())
        error = self._runtime.apply(partition, result)
        if error is not ErrorCode.NONE or result.response is None:
            return OffsetDeleteResponse(error_code=error)
        return self._when_committed(partition, result.response, offset_delete_error)

    # --- administration

    async def describe_groups(self, group_ids: list[str], api_version: int) -> list[DescribedGroup]:
        """Partition by partition, as Kafka answers."""
        described = []
        by_partition, failed = self._by_partition(group_ids)
        for index, ids in by_partition:
            partition = await self._committed_partition(index)
            for group_id in ids:
                if isinstance(partition, ErrorCode):
                    described.append(DescribedGroup(group_id=group_id, error_code=partition))
                    continue
                try:
                    described.append(partition.shard.describe(group_id, api_version))
                except Exception as error:
                    failed[group_id] = refusal(error, f"DescribeGroups of {group_id!r}").code
        described += [DescribedGroup(group_id=id_, error_code=code) for id_, code in failed.items()]
        return described

    async def _committed_partition(self, index: int) -> GroupPartition | ErrorCode:
        """The partition, once what its state knows is committed."""
        try:
            partition = self._runtime.partition(index)
            if isinstance(partition, ErrorCode) or partition.is_all_committed:
                return partition
            error = await self._runtime.wait_all_committed(partition)
            return self._runtime.partition(index) if error is ErrorCode.NONE else error
        except Exception as failure:
            return refusal(failure, f"DescribeGroups in {CONSUMER_OFFSETS}-{index}").code

    async def list_groups(self, states: list[str], types: list[str]) -> ListGroupsResponse:
        """Of this broker's partitions. Filters are case-insensitive, empty ones let all through."""
        if self._runtime.is_loading:
            return ListGroupsResponse(error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        wanted_states = {state.strip().lower() for state in states}
        wanted_types = {type_.strip().lower() for type_ in types}
        groups: list[ListedGroup] = []
        for partition in self._runtime.loaded_partitions():
            if not partition.is_all_committed:
                error = await self._runtime.wait_all_committed(partition)
                if error is ErrorCode.NOT_COORDINATOR:
                    continue
                if error is not ErrorCode.NONE:
                    return ListGroupsResponse(error_code=error)
            groups += partition.shard.list_groups(wanted_states, wanted_types)
        return ListGroupsResponse(groups=groups)

    def delete_groups(
        self, group_ids: list[str]
    ) -> Coroutine[Any, Any, list[DeletableGroupResult]]:
        """Partition by partition, and there in the order of a HashSet, as Kafka answers; each
        once.
        """
        decided: list[tuple[GroupPartition | None, list[DeletableGroupResult]]] = []
        by_partition, failed = self._by_partition(list(dict.fromkeys(group_ids)))
        for index, unordered in by_partition:
            ids = hash_map_order(unordered, string_hash)
            try:
                decided.append(self._delete_in(index, ids))
            except Exception as failure:
                code = refusal(failure, f"DeleteGroups in {CONSUMER_OFFSETS}-{index}").code
                decided.append((None, deletion_errors(ids, code)))
        for group_id, code in failed.items():
            decided.append((None, deletion_errors([group_id], code)))
        return self._answer_deletions(decided)

    def _delete_in(
        self, index: int, ids: list[str]
    ) -> tuple[GroupPartition | None, list[DeletableGroupResult]]:
        """Of one partition: the results, and what they wait for."""
        partition = self._runtime.partition(index)
        if isinstance(partition, ErrorCode):
            return None, deletion_errors(ids, partition)
        result = partition.shard.decide_delete_groups(ids, self._runtime.now())
        error = self._runtime.apply(partition, result)
        if error is not ErrorCode.NONE or result.response is None:
            return None, deletion_errors(ids, error)
        return partition, result.response

    async def _answer_deletions(
        self,
        decided: list[tuple[GroupPartition | None, list[DeletableGroupResult]]],
    ) -> list[DeletableGroupResult]:
        results = []
        for partition, deletions in decided:
            if partition is not None:
                error = ErrorCode.NONE
                try:
                    if not partition.is_all_committed:
                        error = await self._runtime.wait_all_committed(partition)
                except Exception as failure:
                    what = f"DeleteGroups in {CONSUMER_OFFSETS}-{partition.index}"
                    error = refusal(failure, what).code
                if error is not ErrorCode.NONE:
                    deletions = deletion_errors([d.group_id for d in deletions], error)
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
                ids.setdefault(self._finder.partition_for(group_id), []).append(group_id)
            except Exception as error:
                failed[group_id] = refusal(error, f"the partition of group {group_id!r}").code
        order = hash_map_order(ids, partial(topic_partition_hash, CONSUMER_OFFSETS))
        return [(index, ids[index]) for index in order], failed

    def _partition(self, group_id: str) -> GroupPartition | ErrorCode:
        return self._runtime.partition(self._finder.partition_for(group_id))

    def _partition_of_named(self, group_id: str) -> GroupPartition | ErrorCode:
        """For requests that the group "" may not make. It can hold offsets, for old clients'
        sake.
        """
        return self._partition(group_id) if group_id else ErrorCode.INVALID_GROUP_ID

    def _when_committed(
        self,
        partition: GroupPartition,
        response: T,
        failed: Callable[[ErrorCode], T],
    ) -> T | Coroutine[Any, Any, T]:
        """The response, once all that the partition's shard knows is committed."""
        if partition.is_all_committed:
            return response
        return self._wait_and_answer(partition, response, failed)

    async def _wait_and_answer(
        self,
        partition: GroupPartition,
        response: T,
        failed: Callable[[ErrorCode], T],
    ) -> T:
        error = await self._runtime.wait_all_committed(partition)
        return response if error is ErrorCode.NONE else failed(error)


def _consumer_offsets(config: BrokerConfig) -> CoordinatedTopic[GroupShard]:
    """__consumer_offsets, as the runtime sees it."""

    def new_shard(index: int, deadlines: Deadlines[GroupEvent]) -> GroupShard:
        return GroupShard(index, config, deadlines)

    return CoordinatedTopic(
        name=CONSUMER_OFFSETS,
        new_shard=new_shard,
        new_replay=GroupReplay,
        encode=group_records.encode,
        codec=Codec(config.offsets_topic_compression_codec),
        commit_timeout_ms=config.offsets_commit_timeout_ms,
        read_bytes_max=config.offsets_load_buffer_size,
        log=log,
    )


def _decide_topic_deleted(
    name: str, topic_id: bytes, shard: GroupShard, now: Now
) -> GroupResult[None]:
    return shard.decide_topic_deleted(name, topic_id, now)


def _uuid_text(bits: int) -> str:
    """A random UUID (version 4) as Java prints it."""
    bits = bits & ~(0xF << 76) | 4 << 76
    bits = bits & ~(3 << 62) | 2 << 62
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
