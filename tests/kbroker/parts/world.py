"""A broker, what has to be there before a request of several parts, and how their answers are told
apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import trio

from kbroker.clock import SystemClock
from kbroker.coordinators.finder import partition_for
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.wire.api_keys import API_TABLE, ApiKey
from kbroker.wire.errors import ErrorCode
from kbroker.wire.message import Struct
from kbroker.wire.messages import (
    create_topics,
    find_coordinator,
    join_group,
    offset_commit,
)
from tests.sim.broker import DATA, Machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kbroker.wire.message import Message
    from tests.kbroker.parts.seams import Part
    from tests.sim.broker import Client


UNKNOWN = ErrorCode.UNKNOWN_SERVER_ERROR
DIRS = (DATA, "/other", "/third")
MANY = "many"  # a topic with partitions to take parts from
INDEXES = (36, 37, 38)  # numbers that mean nothing else in these requests
GROUP = "group"
OFFSETS_PARTITIONS = INDEXES[-1] + 1  # where groups are apart
# Fields of a response that say of which part it speaks.
IDENTITIES = (
    "name",
    "topic",
    "topic_name",
    "topic_id",
    "index",
    "partition",
    "partition_index",
    "partition_id",
    "group_id",
    "key",
    "member_id",
    "resource_name",
    "log_dir",
)


@dataclass
class Parts:
    """Three parts of one request; the one in the middle is to fail."""

    names: tuple[Part, Part, Part]
    known_as: dict[object, Part] = field(default_factory=dict)
    topic: str = MANY  # of parts that are partitions

    @property
    def bad(self) -> Part:
        return self.names[1]

    @property
    def good(self) -> tuple[Part, Part]:
        return self.names[0], self.names[2]

    def all_names(self) -> dict[object, Part]:
        return {**{name: name for name in self.names}, **self.known_as}


class World:
    """A broker and what has been made in it."""

    def __init__(self, machine: Machine, client: Client) -> None:
        self.machine = machine
        self.client = client
        self._count = 0

    async def ask(self, request: Message, version: int) -> Any:
        assert request.API_KEY is not None
        response = API_TABLE[ApiKey(request.API_KEY)].response
        return await self.client.call(request, response, version)

    def new_names(self, kind: str) -> tuple[str, str, str]:
        self._count += 1
        return (
            f"{kind}{self._count}-before",
            f"{kind}{self._count}-bad",
            f"{kind}{self._count}-behind",
        )

    async def connect(self) -> Client:
        address = self.client.stream.transport.peer_address
        return type(self.client)(await self.machine.network.connect(*address))


def batch() -> bytes:
    return build_batch([NewRecord(SystemClock().wall_ms(), b"key", b"value")])


# What is there before a request, and the parts of it.


async def absent_topics(world: World) -> Parts:
    return Parts(world.new_names("t"))


async def create(
    world: World, names: Sequence[str], count: int, configs: dict[str, str] | None = None
) -> list[create_topics.CreatableTopicResult]:
    """Topics of so many partitions."""
    response = await world.ask(
        create_topics.CreateTopicsRequest(
            timeout_ms=10_000,
            topics=[
                create_topics.CreatableTopic(
                    name=name,
                    num_partitions=count,
                    replication_factor=1,
                    configs=[
                        create_topics.CreatableTopicConfig(name=key, value=value)
                        for key, value in (configs or {}).items()
                    ],
                )
                for name in names
            ],
        ),
        7,
    )
    made: list[create_topics.CreatableTopicResult] = response.topics
    assert [topic.error_code for topic in made] == [ErrorCode.NONE] * len(names)
    return made


async def topics(world: World, configs: dict[str, str] | None = None) -> Parts:
    """Three, each with one partition that has one record."""
    names = world.new_names("t")
    known_as: dict[object, Part] = {}
    for topic in await create(world, names, 1, configs):
        known_as[topic.topic_id] = topic.name
        known_as[f"{topic.name}-0"] = topic.name
    for name in names:
        assert (await world.client.produce(name, batch()))[0] is ErrorCode.NONE
    return Parts(names, known_as)


async def partitions(world: World) -> Parts:
    return await _with_a_record(world, MANY)


async def new_partitions(world: World) -> Parts:
    """For a log that goes offline."""
    (topic, *_) = world.new_names("many")
    await create(world, [topic], INDEXES[-1] + 1)
    return await _with_a_record(world, topic)


async def _with_a_record(world: World, topic: str) -> Parts:
    for index in INDEXES:
        assert (await world.client.produce(topic, batch(), index=index))[0] is ErrorCode.NONE
    return Parts(INDEXES, {f"{topic}-{index}": index for index in INDEXES}, topic)


async def commit(world: World, group: str, places: Sequence[tuple[str, int]]) -> Any:
    return await world.ask(
        offset_commit.OffsetCommitRequest(
            group_id=group,
            generation_id_or_member_epoch=-1,
            topics=[
                offset_commit.OffsetCommitRequestTopic(
                    name=name,
                    partitions=[
                        offset_commit.OffsetCommitRequestPartition(
                            partition_index=index, committed_offset=5
                        )
                    ],
                )
                for name, index in places
            ],
        ),
        9,
    )


async def topics_with_offsets(world: World) -> Parts:
    parts = await topics(world)
    await world.ask(find_coordinator.FindCoordinatorRequest(coordinator_keys=[GROUP]), 4)
    answer = await commit(world, GROUP, [(str(name), 0) for name in parts.names])
    assert set(codes(answer, parts).values()) == {ErrorCode.NONE}
    return parts


async def partitions_with_offsets(world: World) -> Parts:
    await world.ask(find_coordinator.FindCoordinatorRequest(coordinator_keys=[GROUP]), 4)
    answer = await commit(world, GROUP, [(MANY, index) for index in INDEXES])
    parts = Parts(INDEXES)
    assert set(codes(answer, parts).values()) == {ErrorCode.NONE}
    return parts


async def groups(world: World) -> Parts:
    """Three with offsets and without members."""
    names = world.new_names("g")
    await world.ask(find_coordinator.FindCoordinatorRequest(coordinator_keys=list(names)), 4)
    for name in names:
        answer = await commit(world, name, [(MANY, 0)])
        assert answer.topics[0].partitions[0].error_code == ErrorCode.NONE
    return Parts(names)


async def groups_apart(world: World) -> Parts:
    """Each in a partition of its own, which tells it from the others."""
    stem, *_ = world.new_names("g")
    by_partition = {
        partition_for(name, OFFSETS_PARTITIONS): name
        for name in (f"{stem}-{i}" for i in range(100 * OFFSETS_PARTITIONS))
    }
    names = tuple(by_partition[index] for index in INDEXES)
    await world.ask(find_coordinator.FindCoordinatorRequest(coordinator_keys=list(names)), 4)
    for name in names:
        answer = await commit(world, name, [(MANY, 0)])
        assert answer.topics[0].partitions[0].error_code == ErrorCode.NONE
    known_as: dict[object, Part] = dict(zip(INDEXES, names, strict=True))
    return Parts(cast("tuple[str, str, str]", names), known_as)


async def group_names(world: World) -> Parts:
    return Parts(world.new_names("g"))


async def members(world: World) -> Parts:
    """Three members of one group."""
    (group, *_) = world.new_names("members")
    await world.ask(find_coordinator.FindCoordinatorRequest(coordinator_keys=[group]), 4)
    ids: list[str] = []

    async def join() -> None:
        client = await world.connect()
        request = join_group.JoinGroupRequest(
            group_id=group,
            session_timeout_ms=30_000,
            rebalance_timeout_ms=30_000,
            protocol_type="consumer",
            protocols=[join_group.JoinGroupRequestProtocol(name="range", metadata=bytes(8))],
        )
        answer = await client.call(request, join_group.JoinGroupResponse, 3)
        assert answer.error_code == ErrorCode.NONE
        ids.append(answer.member_id)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(join)
    return Parts(cast("tuple[str, str, str]", tuple(ids)), {"group": group})


async def pending_members(world: World) -> Parts:
    """Three that have been told their ids, and have not come back with them."""
    (group, *_) = world.new_names("members")
    await world.ask(find_coordinator.FindCoordinatorRequest(coordinator_keys=[group]), 4)
    ids: list[str] = []
    for _ in range(3):
        answer = await world.ask(
            join_group.JoinGroupRequest(
                group_id=group,
                session_timeout_ms=30_000,
                rebalance_timeout_ms=30_000,
                protocol_type="consumer",
                protocols=[join_group.JoinGroupRequestProtocol(name="range", metadata=bytes(8))],
            ),
            4,
        )
        assert answer.error_code == ErrorCode.MEMBER_ID_REQUIRED
        ids.append(answer.member_id)
    return Parts(cast("tuple[str, str, str]", tuple(ids)), {"group": group})


async def directories(world: World) -> Parts:
    return Parts(DIRS)


# The places of parts that are topics, each with its partition 0, or partitions of one topic.


def places(parts: Parts) -> list[tuple[str, list[int]]]:
    if isinstance(parts.bad, int):
        return [(parts.topic, [cast("int", each) for each in parts.names])]
    return [(str(name), [0]) for name in parts.names]


def ids(parts: Parts) -> dict[str, bytes]:
    return {str(name): key for key, name in parts.known_as.items() if isinstance(key, bytes)}


def codes(response: Message, parts: Parts) -> dict[Part, int]:
    """The error code of each part; of the first thing that is wrong with it."""
    found: dict[Part, int] = {}
    _collect(response, parts.all_names(), None, found)
    return found


def _collect(
    value: object, names: dict[object, Part], part: Part | None, found: dict[Part, int]
) -> None:
    if isinstance(value, list):
        for each in value:
            _collect(each, names, part, found)
    elif isinstance(value, Struct):
        for name in IDENTITIES:
            identity = getattr(value, name, None)
            if identity in names:
                part = names[identity]
        if part is not None and hasattr(value, "error_code"):
            found[part] = found.get(part) or value.error_code
        for name in value.__slots__:
            _collect(getattr(value, name), names, part, found)


def new_machine() -> Machine:
    machine = Machine()
    for path in DIRS[1:]:
        machine.disk.make_dir(path)
    machine.disk.fsync_dir("/")
    return machine


SETTINGS = {
    "log.dirs": ",".join(DIRS),
    "metadata.log.dir": DATA,
    "group.initial.rebalance.delay.ms": "100",
    "offsets.topic.num.partitions": "1",  # all groups are in one
}
