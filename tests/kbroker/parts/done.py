"""What such requests do: that it was done to the good parts, and not to the bad one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages import (
    describe_log_dirs,
)
from tests.kbroker.parts.requests import (
    describe_configs_request,
    describe_groups_request,
    leave_request,
    list_offsets_request,
    metadata_request,
    offset_fetch_request,
)
from tests.kbroker.parts.world import (
    DIRS,
    Parts,
    World,
    batch,
    codes,
)

if TYPE_CHECKING:
    from kbroker.wire.codes import ResourceType


async def is_written(world: World, parts: Parts, response: Any) -> None:
    """Where the answers say."""
    offsets = {}
    for topic in response.responses:
        for answer in topic.partition_responses:
            name = parts.known_as.get(topic.topic_id, topic.name)
            offsets[answer.index if isinstance(parts.bad, int) else name] = answer.base_offset
    for part in parts.good:
        topic, index = (parts.topic, part) if isinstance(part, int) else (part, 0)
        records = await world.client.fetch(topic, offsets[part], index=index)
        assert len(records) == len(batch())


async def is_created(world: World, parts: Parts, response: Any) -> None:
    found = codes(await world.ask(metadata_request(parts), 12), parts)
    assert [found[part] for part in parts.good] == [ErrorCode.NONE] * 2
    assert found[parts.bad] == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def is_deleted(world: World, parts: Parts, response: Any) -> None:
    found = codes(await world.ask(metadata_request(parts), 12), parts)
    assert [found[part] for part in parts.good] == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION] * 2
    assert found[parts.bad] == ErrorCode.NONE


async def has_grown(world: World, parts: Parts, response: Any) -> None:
    answer = await world.ask(metadata_request(parts), 12)
    sizes = {topic.name: len(topic.partitions) for topic in answer.topics}
    assert sizes == {parts.good[0]: 2, parts.bad: 1, parts.good[1]: 2}


async def is_configured(
    world: World, parts: Parts, response: Any, kind: ResourceType, key: str, value: str
) -> None:
    answer = await world.ask(describe_configs_request(parts, kind), 4)
    found = {
        result.resource_name: config.value == value
        for result in answer.results
        for config in result.configs
        if config.name == key
    }
    assert found == {parts.good[0]: True, parts.bad: False, parts.good[1]: True}


async def offsets_are(world: World, parts: Parts, response: Any, good: int, bad: int) -> None:
    answer = await world.ask(offset_fetch_request(parts), 9)
    found = {
        (one.partition_index if isinstance(parts.bad, int) else topic.name): one.committed_offset
        for topic in answer.groups[0].topics
        for one in topic.partitions
    }
    assert found == {parts.good[0]: good, parts.bad: bad, parts.good[1]: good}


async def records_are_gone(world: World, parts: Parts, response: Any) -> None:
    answer = await world.ask(list_offsets_request(parts, -2), 7)
    starts = {topic.name: topic.partitions[0].offset for topic in answer.topics}
    assert [starts[str(part)] for part in parts.good] == [1, 1]


async def groups_are_gone(world: World, parts: Parts, response: Any) -> None:
    found = codes(await world.ask(describe_groups_request(parts), 6), parts)
    assert [found[part] for part in parts.good] == [ErrorCode.GROUP_ID_NOT_FOUND] * 2
    assert found[parts.bad] == ErrorCode.NONE


async def members_have_left(world: World, parts: Parts, response: Any) -> None:
    again = codes(await world.ask(leave_request(parts), 4), parts)
    assert [again[part] for part in parts.good] == [ErrorCode.UNKNOWN_MEMBER_ID] * 2


async def replicas_have_moved(world: World, parts: Parts, response: Any) -> None:
    # A copy or, by now, the log itself.
    answer = await world.ask(
        describe_log_dirs.DescribeLogDirsRequest(
            topics=[
                describe_log_dirs.DescribableLogDirTopic(topic=str(name), partitions=[0])
                for name in parts.names
            ]
        ),
        4,
    )
    (there,) = [result for result in answer.results if result.log_dir == DIRS[1]]
    assert {str(part) for part in parts.good} <= {topic.name for topic in there.topics}
