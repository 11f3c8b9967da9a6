"""The log directories of a broker as its partitions use them: which directory holds which log.

One directory today; `log.dirs` with several belongs here.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from kbroker import descriptors
from kbroker.config import log_config
from kbroker.storage.errors import DiskError, OutOfDescriptors
from kbroker.storage.names import STRAY_DIR

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbroker.clock import Clock
    from kbroker.config import DynamicConfigs
    from kbroker.storage.log import Log
    from kbroker.storage.log_dir import LogDir

    from .partition import Partition

METADATA_TOPIC: Final = "__cluster_metadata"
# Closing a log waits for the disk several times. Several that wait together take hardly longer.
CLOSE_THREADS_MAX: Final = 8
LOGS_A_THREAD: Final = 16
RELIEVED_LOGS_MAX: Final = 100  # each has a descriptor or three

logger = logging.getLogger("kbroker.logs")


class LogStore:
    """Opens, checkpoints and deletes the logs of one broker's partitions."""

    def __init__(self, directory: LogDir, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._high_watermarks: dict[tuple[str, int], int] = {}
        self._relieved_to = 0
        # Partitions whose high watermark moved since it was last checkpointed: they enter by
        # themselves, so that a checkpoint need not ask all of them.
        self.moved: set[Partition] = set()

    @property
    def directories(self) -> list[LogDir]:
        """In the order of `log.dirs`."""
        return [self._directory]

    def open(self, topic: str, index: int, topic_id: bytes, configs: DynamicConfigs) -> Log:
        """The log that is there, or a new one. DiskError, CorruptFile."""
        open_log = partial(
            self._directory.open_log,
            topic,
            index,
            log_config(configs.topic(topic)),
            now_ms=self._clock.wall_ms(),
            topic_id=topic_id,
        )
        if descriptors.is_short():
            self.relieve()
        try:
            return open_log()
        except OutOfDescriptors:
            if not self.relieve():
                raise
            return open_log()

    def relieve(self) -> bool:
        """Have some logs give back the descriptors of their files; whether any had some.

        Those that are used again take them again. Each call begins where the one before ended.
        """
        logs = [log for key, log in self._directory.logs.items() if key[0] != METADATA_TOPIC]
        start = self._relieved_to % max(len(logs), 1)
        relieved = 0
        for log in logs[start:] + logs[:start]:
            self._relieved_to += 1
            try:
                relieved += log.let_go()
            except DiskError as error:
                logger.warning("%s-%d keeps its files open: %s", log.topic, log.partition, error)
            if relieved == RELIEVED_LOGS_MAX:
                break
        return relieved > 0

    def high_watermark(self, topic: str, index: int) -> int:
        """As last checkpointed; 0 where it is not known."""
        return self._directory.high_watermark(topic, index)

    def delete(self, partition: Partition) -> None:
        """Set its directory aside; it goes after file.delete.delay.ms. DiskError."""
        self.moved.discard(partition)
        self._high_watermarks.pop((partition.topic, partition.index), None)
        self._directory.delete_log(partition.topic, partition.index, self._clock.wall_ms())

    def set_strays_aside(self, is_ours: Callable[[str, int], bool]) -> None:
        """Rename what lies here and belongs to no partition of this broker. DiskError.

        What is ours and could not be opened stays where it is, for somebody to mend.
        """
        for topic, index in self._directory.partitions():
            if topic != METADATA_TOPIC and not is_ours(topic, index):
                self._directory.set_aside(topic, index, STRAY_DIR)

    def take_expired_deletions(self, now_ms: int) -> list[Callable[[], None]]:
        """Removals that are due; each blocks and may be run in a thread. DiskError."""
        return self._directory.take_expired_deletions(now_ms)

    def offset_checkpoints(self) -> list[Callable[[], None]]:
        """Writes of the recovery points and log start offsets, where they changed. DiskError."""
        return self._directory.offset_checkpoints()

    def high_watermark_checkpoints(self) -> list[Callable[[], None]]:
        """Writes of the high watermarks, where they changed. DiskError."""
        if not self.moved:
            return []
        return self._directory.high_watermark_checkpoint(self._take_moved())

    async def close(self, broker_epoch: int) -> None:
        """Flush and close every log, leave the clean-shutdown marker.

        DiskError, when all logs have had their turn: there is no marker then.
        """
        failures: list[DiskError] = []
        logs = list(self._directory.logs.values())
        if len(logs) > LOGS_A_THREAD:
            limiter = trio.CapacityLimiter(CLOSE_THREADS_MAX)

            async def close(some: list[Log]) -> None:
                failures.extend(await trio.to_thread.run_sync(_close, some, limiter=limiter))

            async with trio.open_nursery() as nursery:
                for start in range(0, len(logs), LOGS_A_THREAD):
                    nursery.start_soon(close, logs[start : start + LOGS_A_THREAD])
        await trio.to_thread.run_sync(
            partial(self._directory.close, self._take_moved(), broker_epoch=broker_epoch)
        )
        if failures:
            raise failures[0]

    def _take_moved(self) -> dict[tuple[str, int], int]:
        for partition in self.moved:
            self._high_watermarks[partition.topic, partition.index] = partition.high_watermark
        self.moved.clear()
        return self._high_watermarks


def _close(logs: list[Log]) -> list[DiskError]:
    """What went wrong. A log that could not be closed is offline: it keeps the marker away."""
    failures = []
    for log in logs:
        try:
            log.close(sync_log_dir=False)
        except DiskError as error:
            failures.append(error)
    return failures
