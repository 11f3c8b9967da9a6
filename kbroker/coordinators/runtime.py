"""Drives the group state machines over the partitions of __consumer_offsets that this broker
leads.

One decision is one step without an await: decide, append its records as one batch, replay them,
answer who was parked. What must wait for the high watermark waits in a task of its own (Kafka's
CoordinatorRuntime).
"""

from __future__ import annotations

import logging
import math
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from kbroker.complaints import Complaints
from kbroker.errors import code_of
from kbroker.storage import batch as record_batch
from kbroker.storage import formats
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from kbroker.storage.errors import DiskError, InvalidRecord, StorageError
from kbroker.wire.errors import EncodeError, ErrorCode, ProtocolError, RequestError

from .group import records as group_records
from .group.records import GroupStored
from .group.result import Now, Parked, ParkedT
from .group.shard import GroupShard
from .group.timers import NEVER, Timers
from .internal_topics import CONSUMER_OFFSETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbroker.clock import Clock
    from kbroker.config import BrokerConfig
    from kbroker.storage.batch import BatchHeader

    from .group.records import Record
    from .group.result import Committed, Result

log = logging.getLogger("kbroker.groups")

NOTHING_WRITTEN: Final = -1
LOAD_STEP_BYTES_MAX: Final = 256 * 1024  # replayed before others get their turn
RECORDS_PER_BATCH_MAX: Final = 1000  # of decisions that need not be written as a whole
REASONS_NAMED_MAX: Final = 32  # to skip a record, in the one line that a load logs

# What became of a write, as clients of a coordinator are told
# (CoordinatorOperationExceptionHelper).
_COORDINATOR_ERRORS: Final = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.REQUEST_TIMED_OUT: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_LEADER_OR_FOLLOWER: ErrorCode.NOT_COORDINATOR,
    ErrorCode.KAFKA_STORAGE_ERROR: ErrorCode.NOT_COORDINATOR,
}


class OffsetsPartition(Protocol):
    """What a coordinator needs of a partition that this broker leads."""

    @property
    def log_start_offset(self) -> int: ...

    @property
    def log_end_offset(self) -> int: ...

    def batches(self, from_offset: int, end_offset: int) -> Iterator[memoryview]:
        """Raw batches, one at a time."""
        ...

    def append_local(self, batch: bytearray | memoryview, now_ms: int) -> int:
        """Append one batch; its last offset. RequestError or StorageError: nothing was written."""
        ...

    def is_committed(self, last_offset: int) -> bool:
        """Whether last_offset lies below the high watermark."""
        ...

    async def wait_committed(self, last_offset: int) -> None:
        """Until it does; RequestError when it no longer can."""
        ...


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


class Slot:
    """One partition that this broker coordinates, from election to resignation."""

    __slots__ = ("index", "last_written", "leader_epoch", "loaded", "partition", "shard")

    def __init__(
        self, index: int, partition: OffsetsPartition, leader_epoch: int, shard: GroupShard
    ) -> None:
        self.index = index
        self.partition = partition
        self.leader_epoch = leader_epoch
        self.shard = shard
        self.loaded = trio.Event()
        self.last_written = NOTHING_WRITTEN

    @property
    def is_settled(self) -> bool:
        """Whether all that its state knows is committed, so that it can be told."""
        return self.last_written == NOTHING_WRITTEN or self.partition.is_committed(
            self.last_written
        )


