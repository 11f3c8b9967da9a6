"""Tells the controller which log directory holds each replica of this broker.

If a replica is assigned several times, the last one counts. An assignment that could not be sent is
sent again. Source: AssignmentsManager.
"""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING, Final

import trio

from kbroker.complaints import Complaints
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.assign_replicas_to_dirs import (
    AssignReplicasToDirsRequest,
    AssignReplicasToDirsRequestDirectoryData,
    AssignReplicasToDirsRequestPartitionData,
    AssignReplicasToDirsRequestTopicData,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kbroker.controller.channel import ControllerChannel

ASSIGNMENTS_A_REQUEST_MAX: Final = 2250  # MAX_ASSIGNMENTS_PER_REQUEST
RETRY_S: Final = 0.5

Replica = tuple[bytes, int]  # topic id, partition

log = logging.getLogger("kbroker.assignments")


class Assignments:
    """One broker's. `run` does the telling; what is assigned before it runs waits for it."""

    def __init__(
        self, controller: ControllerChannel, node_id: int, broker_epoch: Callable[[], int]
    ) -> None:
        self._controller = controller
        self._node_id = node_id
        self._broker_epoch = broker_epoch
        self._wanted: dict[Replica, bytes] = {}
        self._accepted: dict[Replica, trio.Event] = {}
        self._changed = trio.Event()
        self._complaints = Complaints(trio.current_time)

    def assign(self, topic_id: bytes, index: int, directory_id: bytes) -> trio.Event:
        """Set once the controller has this, or knows of no such replica."""
        replica = (topic_id, index)
        if self._wanted.get(replica) != directory_id:
            self._wanted[replica] = directory_id
            self._accepted[replica] = trio.Event()
        self._changed.set()
        return self._accepted[replica]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tell until cancelled."""
        task_status.started()
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            while self._wanted:
                some = dict(islice(self._wanted.items(), ASSIGNMENTS_A_REQUEST_MAX))
                if not await self._tell(some):
                    await trio.sleep(RETRY_S)

    async def _tell(self, assignments: Mapping[Replica, bytes]) -> bool:
        try:
            response = await self._controller.send(self._request(assignments))
            if response.error_code:
                raise RequestError(ErrorCode(response.error_code))
        except RequestError as error:
            if self._complaints.is_news(str(error)):
                log.warning(
                    "cannot report the directories of replicas to the controller yet: %s", error
                )
            return False
        failed = {
            (topic.topic_id, partition.partition_index)
            for directory in response.directories
            for topic in directory.topics
            for partition in topic.partitions
            if partition.error_code == ErrorCode.UNKNOWN_SERVER_ERROR
        }
        # A partition that the controller does not know is gone, or will be told of again.
        for replica, directory_id in assignments.items():
            if replica not in failed and self._wanted.get(replica) == directory_id:
                del self._wanted[replica]
                self._accepted.pop(replica).set()
        return not failed

    def _request(self, assignments: Mapping[Replica, bytes]) -> AssignReplicasToDirsRequest:
        by_directory: dict[bytes, dict[bytes, list[int]]] = {}
        for (topic_id, index), directory_id in assignments.items():
            by_directory.setdefault(directory_id, {}).setdefault(topic_id, []).append(index)
        return AssignReplicasToDirsRequest(
            broker_id=self._node_id,
            broker_epoch=self._broker_epoch(),
            directories=[
                AssignReplicasToDirsRequestDirectoryData(
                    id=directory_id,
                    topics=[
                        AssignReplicasToDirsRequestTopicData(
                            topic_id=topic_id,
                            partitions=[
                                AssignReplicasToDirsRequestPartitionData(partition_index=index)
                                for index in indexes
                            ],
                        )
                        for topic_id, indexes in topics.items()
                    ],
                )
                for directory_id, topics in by_directory.items()
            ],
        )
