"""A shard without Trio, and a coordinator over partitions in memory."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trio

from kbroker.config import BrokerConfig
from kbroker.controller.image import MetadataImage
from kbroker.controller.topic_names import CONSUMER_OFFSETS
from kbroker.coordinators.deadlines import Deadlines
from kbroker.coordinators.group.classic.group import GroupState
from kbroker.coordinators.group.classic.join_rules import Client
from kbroker.coordinators.group.deadlines import (
    CleanupDue,
    GroupEvent,
    JoinDue,
    SessionDue,
    SyncDue,
)
from kbroker.coordinators.group.records import GroupStored, Record, decode, encode
from kbroker.coordinators.group.shard import GroupShard
from kbroker.coordinators.group_coordinator import GroupCoordinator
from kbroker.coordinators.internal_topics import consumer_offsets_topic
from kbroker.coordinators.result import Now, Parked
from kbroker.storage import batch as record_batch
from kbroker.storage.disk import FileRange
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.heartbeat import HeartbeatRequest
from kbroker.wire.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from kbroker.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from kbroker.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from kbroker.wire.messages.offset_fetch import OffsetFetchRequestGroup, OffsetFetchRequestTopics
from kbroker.wire.messages.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)
from kbroker.wire.records.partition_record import PartitionRecord
from kbroker.wire.records.topic_record import TopicRecord
from tests.sim.disk import SimDisk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kbroker.coordinators.group.classic.result import GroupResult, OnCommit
    from kbroker.storage.errors import StorageError

GROUP = "orders"
TOPIC_ID = b"t" * 16
LOG_PATH = "/log"
WALL_MS = 1_700_000_000_000


def subscription(*topics: str, version: int = 0) -> bytes:
    """A consumer's metadata."""
    out = struct.pack(">hi", version, len(topics))
    for topic in topics:
        out += struct.pack(">h", len(topic)) + topic.encode()
    return out + struct.pack(">i", -1)


def config(**settings: object) -> BrokerConfig:
    """Broker configuration by attribute name."""
    named = {name.replace("_", "."): str(value) for name, value in settings.items()}
    return BrokerConfig(named)


def join_request(
    member_id: str = "",
    *,
    group_id: str = GROUP,
    instance_id: str | None = None,
    protocols: Mapping[str, bytes] | None = None,
    protocol_type: str = "consumer",
    session_timeout_ms: int = 10_000,
    rebalance_timeout_ms: int = 60_000,
) -> JoinGroupRequest:
    if protocols is None:
        protocols = {"range": subscription("t")}
    return JoinGroupRequest(
        group_id=group_id,
        member_id=member_id,
        group_instance_id=instance_id,
        protocol_type=protocol_type,
        protocols=[
            JoinGroupRequestProtocol(name=name, metadata=metadata)
            for name, metadata in protocols.items()
        ],
        session_timeout_ms=session_timeout_ms,
        rebalance_timeout_ms=rebalance_timeout_ms,
    )


def sync_request(
    member_id: str,
    generation_id: int,
    assignments: Mapping[str, bytes] | None = None,
    *,
    group_id: str = GROUP,
    instance_id: str | None = None,
    protocol_type: str | None = None,
    protocol_name: str | None = None,
) -> SyncGroupRequest:
    return SyncGroupRequest(
        group_id=group_id,
        generation_id=generation_id,
        member_id=member_id,
        group_instance_id=instance_id,
        protocol_type=protocol_type,
        protocol_name=protocol_name,
        assignments=[
            SyncGroupRequestAssignment(member_id=name, assignment=assignment)
            for name, assignment in (assignments or {}).items()
        ],
    )


def commit_request(
    offsets: Mapping[int, int],
    *,
    group_id: str = GROUP,
    topic: str = "t",
    topic_id: bytes = TOPIC_ID,
    member_id: str = "",
    generation_id: int = -1,
    instance_id: str | None = None,
    metadata: str | None = "",
    leader_epoch: int = -1,
    retention_ms: int = -1,
) -> OffsetCommitRequest:
    return OffsetCommitRequest(
        group_id=group_id,
        member_id=member_id,
        generation_id_or_member_epoch=generation_id,
        group_instance_id=instance_id,
        retention_time_ms=retention_ms,
        topics=[
            OffsetCommitRequestTopic(
                name=topic,
                topic_id=topic_id,
                partitions=[
                    OffsetCommitRequestPartition(
                        partition_index=index,
                        committed_offset=offset,
                        committed_leader_epoch=leader_epoch,
                        committed_metadata=metadata,
                    )
                    for index, offset in offsets.items()
                ],
            )
        ],
    )


