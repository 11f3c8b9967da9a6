"""Drives the shards of one coordinator over the partitions of its internal topic that this broker
leads (Kafka's CoordinatorRuntime).

One decision is one step without an await: the coordinator decides, the runtime appends the records
as one batch, has the shard apply them, and answers parked requests. What must wait for the high
watermark waits in a task of its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Generic

import trio

from kbroker.complaints import Complaints
from kbroker.errors import code_of
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.errors import DiskError, StorageError
from kbroker.wire.errors import EncodeError, ErrorCode, RequestError

from .deadlines import NEVER, Deadlines
from .loader import Loader, is_small
from .partition import CoordinatedPartition
from .result import Now, Parked, ResponseT
from .shard import ShardT

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbroker.clock import Clock

    from .partition import LeaderReplica
    from .result import Result
    from .shard import CoordinatedTopic

RECORDS_PER_BATCH_MAX: Final = 1000  # of decisions that need not be written as a whole

# What became of a write, as clients of a coordinator are told
# (CoordinatorOperationExceptionHelper).
_COORDINATOR_ERRORS: Final = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.REQUEST_TIMED_OUT: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_LEADER_OR_FOLLOWER: ErrorCode.NOT_COORDINATOR,
    ErrorCode.KAFKA_STORAGE_ERROR: ErrorCode.NOT_COORDINATOR,
}


class Waiter(Parked[ResponseT]):
    """A parked request and the task that waits for its answer."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        super().__init__()
        self._event = trio.Event()

    def answer(self, response: ResponseT) -> None:
        super().answer(response)
        self._event.set()

    async def wait(self) -> ResponseT:
        await self._event.wait()
        assert self.response is not None
        return self.response


