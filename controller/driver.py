"""Runs a quorum node: carries out what RaftNode decides, and passes on what is committed.

There are three tasks. The pump steps the node with one event at a time, and carries out the effects
of each step before the next. The flusher syncs the log in a thread; one sync serves everything that
was appended before it began (group commit). The applier replays committed batches into the node's
image in order, calls the listeners, and then wakes the requests that wait for an offset.

Any failure but a full disk ends `run` with the exception: a quorum node that cannot write, or whose
metadata are inconsistent, must not go on. No other module of the controller but `controller.py`
uses Trio.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Final, TypeAlias

import trio

from kbroker.wire.errors import ErrorCode, RequestError

from .delta import ImageDelta
from .raft.effects import Append, Flushed, NameVoters, Tick, Unwritten
from .raft.log import NoRoom
from .raft.roles import NEVER, Leader
from .records import decode_record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from kbroker.wire.message import Message

    from .image import MetadataImage
    from .raft.effects import Effects, Event
    from .raft.log import NewBatch, ReplicatedLog
    from .raft.node import RaftNode
    from .raft.voters import VoterSet

logger = logging.getLogger(__name__)

Listener: TypeAlias = "Callable[[ImageDelta, int, int], Awaitable[None] | None]"

# Events that may wait for the pump. Flushes, ticks and the messages of a few voters: never many.
EVENTS_MAX: Final = 1024
# Committed batches that one delta may tell of; more are handed on in turns.
BATCHES_A_DELTA_MAX: Final = 1000
# How long a flush waits that found no room on the disk.
FLUSH_RETRY_S: Final = 1.0


class _Waiter:
    """Somebody who waits for an offset to be applied. Waiters stand in the order of offsets."""

    __slots__ = ("done", "is_lost", "offset")

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.done = trio.Event()
        self.is_lost = False


class Driver:
    """One quorum node's. `image` is what is committed and handed to the listeners."""

    def __init__(
        self,
        log: ReplicatedLog,
        node: RaftNode,
        image: MetadataImage,
        delta: ImageDelta,
        wall_ms: Callable[[], int],
        *,
        on_applied: Callable[[], None],
        on_turn: Callable[[int], int],
    ) -> None:
        """`image` holds what the latest snapshot holds, `delta` tells of it.

        `on_applied` is called after the listeners. `on_turn` is called with the time at every turn
        of the pump, and returns when the next turn must come at the latest.
        """
        self.node = node
        self.image = image
        self.log_bytes_since_snapshot = 0
        self.last_timestamp_ms = 0
        self._log = log
        self._wall_ms = wall_ms
        self._listeners: list[Listener] = []
        self._send_event, self._receive_event = trio.open_memory_channel[object](EVENTS_MAX)
        self._flush_wanted = trio.Event()
        self._commit_moved = trio.Event()
        self._busy = False
        self._applied_end = image.offset + 1
        self._first_delta: ImageDelta | None = delta
        # Batches of this leader that are not committed yet: no need to read them back.
        self._own: deque[tuple[NewBatch, Sequence[Message]]] = deque()
        self._waiters: deque[_Waiter] = deque()
        self._limiter = trio.CapacityLimiter(1)
        self._on_applied = on_applied
        self._on_turn = on_turn

    # For the controller

    def add_listener(self, listener: Listener) -> None:
        """`listener(delta, offset, epoch)` after the image has taken up records to `offset`.

        The first call tells of everything there is. May be a coroutine function.
        """
        assert self._first_delta is not None, "listeners come before the first record is applied"
        self._listeners.append(listener)

    @property
    def applied_end(self) -> int:
        """The image and all listeners have everything below this offset."""
        return self._applied_end

    @property
    def end_offset(self) -> int:
        """Where the next record goes."""
        return self.node.log.end_offset

    @property
    def can_append(self) -> bool:
        """True while this node leads. A new leader's vote must be on the disk first."""
        return self.node.is_leader and not self._busy

    def append(self, records: Sequence[Message], values: Sequence[bytes]) -> None:
        """As leader, put a batch into the log, at `end_offset`. It is not committed yet.

        RequestError KAFKA_STORAGE_ERROR where there is no room for it.
        """
        assert self.can_append
        assert records
        self._write(Append(values), records)

    def name_voters(self, kraft_version: int, voters: VoterSet) -> None:
        """As leader, write into the log at which level the quorum runs and who its voters are.

        RequestError as `append`.
        """
        assert self.can_append
        self._write(NameVoters(kraft_version, voters), ())

    def _write(self, event: Append | NameVoters, records: Sequence[Message]) -> None:
        node = self.node
        taken_back = Unwritten(node.log.end_offset, node.kraft_version, node.voters)
        effects = node.step(event, self.now_ms())
        try:
            self._carry_out(effects, records)
        except NoRoom as error:
            node.step(taken_back, self.now_ms())
            raise RequestError(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error
        except Exception:
            self._flush_wanted.set()  # which fails too: the log is not to be used any more
            raise

    @property
    def batch_bytes_max(self) -> int:
        """How large the values of one batch may be together."""
        return self._log.batch_bytes_max

    async def wait_applied(self, offset: int) -> None:
        """Return when every record up to `offset` is committed and the listeners have it.

        RequestError NOT_CONTROLLER if leadership was lost before: the records may or may not stay.
        """
        if offset < self._applied_end:
            await trio.lowlevel.checkpoint()
            return
        waiter = _Waiter(offset)
        self._waiters.append(waiter)
        await waiter.done.wait()
        if waiter.is_lost:
            raise RequestError(ErrorCode.NOT_CONTROLLER)

    def wake(self) -> None:
        """Take a turn: some deadline may be nearer now."""
        if not self._receive_event.statistics().current_buffer_used:
            self._post(None)

    @staticmethod
    def now_ms() -> int:
        """Milliseconds of Trio's clock, for every timer of the quorum."""
        return int(trio.current_time() * 1000)

    # Tasks

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run this node of the quorum until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._pump)
            nursery.start_soon(self._flush)
            nursery.start_soon(self._apply)
            task_status.started()

    async def _pump(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        await self._take(self.node.start(self.now_ms()))
        task_status.started()
        while True:
            deadline_ms = min(self.node.deadline_ms, self._on_turn(self.now_ms()))
            event: object = Tick()
            with trio.move_on_at(deadline_ms / 1000 if deadline_ms < NEVER else float("inf")):
                event = await self._receive_event.receive()
            if event is not None:
                await self._take(self.node.step(event, self.now_ms()))  # type: ignore[arg-type]

    async def _take(self, effects: Effects) -> None:
        """Carry out a step's effects, the durable ones in a thread."""
        if effects.persist is not None:
            self._busy = True
            try:
                await trio.to_thread.run_sync(
                    self._log.write_election_state,
                    effects.persist,
                    self.node.voters,
                    self.node.kraft_version,
                    limiter=self._limiter,
                )
            finally:
                self._busy = False
            role = type(self.node.role).__name__.lower()
            logger.info("quorum epoch %d: this node is %s", self.node.epoch, role)
        if not self.node.is_leader:
            self._lose_waiters()
        self._carry_out(effects, ())

    def _carry_out(self, effects: Effects, records: Sequence[Message]) -> None:
        if effects.truncate_to is not None:
            self._log.truncate_to(effects.truncate_to, self._wall_ms())
        for batch in effects.append:
            self._log.append(batch, self._wall_ms())
            self._own.append((batch, records))
        if effects.append_fetched:
            self._log.append_fetched(effects.append_fetched, self._wall_ms())
        assert not effects.send, "this node knows of no way to reach others"
        if effects.flush:
            self._flush_wanted.set()
        if effects.commit is not None:
            self._commit_moved.set()

    def _post(self, event: Event | None) -> None:
        self._send_event.send_nowait(event)

    async def _flush(self) -> None:
        is_short = False  # of room on the disk, or of file descriptors
        while True:
            await self._flush_wanted.wait()
            self._flush_wanted = trio.Event()
            flush = self._log.begin_flush()
            try:
                await trio.to_thread.run_sync(flush.run, limiter=self._limiter)
            except NoRoom as error:
                flush.abandon()
                if not is_short:
                    logger.error("the metadata log cannot be synced now: %s", error)
                is_short = True
                self._flush_wanted.set()
                await trio.sleep(FLUSH_RETRY_S)
                continue
            except trio.Cancelled:
                flush.abandon()
                raise
            except Exception as error:
                flush.fail(error)
                raise
            is_short = False
            self._post(Flushed(flush.finish()))

    async def _apply(self) -> None:
        while True:
            await self._commit_moved.wait()
            self._commit_moved = trio.Event()
            while self._applied_end < (self.node.high_watermark or 0):
                await self._apply_some()

    async def _apply_some(self) -> None:
        """Take up committed batches, tell the listeners, wake who waited."""
        delta = ImageDelta() if self._first_delta is None else self._first_delta
        end = self.node.high_watermark or 0
        offset, epoch = self._applied_end, self.image.epoch
        for _ in range(BATCHES_A_DELTA_MAX):
            if offset >= end or not self._own or self._own[0][0].base_offset != offset:
                break
            batch, records = self._own.popleft()
            self.image.apply(records, offset, batch.epoch, delta)
            self.log_bytes_since_snapshot += sum(map(len, batch.values))
            offset, epoch = batch.end_offset, batch.epoch
        if offset < end and offset == self._applied_end:
            offset, epoch = self._replay_from_log(offset, self._first_own_offset(end), delta)
        self.image.offset, self.image.epoch = offset - 1, epoch
        self._first_delta = None
        self.last_timestamp_ms = self._wall_ms()
        for listener in self._listeners:
            pending = listener(delta, offset - 1, epoch)
            if pending is not None:
                await pending
        self._applied_end = offset
        while self._waiters and self._waiters[0].offset < offset:
            self._waiters.popleft().done.set()
        self._on_applied()

    def _first_own_offset(self, end: int) -> int:
        return min(end, self._own[0][0].base_offset) if self._own else end

    def _replay_from_log(self, offset: int, end: int, delta: ImageDelta) -> tuple[int, int]:
        """Records that this node did not just write itself. Returns the end and its epoch."""
        epoch = self.image.epoch
        for batch in self._log.read(offset, end):
            if not batch.is_control:
                records = [decode_record(value) for value in batch.values]
                self.image.apply(records, batch.base_offset, batch.epoch, delta)
                self.log_bytes_since_snapshot += sum(map(len, batch.values))
            epoch, offset = batch.epoch, batch.end_offset
        assert offset == end, f"the log ends at {offset}, {end} is committed"
        return offset, epoch

    def _lose_waiters(self) -> None:
        self._own.clear()
        while self._waiters:
            waiter = self._waiters.popleft()
            waiter.is_lost = True
            waiter.done.set()

    @property
    def has_caught_up(self) -> bool:
        """True once everything before this node's own epoch is applied: it may decide."""
        role = self.node.role
        return isinstance(role, Leader) and self._applied_end > role.start_offset