def fetch_request(
    *indexes: int, topic: str = "t", topic_id: bytes = bytes(16), group_id: str = GROUP
) -> OffsetFetchRequestGroup:
    return OffsetFetchRequestGroup(
        group_id=group_id,
        topics=[
            OffsetFetchRequestTopics(name=topic, topic_id=topic_id, partition_indexes=list(indexes))
        ],
    )


@dataclass
class Stored:
    """A record in the log of a ShardRig, as bytes."""

    key: bytes
    value: bytes | None
    producer_id: int = -1


class ShardRig:
    """One shard, driven by hand: time passes with `advance`, records are committed at once unless
    `hold`.
    """

    def __init__(self, **settings: object) -> None:
        self.config = config(**{"group_initial_rebalance_delay_ms": 0, **settings})
        self.deadlines: Deadlines[GroupEvent] = Deadlines()
        self.shard = GroupShard(0, self.config, self.deadlines)
        self.time_ms = 0
        self.log: list[Stored] = []
        self.hold = False
        self.held: list[OnCommit] = []
        self.append_error = ErrorCode.NONE  # of whatever is written from now on
        self.is_behind = False  # the log has not got the group's latest record
        self.uuids = 0
        self.answers: list[JoinGroupResponse | SyncGroupResponse] = []
        self.apply(self.shard.on_loaded(self.now))

    @property
    def now(self) -> Now:
        return Now(self.time_ms, WALL_MS + self.time_ms)

    @property
    def state(self) -> str:
        return self.shard.describe(GROUP, 0).group_state

    def apply(self, result: GroupResult[Any]) -> ErrorCode:
        error = self.append_error if result.records else ErrorCode.NONE
        if error is ErrorCode.NONE:
            for record in result.records:
                self.store(record)
        if any(isinstance(record, GroupStored) for record in result.records):
            self.is_behind = error is not ErrorCode.NONE
        for parked, response in result.answers:
            parked.answer(response)
            self.answers.append(response)
        if result.on_commit is not None and error is not ErrorCode.NONE:
            self.apply(self.shard.failed(result.on_commit, error, self.now, is_appended=False))
        elif result.on_commit is not None:
            self.held.append(result.on_commit)
            if not self.hold:
                self.commit()
        return error

    def store(self, record: Record, producer_id: int = -1) -> None:
        key, value = encode(record)
        self.log.append(Stored(key, value, producer_id))
        if not isinstance(record, GroupStored):
            self.shard.replay(record, len(self.log) - 1, producer_id)

    def commit(self) -> None:
        """The high watermark reaches the end of the log."""
        held, self.held = self.held, []
        for on_commit in held:
            self.apply(self.shard.committed(on_commit, self.now))

    def time_out(self, error: ErrorCode) -> None:
        """What is held does not get committed in time."""
        held, self.held = self.held, []
        for on_commit in held:
            self.apply(self.shard.failed(on_commit, error, self.now, is_appended=True))

    def advance(self, by_ms: int) -> None:
        """Let time pass, deadline by deadline."""
        end_ms = self.time_ms + by_ms
        while self.deadlines.next_ms() <= end_ms:
            self.time_ms = max(self.time_ms, self.deadlines.next_ms())
            for deadline in self.deadlines.expired(self.time_ms):
                assert self.is_awaited(deadline.event), f"{deadline.event} was not cancelled"
                self.apply(self.shard.on_deadline(deadline.event, self.now))
        self.time_ms = end_ms

    def is_awaited(self, event: GroupEvent) -> bool:
        """Whether what a deadline was set for is still to come."""
        if isinstance(event, CleanupDue):
            return True
        group = self.shard.groups.get(event.group_id)
        match event:
            case _ if group is None:
                return False
            case SessionDue(_, member_id):
                return member_id in group.members or member_id in group.pending_joins
            case JoinDue():
                return group.state is GroupState.PREPARING_REBALANCE
            case SyncDue(_, generation_id):
                return generation_id == group.generation_id and bool(group.pending_syncs)

    def reload(self, other: ShardRig | None = None) -> GroupShard:
        """Another shard made of the log alone, with the configuration and deadlines of `other`."""
        source = self if other is None else other
        deadlines: Deadlines[GroupEvent] = Deadlines() if other is None else other.deadlines
        shard = GroupShard(0, source.config, deadlines)
        for offset, stored in enumerate(self.log):
            shard.replay(decode(stored.key, stored.value), offset, stored.producer_id)
        return shard

    # --- requests

    def join(
        self, request: JoinGroupRequest, api_version: int = 9, client_id: str = "app"
    ) -> Parked[JoinGroupResponse]:
        """What was answered at once stands in it too."""
        parked: Parked[JoinGroupResponse] = Parked()
        self.uuids += 1
        client = Client(client_id, "/127.0.0.1", api_version)
        result = self.shard.decide_join(request, client, parked, f"uuid{self.uuids}", self.now)
        self.apply(result)
        if result.response is not None:
            parked.answer(result.response)
        return parked

    def join_dynamic(self, request: JoinGroupRequest | None = None) -> Parked[JoinGroupResponse]:
        """Both steps of a new dynamic member (KIP-394)."""
        request = request or join_request()
        first = self.join(request).response
        assert first is not None
        assert first.error_code == ErrorCode.MEMBER_ID_REQUIRED
        request.member_id = first.member_id
        return self.join(request)

    def sync(self, request: SyncGroupRequest) -> Parked[SyncGroupResponse]:
        parked: Parked[SyncGroupResponse] = Parked()
        result = self.shard.decide_sync(request, parked, self.now)
        self.apply(result)
        if result.response is not None:
            parked.answer(result.response)
        return parked

    def heartbeat(
        self, member_id: str, generation_id: int, *, instance_id: str | None = None
    ) -> ErrorCode:
        request = HeartbeatRequest(
            group_id=GROUP,
            member_id=member_id,
            generation_id=generation_id,
            group_instance_id=instance_id,
        )
        return self.shard.decide_heartbeat(request, self.now)

    def leave(self, *identities: MemberIdentity) -> LeaveGroupResponse:
        request = LeaveGroupRequest(group_id=GROUP, members=list(identities))
        result = self.shard.decide_leave(request, list(identities), self.now)
        self.apply(result)
        assert result.response is not None
        return result.response

    def commit_offsets(self, request: OffsetCommitRequest, api_version: int = 9) -> ErrorCode:
        """The group's error, or that of the only partition."""
        result = self.shard.decide_commit(request, api_version, self.now)
        if isinstance(result, ErrorCode):
            return result
        error = self.apply(result)
        if error is not ErrorCode.NONE:
            return error
        assert result.response is not None
        return ErrorCode(result.response.topics[0].partitions[0].error_code)

    def committed(self, index: int, topic: str = "t") -> int | None:
        value = self.shard.offsets.get(GROUP, topic, index)
        return None if value is None else value.offset

    def stable(self, count: int = 1) -> list[str]:
        """A stable group of that many dynamic members, the leader first; each is assigned its own
        id.
        """
        first = self.join_dynamic()
        self.advance(0)
        assert first.response is not None, self.state
        ids = [first.response.member_id]
        for _ in range(count - 1):
            joining = self.join_dynamic()
            for member_id in ids:
                self.join(join_request(member_id))
            assert joining.response is not None
            ids.append(joining.response.member_id)
        group = self.shard.groups[GROUP]
        assert group.leader_id == ids[0]
        for member_id in reversed(ids):
            assignment = {name: name.encode() for name in ids} if member_id == ids[0] else {}
            self.sync(sync_request(member_id, group.generation_id, assignment))
        assert self.state == "Stable"
        return ids