class GroupRuntime:
    """All partitions this broker coordinates; their timers; loading and unloading."""

    def __init__(self, config: BrokerConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._timers = Timers()
        self._slots: dict[int, Slot] = {}
        self._to_load: deque[Slot] = deque()
        self._load_wanted = trio.Event()
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
        return slot if slot.loaded.is_set() else ErrorCode.COORDINATOR_LOAD_IN_PROGRESS

    def slots(self) -> list[Slot]:
        return list(self._slots.values())

    def loaded_slots(self) -> list[Slot]:
        return [slot for slot in self._slots.values() if slot.loaded.is_set()]

    @property
    def is_loading(self) -> bool:
        return any(not slot.loaded.is_set() for slot in self._slots.values())

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
        shard = GroupShard(index, self._config, self._timers)
        slot = self._slots[index] = Slot(index, partition, leader_epoch, shard)
        if partition.log_start_offset == partition.log_end_offset:
            self._finish_load(slot)
        else:
            self._to_load.append(slot)
            self._load_wanted.set()
        self._elected.set()
        self._elected = trio.Event()

    def on_resigned(self, index: int) -> None:
        """Another broker leads now: forget everything, and send those who wait to look for it."""
        slot = self._slots.pop(index, None)
        if slot is not None:
            slot.loaded.set()
            self._answer(slot.shard.on_unloaded(self.now()))

    async def wait_loaded(self, index: int) -> None:
        """Until this broker coordinates the partition and has loaded it."""
        while True:
            slot = self._slots.get(index)
            if slot is None:
                await self._elected.wait()
            elif slot.loaded.is_set():
                return
            else:
                await slot.loaded.wait()

    async def wait_all_loaded(self) -> None:
        """Until nothing that this broker coordinates is being loaded."""
        for slot in list(self._slots.values()):
            await slot.loaded.wait()

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
                log.warning("__consumer_offsets-%d: no decision is written: %s", slot.index, error)
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
            nursery.start_soon(self._run_loads)
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
                log.exception("__consumer_offsets-%d: %s failed", slot.index, deadline.event)
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

    async def _run_loads(self) -> None:
        told: Counter[str] = Counter()
        while True:
            await self._load_wanted.wait()
            self._load_wanted = trio.Event()
            skipped: Counter[str] = Counter()
            while self._to_load:
                await self._load(self._to_load.popleft(), skipped)
            if skipped and skipped != told:  # every election loads the same again
                told = skipped
                log.warning(
                    "%s: %d records are not served and stay as they are: %s",
                    CONSUMER_OFFSETS,
                    skipped.total(),
                    ", ".join(f"{reason} ({count})" for reason, count in skipped.items()),
                )

    async def _load(self, slot: Slot, skipped: Counter[str]) -> None:
        start_offset, end_offset = slot.partition.log_start_offset, slot.partition.log_end_offset
        try:
            await self._replay_log(slot, start_offset, end_offset, skipped)
        except StorageError as error:
            # As in Kafka, its groups have no coordinator then.
            log.error("__consumer_offsets-%d cannot be loaded: %s", slot.index, error)
            if self._slots.get(slot.index) is slot:
                self.on_resigned(slot.index)
            return
        slot.last_written = end_offset - 1
        if self._slots.get(slot.index) is slot:
            log.info(
                "__consumer_offsets-%d: loaded %d groups from offsets %d to %d",
                slot.index,
                len(slot.shard.groups),
                start_offset,
                end_offset,
            )
            self._finish_load(slot)

    async def _replay_log(
        self, slot: Slot, start_offset: int, end_offset: int, skipped: Counter[str]
    ) -> None:
        """Records that cannot be read, or are none of ours, are counted and left where they are."""
        step_bytes_max = min(self._config.offsets_load_buffer_size, LOAD_STEP_BYTES_MAX)
        step_bytes = 0
        for batch in slot.partition.batches(start_offset, end_offset):
            if self._slots.get(slot.index) is not slot:
                return
            header = formats.header_of(batch)
            try:
                _replay_batch(slot.shard, header, batch, skipped)
            except InvalidRecord as error:
                log.error(
                    "__consumer_offsets-%d: the batch at %d is left out: %s",
                    slot.index,
                    header.base_offset,
                    error,
                )
            step_bytes += len(batch)
            if step_bytes >= step_bytes_max:
                step_bytes = 0
                await trio.lowlevel.checkpoint()

    def _finish_load(self, slot: Slot) -> None:
        slot.loaded.set()
        self.apply(slot, slot.shard.on_loaded(self.now()))


def _replay_batch(
    shard: GroupShard, header: BatchHeader, batch: memoryview, skipped: Counter[str]
) -> None:
    """Raises InvalidRecord. `skipped` counts what is none of ours, by reason: the first few."""
    if header.is_control:
        for record in formats.records(batch, header):
            kind = record_batch.control_type(record.key)
            if kind in (record_batch.ControlType.COMMIT, record_batch.ControlType.ABORT):
                is_commit = kind is record_batch.ControlType.COMMIT
                shard.end_transaction(header.producer_id, is_commit=is_commit)
        return
    for record in formats.records(batch, header):
        reason = "without a key"
        if record.key is not None:
            try:
                decoded = group_records.decode(record.key, record.value)
            except (group_records.UnknownRecord, ProtocolError) as error:
                reason = str(error)
            else:
                shard.replay(decoded, record.offset, header.producer_id)
                continue
        if reason not in skipped and len(skipped) >= REASONS_NAMED_MAX:
            reason = "others"
        skipped[reason] += 1


def _coordinator_error(error: RequestError | StorageError | EncodeError) -> ErrorCode:
    match error:
        case RequestError():
            code = error.code
        case StorageError():
            code = code_of(error)
        case EncodeError():
            code = ErrorCode.UNKNOWN_SERVER_ERROR
    return _COORDINATOR_ERRORS.get(code, ErrorCode.UNKNOWN_SERVER_ERROR)
