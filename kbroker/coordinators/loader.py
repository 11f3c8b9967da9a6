"""Loads the partitions that this broker was elected for, in an order in which clients wait least:
first those that somebody asks for, then the smallest.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Generic

import trio

from kbroker.partitions.turns import TimedTurn
from kbroker.storage.errors import DiskError, OutOfDescriptors, StorageError
from kbroker.wire.errors import ErrorCode

from .load import TURN_S, Load
from .replay import UnreadableValue, count_skipped
from .shard import ShardT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .deadlines import Deadlines
    from .load import Loaded
    from .partition import CoordinatedPartition
    from .replay import Replay
    from .shard import CoordinatedTopic

# What takes some tens of milliseconds to load: clients are not sent away for it.
SMALL_LOAD_BYTES: Final = 4 << 20
RETRY_S: Final = 1.0  # a load that got no descriptor for the log's file


class LoadQueue(Generic[ShardT]):
    """What waits to be loaded: first what somebody asks for, then the smallest."""

    def __init__(self) -> None:
        self._partitions: list[CoordinatedPartition[ShardT]] = []
        self._filled = trio.Event()

    def put(self, partition: CoordinatedPartition[ShardT]) -> None:
        self._partitions.append(partition)
        self._filled.set()

    async def next(self) -> CoordinatedPartition[ShardT]:
        while not self._partitions:
            self._filled = trio.Event()
            await self._filled.wait()
        partition = min(self._partitions, key=lambda each: (not each.is_wanted, each.load_bytes))
        self._partitions.remove(partition)
        return partition


class Loader(Generic[ShardT]):
    """The loads of one internal topic."""

    def __init__(
        self,
        topic: CoordinatedTopic[ShardT],
        deadlines: Deadlines[Any],
        partitions: Mapping[int, CoordinatedPartition[ShardT]],
    ) -> None:
        """`partitions`: those that the runtime coordinates at the time."""
        self._topic = topic
        self._deadlines = deadlines
        self._partitions = partitions
        # Two, so that no small partition waits for a large one.
        self._small: LoadQueue[ShardT] = LoadQueue()
        self._large: LoadQueue[ShardT] = LoadQueue()
        self._large_may_begin = trio.Event()
        self._skipped: Counter[str] = Counter()  # records that no load could use, by reason
        self._logged: Counter[str] = Counter()

    @property
    def is_loading(self) -> bool:
        return any(partition.is_loading for partition in self._partitions.values())

    def put(self, partition: CoordinatedPartition[ShardT]) -> None:
        """Load it, as soon as those before it are."""
        try:
            partition.load_bytes = partition.replica.log_size
        except StorageError as error:
            self._topic.log.debug("%s: %s", partition, error)  # the load will meet it too
        (self._small if is_small(partition) else self._large).put(partition)

    def begin_large(self) -> None:
        """From now on large partitions are loaded too: the start is over, and is not held up."""
        self._large_may_begin.set()

    async def run_small(self, serve: Callable[[CoordinatedPartition[ShardT]], None]) -> None:
        """Load small partitions until cancelled. `serve` gets each one whose shard is loaded."""
        await self._run(self._small, serve)

    async def run_large(self, serve: Callable[[CoordinatedPartition[ShardT]], None]) -> None:
        """Load large partitions until cancelled."""
        await self._large_may_begin.wait()
        await self._run(self._large, serve)

    async def _run(
        self,
        queue: LoadQueue[ShardT],
        serve: Callable[[CoordinatedPartition[ShardT]], None],
    ) -> None:
        turn = TimedTurn(TURN_S)
        while True:
            partition = await queue.next()
            with partition.loading:
                if await self._load(partition, turn):
                    serve(partition)
            if not self.is_loading:
                self._log_skipped()
            await turn.next()

    async def _load(self, partition: CoordinatedPartition[ShardT], turn: TimedTurn) -> bool:
        """Whether the partition can be served. Cancelled when this broker resigns."""
        await trio.lowlevel.checkpoint_if_cancelled()
        began = trio.current_time()
        try:
            loaded = await self._replay_log(partition, turn)
        except AssertionError:
            raise
        except Exception as error:
            # As in Kafka, it has no coordinator until the next election.
            self._topic.log.error(
                "%s cannot be loaded: %s",
                partition,
                error,
                exc_info=not isinstance(error, StorageError),
            )
            if isinstance(error, DiskError):
                partition.replica.note_unreadable(error)
            self._renew_shard(partition)
            partition.end_load(ErrorCode.NOT_COORDINATOR)
            return False
        partition.last_written = loaded.end_offset - 1
        self._topic.log.info(
            "%s: loaded %s from offsets %d to %d (%d records, %d bytes) in %d ms",
            partition,
            partition.shard.summary(),
            loaded.start_offset,
            loaded.end_offset,
            loaded.record_count,
            loaded.byte_count,
            round((trio.current_time() - began) * 1000),
        )
        return True

    async def _replay_log(self, partition: CoordinatedPartition[ShardT], turn: TimedTurn) -> Loaded:
        """Records that cannot be read, or are of no use here, are counted and left where they
        are.
        """
        replay = self._topic.new_replay(partition.shard, keeps_latest=True)
        try:
            loaded = await self._run_load(partition, replay, turn)
        except UnreadableValue:
            self._renew_shard(partition)
            replay = self._topic.new_replay(partition.shard, keeps_latest=False)
            loaded = await self._run_load(partition, replay, turn)
        for reason, count in replay.skipped.items():
            count_skipped(self._skipped, reason, count)
        return loaded

    async def _run_load(
        self, partition: CoordinatedPartition[ShardT], replay: Replay, turn: TimedTurn
    ) -> Loaded:
        topic = self._topic
        load = Load(str(partition), partition.replica, replay, topic.read_bytes_max, topic.log)
        while True:
            try:
                return await load.run(turn)
            except OutOfDescriptors as error:
                partition.replica.note_unreadable(error)
                await trio.sleep(RETRY_S)

    def _renew_shard(self, partition: CoordinatedPartition[ShardT]) -> None:
        partition.shard = self._topic.new_shard(partition.index, self._deadlines)

    def _log_skipped(self) -> None:
        skipped, self._skipped = self._skipped, Counter()
        if skipped and skipped != self._logged:  # every election loads the same again
            self._logged = skipped
            self._topic.log.warning(
                "%s: %d records are kept but not used: %s",
                self._topic.name,
                skipped.total(),
                ", ".join(f"{reason} ({count})" for reason, count in skipped.items()),
            )


def is_small(partition: CoordinatedPartition[ShardT]) -> bool:
    """Whether its load takes so little time that clients wait for it."""
    return partition.load_bytes <= SMALL_LOAD_BYTES