class MemoryPartition:
    """A log in a file of a disk in memory. `auto_commit` off: the high watermark moves with
    `commit`.
    """

    def __init__(self) -> None:
        self.disk = SimDisk(random.Random(1))
        self.file = self.disk.open(LOG_PATH, create=True)
        self.stored: list[bytes] = []
        self.complaints: list[StorageError] = []
        self.reads = 0
        self.log_start_offset = 0
        self.log_end_offset = 0
        self.high_watermark = 0
        self.auto_commit = True
        self.append_error: Exception | None = None
        self.lost: Exception | None = None
        self._progress = trio.Event()

    def append_local(self, batch: bytearray | memoryview, now_ms: int) -> int:
        if self.append_error is not None:
            raise self.append_error
        record_batch.set_base_offset(memoryview(batch), self.log_end_offset)
        header = record_batch.BatchHeader(memoryview(batch))
        self.stored.append(bytes(batch))
        self.file.append(batch)
        self.log_end_offset = header.next_offset
        if self.auto_commit:
            self.commit()
        return header.last_offset

    @property
    def log_size(self) -> int:
        return self.file.size

    def read_local(self, offset: int, bytes_max: int) -> FileRange | None:
        self.reads += 1
        position = 0
        for batch in self.stored:
            if record_batch.BatchHeader(batch).last_offset >= offset:
                size = min(max(bytes_max, len(batch)), self.file.size - position)
                return FileRange(self.file, position, size)
            position += len(batch)
        return None

    def note_unreadable(self, error: StorageError) -> None:
        self.complaints.append(error)

    def is_committed(self, last_offset: int) -> bool:
        return last_offset < self.high_watermark

    async def wait_committed(self, last_offset: int) -> None:
        while not self.is_committed(last_offset):
            await self._progress.wait()
            if self.lost is not None:
                raise self.lost

    def commit(self) -> None:
        self.high_watermark = self.log_end_offset
        self.wake()

    def wake(self) -> None:
        self._progress.set()
        self._progress = trio.Event()

    def records(self) -> list[record_batch.Record]:
        return [r for batch in self.stored for r in record_batch.records(memoryview(batch))]


