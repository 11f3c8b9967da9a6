"""Drives the group state machines over the partitions of __consumer_offsets that this broker
leads.

One decision is one step without an await: decide, append its records as one batch, replay them,
answer who was parked. What must wait for the high watermark waits in a task of its own (Kafka's
CoordinatorRuntime).
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import trio

from kbroker.complaints import Complaints
from kbroker.errors import code_of
from kbroker.partitions.turns import TimedTurn
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from kbroker.storage.errors import DiskError, OutOfDescriptors, StorageError
from kbroker.wire.errors import EncodeError, ErrorCode, RequestError

from .group import records as group_records
from .group.records import GroupStored
from .group.replay import GroupReplay, UnreadableValue, count_skipped
from .group.result import Now, Parked, ParkedT
from .group.shard import GroupShard
from .group.timers import NEVER, Timers
from .internal_topics import CONSUMER_OFFSETS
from .loading import TURN_S, Load
from .slots import LoadQueue, Slot

if TYPE_CHECKING:
    from kbroker.clock import Clock
    from kbroker.config import BrokerConfig

    from .group.records import Record
    from .group.result import Committed, Result
    from .loading import Loaded
    from .slots import OffsetsPartition

log = logging.getLogger("kbroker.groups")

# What takes some tens of milliseconds to load: clients are not sent away for it.
SMALL_LOAD_BYTES: Final = 4 << 20
RETRY_S: Final = 1.0  # a load that got no descriptor for the log's file
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


class Waiter(Parked[ParkedT]):
    """A parked request and the task that waits for its answer."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        super().__init__()
        self._event = trio.Event()

    def answer(self, response: ParkedT) -> None:
        super().answer(response)
        self._event.set()

    async def wait(self) -> ParkedT:
        await self._event.wait()
        assert self.response is not None
        return self.response


