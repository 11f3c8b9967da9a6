"""Which replica lies in which directory, as a broker tells the controller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio
import trio.testing

from kbroker.log_dirs.assignments import RETRY_S, Assignments
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.assign_replicas_to_dirs import (
    AssignReplicasToDirsRequest,
    AssignReplicasToDirsResponse,
    AssignReplicasToDirsResponseDirectoryData,
    AssignReplicasToDirsResponsePartitionData,
    AssignReplicasToDirsResponseTopicData,
)

if TYPE_CHECKING:
    from kbroker.wire.message import Request

TOPIC, DIRECTORY = b"topic id........", b"directory id...."


class Channel:
    """The controller's end: answers each telling with the next of `codes` for partition 1."""

    def __init__(self, *codes: ErrorCode) -> None:
        self.told: list[list[int]] = []
        self._codes = list(codes)

    async def send(self, request: Request[Any]) -> Any:
        await trio.lowlevel.checkpoint()
        assert isinstance(request, AssignReplicasToDirsRequest)
        (directory,) = request.directories
        (topic,) = directory.topics
        self.told.append([each.partition_index for each in topic.partitions])
        code = self._codes.pop(0)
        return AssignReplicasToDirsResponse(
            directories=[
                AssignReplicasToDirsResponseDirectoryData(
                    id=directory.id,
                    topics=[
                        AssignReplicasToDirsResponseTopicData(
                            topic_id=topic.topic_id,
                            partitions=[
                                AssignReplicasToDirsResponsePartitionData(
                                    partition_index=each.partition_index,
                                    error_code=code if each.partition_index == 1 else 0,
                                )
                                for each in topic.partitions
                            ],
                        )
                    ],
                )
            ]
        )


async def test_a_replica_that_fails_in_the_controller_is_told_of_again_and_no_other(
    autojump_clock: trio.testing.MockClock,
) -> None:
    unknown = ErrorCode.UNKNOWN_SERVER_ERROR
    channel = Channel(unknown, unknown, ErrorCode.NONE)
    assignments = Assignments(channel, 1, lambda: 5)
    accepted = [assignments.assign(TOPIC, index, DIRECTORY) for index in range(3)]
    async with trio.open_nursery() as nursery:
        await nursery.start(assignments.run)
        await accepted[0].wait()
        await accepted[2].wait()
        assert not accepted[1].is_set()
        await accepted[1].wait()
        nursery.cancel_scope.cancel()
    assert channel.told == [[0, 1, 2], [1], [1]]
    assert trio.current_time() == 2 * RETRY_S


async def test_a_replica_that_the_controller_does_not_know_is_told_of_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    channel = Channel(ErrorCode.UNKNOWN_TOPIC_ID)
    assignments = Assignments(channel, 1, lambda: 5)
    accepted = [assignments.assign(TOPIC, index, DIRECTORY) for index in range(3)]
    async with trio.open_nursery() as nursery:
        await nursery.start(assignments.run)
        for event in accepted:
            await event.wait()
        await trio.sleep(10 * RETRY_S)
        nursery.cancel_scope.cancel()
    assert channel.told == [[0, 1, 2]]