class TrioClock:
    """A wall clock that moves with Trio's."""

    def wall_ms(self) -> int:
        return WALL_MS + round(trio.current_time() * 1000)


@dataclass
class CoordinatorRig:
    """A coordinator whose partitions are in memory, and the cluster it believes in."""

    config: BrokerConfig
    image: MetadataImage = field(default_factory=MetadataImage)
    partitions: dict[int, MemoryPartition] = field(default_factory=dict)
    topics_created: int = 0
    creation_error: RequestError | None = None
    coordinator: GroupCoordinator = field(init=False)

    def __post_init__(self) -> None:
        self.coordinator = GroupCoordinator(
            node_id=1,
            config=self.config,
            clock=TrioClock(),
            rng=random.Random(1),
            image=self.image,
            ensure_topic=self.ensure_topic,
        )

    async def ensure_topic(self, name: str) -> None:
        await trio.lowlevel.checkpoint()
        assert name == CONSUMER_OFFSETS
        if self.creation_error is not None:
            raise self.creation_error
        self.topics_created += 1
        topic = consumer_offsets_topic(self.config, 1)
        self.add_topic(name, b"offsets".ljust(16), topic.num_partitions)
        for index in range(topic.num_partitions):
            self.partitions[index] = MemoryPartition()
            self.coordinator.on_elected(index, self.partitions[index], 0)

    def add_topic(self, name: str, topic_id: bytes, partition_count: int) -> None:
        self.image.replay(TopicRecord(name=name, topic_id=topic_id), 0)
        self.add_partitions(topic_id, range(partition_count))

    def add_partitions(self, topic_id: bytes, indexes: range) -> None:
        for index in indexes:
            self.image.replay(
                PartitionRecord(
                    partition_id=index,
                    topic_id=topic_id,
                    replicas=[1],
                    isr=[1],
                    leader=1,
                    directories=[b"d" * 16],
                ),
                0,
            )

    def partition_of(self, group_id: str = GROUP) -> MemoryPartition:
        return self.partitions[self.coordinator.partition_for(group_id)]

    async def restart(self, nursery: trio.Nursery) -> GroupCoordinator:
        """Another coordinator over the same logs."""
        self.__post_init__()
        await nursery.start(self.run)
        for index, partition in self.partitions.items():
            self.coordinator.on_elected(index, partition, 1)
        await self.coordinator.wait_loaded()
        return self.coordinator

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        self.coordinator.begin_large_loads()
        await self.coordinator.run(task_status=task_status)