class GroupRuntime:
    """All partitions this broker coordinates; their timers; loading and unloading."""

    def __init__(self, config: BrokerConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._timers = Timers()
        self._slots: dict[int, Slot] = {}
        # Two, so that no small partition waits for a large one.
        self._small_loads = LoadQueue()
        self._large_loads = LoadQueue()
        self._large_may_begin = trio.Event()
        self._skipped: Counter[str] = Counter()  # records that no load could use, by reason
        self._told: Counter[str] = Counter()
        self._elected = trio.Event()  # replaced at every election
        self._timers_changed = trio.Event()
        self._sleeps_until_ms = NEVER
        self._nursery: trio.Nursery | None = None
        self._complaints = Complaints(trio.current_time)

    def now(self) -> Now:
        # Rounded: a deadline in whole milliseconds must be over when Trio says so.
        return Now(round(trio.current_time() * 1000), self._clock.wall_ms())

    def slot(self, index: int) -> Slot | ErrorCode:
        """The loaded partition, or why there is none."""
        slot = self._slots.get(index)
        if slot is None:
            return ErrorCode.NOT_COORDINATOR
        if slot.error is ErrorCode.NONE:
            return slot
        slot.is_wanted = True
        return slot.error

    def slots(self) -> list[Slot]:
        return list(self._slots.values())

    def loaded_slots(self) -> list[Slot]:
        return [slot for slot in self._slots.values() if slot.error is ErrorCode.NONE]

    @property
    def is_loading(self) -> bool:
        return any(slot.is_loading for slot in self._slots.values())

    # --- elections

    def on_elected(self, index: int, partition: OffsetsPartition, leader_epoch: int) -> None:
        """This broker leads the partition. An empty log is ready at once, any other is loaded by
        `run`.
        """
        current = self._slots.get(index)
        if current is not None:
            if current.leader_epoch >= leader_epoch:
                return
            self.on_resigned(index)
        slot = self._slots[index] = Slot(index, partition, leader_epoch, self._new_shard(index))
        if partition.log_start_offset == partition.log_end_offset:
            self._serve(slot)
        else:
            try:
                slot.load_bytes = partition.log_size
            except StorageError as error:
                log.debug("%s: %s", slot, error)  # the load will meet it too
            is_small = slot.load_bytes <= SMALL_LOAD_BYTES
            (self._small_loads if is_small else self._large_loads).put(slot)
        self._elected.set()
        self._elected = trio.Event()

    def on_resigned(self, index: int) -> None:
        """Another broker leads now: forget everything, and send those who wait to look for it."""
        slot = self._slots.pop(index, None)
        if slot is None:
            return
        is_served = slot.error is ErrorCode.NONE
        slot.loading.cancel()
        slot.end_load(ErrorCode.NOT_COORDINATOR)
        if is_served:
            self._answer(slot.shard.on_unloaded(self.now()))

    async def wait_elected(self, index: int) -> None:
        """Until this broker coordinates the partition, and has loaded it if that takes no time to
        speak of.
        """
        while True:
            slot = self._slots.get(index)
            if slot is None:
                await self._elected.wait()
            elif slot.is_loading and slot.load_bytes <= SMALL_LOAD_BYTES:
                await slot.load_over.wait()
            else:
                return

    async def wait_loaded(self, bytes_max: int | None) -> None:
        """Until of what this broker coordinates now the smallest is loaded, up to so many bytes;
        all of it with None.
        """
        bytes_loaded = 0
        for slot in sorted(self._slots.values(), key=lambda slot: slot.load_bytes):
            bytes_loaded += slot.load_bytes
            if bytes_max is not None and bytes_loaded > bytes_max:
                return
            await slot.load_over.wait()

    def begin_large_loads(self) -> None:
        """From now on large partitions are loaded too: the start is over, and is not held up."""
        self._large_may_begin.set()

    def forget_topic(self, slot: Slot, name: str, topic_id: bytes) -> None:
        """A topic is deleted; where that is loaded only later, so that nothing of it comes back."""
        if slot.is_loading:
            slot.deleted_topics.append((name, topic_id))
        elif slot.error is ErrorCode.NONE:
            result = slot.shard.decide_topic_deleted(name, topic_id, self.now())
            self.apply_in_parts(slot, result)

    def _new_shard(self, index: int) -> GroupShard:
        return GroupShard(index, self._config, self._timers)

    def _serve(self, slot: Slot) -> None:
        slot.end_load(ErrorCode.NONE)
        self.apply(slot, slot.shard.on_loaded(self.now()))
        for name, topic_id in slot.deleted_topics:
            self.forget_topic(slot, name, topic_id)
        slot.deleted_topics.clear()

    # --- decisions

    def apply(self, slot: Slot, result: Result[Any]) -> ErrorCode:
        """Write what was decided and answer who was parked; NONE, or why it could not be written.

        The response to the request itself goes out when `slot.is_settled` (see `settle`).
        """
        error = ErrorCode.NONE
        if result.records:
            error = self._write(slot, result.records)
        self._answer(result)
        if result.then is not None:
            if error is not ErrorCode.NONE:
                failed = slot.shard.failed(result.then, error, result.now, is_appended=False)
                self.apply(slot, failed)
            elif slot.is_settled:
                self.apply(slot, slot.shard.committed(result.then, result.now))
            else:
                assert self._nursery is not None, "the runtime is not running"
                self._nursery.start_soon(self._follow_up, slot, slot.last_written, result.then)
        self.timers_changed()
        return error

    def timers_changed(self) -> None:
        """Wake the timer task if a deadline is now earlier than it knows. O(1)."""
        if self._timers.next_ms() < self._sleeps_until_ms:
            self._timers_changed.set()

    async def settle(self, slot: Slot) -> ErrorCode:
        """Wait until what the partition's state knows by now is committed; NONE, or why that
        cannot be said.
        """
        last_written = slot.last_written
        with trio.move_on_after(self._config.offsets_commit_timeout_ms / 1000):
            try:
                await slot.partition.wait_committed(last_written)
            except RequestError as error:
                return _coordinator_error(error)
            return ErrorCode.NONE
        return ErrorCode.COORDINATOR_NOT_AVAILABLE

    async def _follow_up(self, slot: Slot, last_written: int, then: Committed) -> None:
        error = ErrorCode.COORDINATOR_NOT_AVAILABLE
        with trio.move_on_after(self._config.offsets_commit_timeout_ms / 1000):
            try:
                await slot.partition.wait_committed(last_written)
                error = ErrorCode.NONE
            except RequestError as caught:
                error = _coordinator_error(caught)
        if self._slots.get(slot.index) is not slot:
            return  # resigned meanwhile, which has answered everybody
        if error is ErrorCode.NONE:
            self.apply(slot, slot.shard.committed(then, self.now()))
        else:
            self.apply(slot, slot.shard.failed(then, error, self.now(), is_appended=True))

    def _write(self, slot: Slot, records: list[Record]) -> ErrorCode:
        wall_ms = self._clock.wall_ms()
        try:
            encoded = [NewRecord(wall_ms, *group_records.encode(record)) for record in records]
            codec = Codec(self._config.offsets_topic_compression_codec)
            batch = bytearray(build_batch(encoded, codec=codec))
            last_offset = slot.partition.append_local(batch, wall_ms)
        except (RequestError, StorageError, EncodeError) as error:
            # Of the disk the partition has told.
            if not isinstance(error, DiskError) and self._complaints.is_news(
                (slot.index, str(error))
            ):
                log.warning("%s: records cannot be written: %s", slot, error)
            return _coordinator_error(error)
        slot.last_written = last_offset
        for offset, record in enumerate(records, last_offset - len(records) + 1):
            if not isinstance(record, GroupStored):
                slot.shard.replay(record, offset)
        return ErrorCode.NONE

    @staticmethod
    def _answer(result: Result[Any]) -> None:
        for parked_join, join_response in result.join_answers:
            parked_join.answer(join_response)
        for parked_sync, sync_response in result.sync_answers:
            parked_sync.answer(sync_response)

    # --- background

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Load what is elected and let time pass, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._run_loads, self._small_loads)
            nursery.start_soon(self._run_large_loads)
            nursery.start_soon(self._run_timers)
            task_status.started()

    async def _run_timers(self) -> None:
        while True:
            self._timers_changed = trio.Event()
            self._sleeps_until_ms = self._timers.next_ms()
            with trio.move_on_at(
                math.inf if self._sleeps_until_ms == NEVER else self._sleeps_until_ms / 1000
            ):
                await self._timers_changed.wait()
            self._fire()

    def _fire(self) -> None:
        now = self.now()
        for deadline in self._timers.expired(now.timer_ms):
            slot = self._slots.get(deadline.owner.index)
            if slot is None or slot.shard is not deadline.owner:
                continue
            try:
                result = deadline.owner.on_timer(deadline.event, now)
            except AssertionError:
                raise
            except Exception:
                # One group's trouble is not every other's.
                log.exception("%s: the timer %s failed", slot, deadline.event)
                continue
            if result.then is not None or len(result.records) <= RECORDS_PER_BATCH_MAX:
                self.apply(slot, result)
            else:
                self.apply_in_parts(slot, result)

    def apply_in_parts(self, slot: Slot, result: Result[None]) -> None:
        """For many independent records, such as what has expired: several batches, none too
        large.
        """
        records = result.records
        for start in range(0, len(records), RECORDS_PER_BATCH_MAX):
            result.records = records[start : start + RECORDS_PER_BATCH_MAX]
            if self.apply(slot, result) is not ErrorCode.NONE:
                return

    async def _run_large_loads(self) -> None:
        await self._large_may_begin.wait()
        await self._run_loads(self._large_loads)

    async def _run_loads(self, queue: LoadQueue) -> None:
        turn = TimedTurn(TURN_S)
        while True:
            slot = await queue.next()
            with slot.loading:
                await self._load(slot, turn)
            if not self.is_loading:
                self._tell_skipped()
            await turn.next()

    async def _load(self, slot: Slot, turn: TimedTurn) -> None:
        """Ends when the partition serves or cannot; or is cancelled, when this broker resigns."""
        await trio.lowlevel.checkpoint_if_cancelled()
        began = trio.current_time()
        try:
            loaded = await self._replay_log(slot, turn)
        except AssertionError:
            raise
        except Exception as error:
            # As in Kafka, its groups have no coordinator until the next election.
            log.error(
                "%s cannot be loaded: %s", slot, error, exc_info=not isinstance(error, StorageError)
            )
            if isinstance(error, DiskError):
                slot.partition.note_unreadable(error)
            slot.shard = self._new_shard(slot.index)
            slot.end_load(ErrorCode.NOT_COORDINATOR)
            return
        slot.last_written = loaded.end_offset - 1
        log.info(
            "%s: loaded %d groups from offsets %d to %d (%d records, %d bytes) in %d ms",
            slot,
            len(slot.shard.groups),
            loaded.start_offset,
            loaded.end_offset,
            loaded.record_count,
            loaded.byte_count,
            round((trio.current_time() - began) * 1000),
        )
        self._serve(slot)

    async def _replay_log(self, slot: Slot, turn: TimedTurn) -> Loaded:
        """Records that cannot be read, or are none of ours, are counted and left where they are."""
        replay = GroupReplay(slot.shard)
        try:
            loaded = await self._run_load(slot, replay, turn)
        except UnreadableValue:
            slot.shard = self._new_shard(slot.index)
            replay = GroupReplay(slot.shard, keeps_latest=False)
            loaded = await self._run_load(slot, replay, turn)
        for reason, count in replay.skipped.items():
            count_skipped(self._skipped, reason, count)
        return loaded

    async def _run_load(self, slot: Slot, replay: GroupReplay, turn: TimedTurn) -> Loaded:
        load = Load(str(slot), slot.partition, replay, self._config.offsets_load_buffer_size)
        while True:
            try:
                return await load.run(turn)
            except OutOfDescriptors as error:
                slot.partition.note_unreadable(error)
                await trio.sleep(RETRY_S)

    def _tell_skipped(self) -> None:
        skipped, self._skipped = self._skipped, Counter()
        if skipped and skipped != self._told:  # every election loads the same again
            self._told = skipped
            log.warning(
                "%s: %d records are kept but not used: %s",
                CONSUMER_OFFSETS,
                skipped.total(),
                ", ".join(f"{reason} ({count})" for reason, count in skipped.items()),
            )


def _coordinator_error(error: RequestError | StorageError | EncodeError) -> ErrorCode:
    match error:
        case RequestError():
            code = error.code
        case StorageError():
            code = code_of(error)
        case EncodeError():
            code = ErrorCode.UNKNOWN_SERVER_ERROR
    return _COORDINATOR_ERRORS.get(code, ErrorCode.UNKNOWN_SERVER_ERROR)