class CoordinatorRuntime(Generic[ShardT]):
    """All partitions of one topic that this broker coordinates; their deadlines; loading and
    unloading.
    """

    def __init__(self, topic: CoordinatedTopic[ShardT], clock: Clock) -> None:
        self._topic = topic
        self._clock = clock
        self._deadlines: Deadlines[Any] = Deadlines()
        self._partitions: dict[int, CoordinatedPartition[ShardT]] = {}
        self._loader = Loader(topic, self._deadlines, self._partitions)
        self._elected = trio.Event()  # replaced at every election
        self._deadlines_changed = trio.Event()
        self._sleeps_until_ms = NEVER
        self._nursery: trio.Nursery | None = None
        self._complaints = Complaints(trio.current_time)

    def now(self) -> Now:
        # Rounded: a deadline in whole milliseconds must be over when Trio says so.
        return Now(round(trio.current_time() * 1000), self._clock.wall_ms())

    def partition(self, index: int) -> CoordinatedPartition[ShardT] | ErrorCode:
        """The loaded partition, or why there is none."""
        partition = self._partitions.get(index)
        if partition is None:
            return ErrorCode.NOT_COORDINATOR
        if partition.error is ErrorCode.NONE:
            return partition
        partition.is_wanted = True
        return partition.error

    def partitions(self) -> list[CoordinatedPartition[ShardT]]:
        return list(self._partitions.values())

    def loaded_partitions(self) -> list[CoordinatedPartition[ShardT]]:
        return [each for each in self._partitions.values() if each.error is ErrorCode.NONE]

    @property
    def is_loading(self) -> bool:
        return self._loader.is_loading

    # --- elections

    def on_elected(self, index: int, replica: LeaderReplica, leader_epoch: int) -> None:
        """This broker leads the partition. An empty log is ready at once, any other is loaded by
        `run`.
        """
        current = self._partitions.get(index)
        if current is not None:
            if current.leader_epoch >= leader_epoch:
                return
            self.on_resigned(index)
        shard = self._topic.new_shard(index, self._deadlines)
        partition = CoordinatedPartition(self._topic.name, index, replica, leader_epoch, shard)
        self._partitions[index] = partition
        if replica.log_start_offset == replica.log_end_offset:
            self._serve(partition)
        else:
            self._loader.put(partition)
        self._elected.set()
        self._elected = trio.Event()

    def on_resigned(self, index: int) -> None:
        """Another broker leads now: forget everything, and send those who wait to look for it."""
        partition = self._partitions.pop(index, None)
        if partition is None:
            return
        is_served = partition.error is ErrorCode.NONE
        partition.loading.cancel()
        partition.end_load(ErrorCode.NOT_COORDINATOR)
        if is_served:
            _answer(partition.shard.on_unloaded(self.now()))

    async def wait_elected(self, index: int) -> None:
        """Wait until this broker coordinates the partition, and has loaded it if that takes little
        time.
        """
        while True:
            partition = self._partitions.get(index)
            if partition is None:
                await self._elected.wait()
            elif partition.is_loading and is_small(partition):
                await partition.load_over.wait()
            else:
                return

    async def wait_loaded(self, bytes_max: int | None) -> None:
        """Wait until the smallest of the partitions that this broker coordinates now are loaded,
        up to `bytes_max` bytes together; all of them with None.
        """
        bytes_loaded = 0
        for partition in sorted(self._partitions.values(), key=lambda each: each.load_bytes):
            bytes_loaded += partition.load_bytes
            if bytes_max is not None and bytes_loaded > bytes_max:
                return
            await partition.load_over.wait()

    def begin_large_loads(self) -> None:
        """From now on large partitions are loaded too: the start is over, and is not held up."""
        self._loader.begin_large()

    def decide_in_all(self, decide: Callable[[ShardT, Now], Result[Any, Any, Any]]) -> None:
        """Decide something in every partition, for which nobody waits. A partition that is being
        loaded does so when it is loaded, so that nothing in its log undoes it.
        """
        for partition in self.partitions():
            if partition.is_loading:
                partition.after_load.append(decide)
            elif partition.error is ErrorCode.NONE:
                self.apply_in_parts(partition, decide(partition.shard, self.now()))

    def _serve(self, partition: CoordinatedPartition[ShardT]) -> None:
        partition.end_load(ErrorCode.NONE)
        self.apply(partition, partition.shard.on_loaded(self.now()))
        for decide in partition.after_load:
            self.apply_in_parts(partition, decide(partition.shard, self.now()))
        partition.after_load.clear()

    # --- decisions

    def apply(
        self, partition: CoordinatedPartition[ShardT], result: Result[Any, Any, Any]
    ) -> ErrorCode:
        """Write what was decided and answer parked requests. NONE, or why it could not be written.

        The response to the request itself goes out when `partition.is_all_committed` (see
        `wait_all_committed`).
        """
        error = ErrorCode.NONE
        if result.records:
            error = self._write(partition, result.records)
        _answer(result)
        on_commit = result.on_commit
        if on_commit is not None:
            if error is not ErrorCode.NONE:
                failed = partition.shard.failed(on_commit, error, result.now, is_appended=False)
                self.apply(partition, failed)
            elif partition.is_all_committed:
                self.apply(partition, partition.shard.committed(on_commit, result.now))
            else:
                assert self._nursery is not None, "the runtime is not running"
                self._nursery.start_soon(
                    self._follow_up, partition, partition.last_written, on_commit
                )
        self.deadlines_changed()
        return error

    def apply_in_parts(
        self, partition: CoordinatedPartition[ShardT], result: Result[Any, Any, Any]
    ) -> None:
        """For many independent records, such as what has expired: several batches, none too
        large.
        """
        records = result.records
        for start in range(0, len(records), RECORDS_PER_BATCH_MAX):
            result.records = records[start : start + RECORDS_PER_BATCH_MAX]
            if self.apply(partition, result) is not ErrorCode.NONE:
                return

    async def wait_all_committed(self, partition: CoordinatedPartition[ShardT]) -> ErrorCode:
        """Wait until what the partition's shard knows by now is committed. NONE, or why that
        cannot be said.
        """
        return await self._wait_committed(partition, partition.last_written)

    async def _wait_committed(
        self, partition: CoordinatedPartition[ShardT], last_written: int
    ) -> ErrorCode:
        with trio.move_on_after(self._topic.commit_timeout_ms / 1000):
            try:
                await partition.replica.wait_committed(last_written)
            except RequestError as error:
                return _coordinator_error(error)
            return ErrorCode.NONE
        return ErrorCode.COORDINATOR_NOT_AVAILABLE

    async def _follow_up(
        self, partition: CoordinatedPartition[ShardT], last_written: int, on_commit: Any
    ) -> None:
        error = await self._wait_committed(partition, last_written)
        if self._partitions.get(partition.index) is not partition:
            return  # resigned meanwhile, which has answered everybody
        shard, now = partition.shard, self.now()
        if error is ErrorCode.NONE:
            self.apply(partition, shard.committed(on_commit, now))
        else:
            self.apply(partition, shard.failed(on_commit, error, now, is_appended=True))

    def _write(self, partition: CoordinatedPartition[ShardT], records: list[Any]) -> ErrorCode:
        topic = self._topic
        wall_ms = self._clock.wall_ms()
        try:
            encoded = [NewRecord(wall_ms, *topic.encode(record)) for record in records]
            batch = bytearray(build_batch(encoded, codec=topic.codec))
            last_offset = partition.replica.append_local(batch, wall_ms)
        except (RequestError, StorageError, EncodeError) as error:
            # The partition has logged a DiskError already.
            if not isinstance(error, DiskError) and self._complaints.is_news(
                (partition.index, str(error))
            ):
                topic.log.warning("%s: records cannot be written: %s", partition, error)
            return _coordinator_error(error)
        partition.last_written = last_offset
        partition.shard.replay_written(records, last_offset - len(records) + 1)
        return ErrorCode.NONE

    # --- deadlines

    def deadlines_changed(self) -> None:
        """Wake the task that waits for deadlines if one is now earlier than it knows. O(1)."""
        if self._deadlines.next_ms() < self._sleeps_until_ms:
            self._deadlines_changed.set()

    async def _run_deadlines(self) -> None:
        while True:
            self._deadlines_changed = trio.Event()
            self._sleeps_until_ms = self._deadlines.next_ms()
            with trio.move_on_at(
                math.inf if self._sleeps_until_ms == NEVER else self._sleeps_until_ms / 1000
            ):
                await self._deadlines_changed.wait()
            self._fire()

    def _fire(self) -> None:
        now = self.now()
        for deadline in self._deadlines.expired(now.timer_ms):
            partition = self._partitions.get(deadline.owner.index)
            if partition is None or partition.shard is not deadline.owner:
                continue
            try:
                result = partition.shard.on_deadline(deadline.event, now)
            except AssertionError:
                raise
            except Exception:
                # It must not keep the other deadlines from their owners.
                self._topic.log.exception("%s: the timer %s failed", partition, deadline.event)
                continue
            if result.on_commit is not None or len(result.records) <= RECORDS_PER_BATCH_MAX:
                self.apply(partition, result)
            else:
                self.apply_in_parts(partition, result)

    # --- background

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Load what is elected and let time pass, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._loader.run_small, self._serve)
            nursery.start_soon(self._loader.run_large, self._serve)
            nursery.start_soon(self._run_deadlines)
            task_status.started()


def _answer(result: Result[Any, Any, Any]) -> None:
    for parked, response in result.answers:
        parked.answer(response)


def _coordinator_error(error: RequestError | StorageError | EncodeError) -> ErrorCode:
    match error:
        case RequestError():
            code = error.code
        case StorageError():
            code = code_of(error)
        case EncodeError():
            code = ErrorCode.UNKNOWN_SERVER_ERROR
    return _COORDINATOR_ERRORS.get(code, ErrorCode.UNKNOWN_SERVER_ERROR)
