"""Which partition of an internal topic holds a key's state, and which broker coordinates it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from kbroker.complaints import Complaints
from kbroker.java_order import string_hash
from kbroker.wire.errors import ErrorCode, RequestError

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable

    from kbroker.controller.image import MetadataImage

NO_LEADER: Final = -1
FIND_TIMEOUT_S: Final = 10.0  # a client asks again
PARTITIONS_CACHED_MAX: Final = 10_000

_INT_MIN: Final = -(1 << 31)


class CoordinatorFinder:
    """Finds the coordinators that keep their state in one internal topic."""

    def __init__(
        self,
        topic: str,
        *,
        partition_count: int,
        node_id: int,
        image: MetadataImage,
        ensure_topic: Callable[[str], Awaitable[object]],
        wait_elected: Callable[[int], Awaitable[None]],
        log: logging.Logger,
    ) -> None:
        """`partition_count`: how many the topic gets when it is created. `ensure_topic(name)`
        returns when the topic exists in `image`; it raises RequestError. `wait_elected(index)`
        returns when this broker, which leads the partition, serves it or has much to load first.
        """
        self._topic = topic
        self._new_partition_count = partition_count
        self._node_id = node_id
        self._image = image
        self._ensure_topic = ensure_topic
        self._wait_elected = wait_elected
        self._log = log
        self._creation = trio.Lock()  # one attempt to create the topic at a time
        self._complaints = Complaints(trio.current_time)
        self._partition_count = 0  # 0: not known yet
        self._partitions: dict[str, int] = {}  # of keys, computed before

    def partition_for(self, key: str) -> int:
        """The partition of the topic that a key belongs to."""
        index = self._partitions.get(key)
        if index is None:
            topic = self._image.topics.get(self._topic)
            if topic is None:
                return partition_for(key, self._new_partition_count)
            if self._partition_count == 0:
                # Once: adding partitions must not move keys away from their records.
                self._partition_count = len(topic.partitions)
            if len(self._partitions) >= PARTITIONS_CACHED_MAX:
                self._partitions.clear()
            index = self._partitions[key] = partition_for(key, self._partition_count)
        return index

    def on_topic_deleted(self) -> None:
        """The topic may be created again with another number of partitions."""
        self._partition_count = 0
        self._partitions.clear()

    async def find(self, key: str) -> tuple[ErrorCode, int]:
        """The broker that coordinates a key. If that is this one, it serves the key by now, or has
        much to load first.

        Creates the topic on first use. COORDINATOR_NOT_AVAILABLE if that takes too long.
        """
        with trio.move_on_after(FIND_TIMEOUT_S):
            async with self._creation:
                if self._topic not in self._image.topics:
                    try:
                        await self._ensure_topic(self._topic)
                    except RequestError as error:
                        if self._complaints.is_news(str(error)):
                            self._log.warning("%s cannot be created: %s", self._topic, error)
                        return ErrorCode.COORDINATOR_NOT_AVAILABLE, NO_LEADER
            index = self.partition_for(key)
            topic = self._image.topics.get(self._topic)
            partition = None if topic is None else topic.partitions.get(index)
            if partition is None or partition.leader == NO_LEADER:
                return ErrorCode.COORDINATOR_NOT_AVAILABLE, NO_LEADER
            if partition.leader == self._node_id:
                await self._wait_elected(index)
            return ErrorCode.NONE, partition.leader
        return ErrorCode.COORDINATOR_NOT_AVAILABLE, NO_LEADER


def partition_for(key: str, partition_count: int) -> int:
    """The partition that holds a key's state (GroupCoordinatorService.partitionFor)."""
    value = string_hash(key)
    # Utils.abs: the one number whose absolute value is no int counts as 0.
    return 0 if value == _INT_MIN else abs(value) % partition_count
