"""Moves a partition to another log directory while it is written and read (KIP-113).

A copy of the log is made in the other directory (`topic-0.<id>-future`), batch by batch as a
follower would copy it. When it has everything, it is synced, the controller is told the new
directory, and the copy replaces the log in one step without an await.
Source: ReplicaAlterLogDirsThread.

After a crash the copying continues from the valid part of the copy. If the crash came during the
exchange, only the copy may be left, and `LogStore.open` makes it the log.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import trio

from kbroker.config.dynamic import MOVE_RATE
from kbroker.controller.model import MIGRATING_DIRECTORY
from kbroker.storage.assigned_batches import append_assigned
from kbroker.storage.errors import (
    CorruptBatch,
    DiskError,
    DiskFull,
    OutOfDescriptors,
    StorageError,
)
from kbroker.storage.flush import abandon_flush, begin_flush, finish_flush, flush
from kbroker.storage.formats import first_offset
from kbroker.storage.origin import Origin
from kbroker.storage.retention import delete_old_segments
from kbroker.storage.truncation import (
    increment_log_start_offset,
    truncate_fully_and_start_at,
    truncate_to,
)
from kbroker.wire.codes import CLUSTER_DEFAULT, ResourceType

if TYPE_CHECKING:
    from kbroker.clock import Clock
    from kbroker.config import BrokerConfig, DynamicConfigs
    from kbroker.partitions.partition import Partition
    from kbroker.storage.disk import FileRange
    from kbroker.storage.log import Log
    from kbroker.storage.log_dir import LogDir

    from .assignments import Assignments
    from .store import LogStore

COPIED_AT_ONCE_BYTES: Final = 512 * 1024  # read in a thread, written to the page cache in line
MOVES_AT_ONCE_MAX: Final = 8
RATE_POLL_S: Final = 1.0
# Syncs of the copy beside the event loop, while the log's own syncs overtake it; then one in line.
SYNCS_BESIDE_MAX: Final = 8

log = logging.getLogger("kbroker.moves")


class Move:
    """One partition on its way."""

    __slots__ = (
        *("accepted", "directory", "future", "is_checkpoint_due", "partition", "scope"),
        *("source_id", "syncs"),
    )

    def __init__(
        self, partition: Partition, directory: LogDir, future: Log, source_id: bytes
    ) -> None:
        self.partition = partition
        self.directory = directory
        self.future = future
        self.source_id = source_id
        self.scope = trio.CancelScope()
        self.accepted: trio.Event | None = None  # the controller knows of the new directory
        self.syncs = 0
        # Before it is appended to: the checkpoints may say more of it than there is.
        self.is_checkpoint_due = True

    def __str__(self) -> str:
        return f"the move of {self.partition.topic}-{self.partition.index} to {self.directory.path}"


class Moves:
    """All of one broker. `run` owns the tasks; what begins before waits for it."""

    def __init__(
        self,
        node_id: int,
        store: LogStore,
        assignments: Assignments,
        config: BrokerConfig,
        configs: DynamicConfigs,
        clock: Clock,
    ) -> None:
        self._node_id = node_id
        self._store = store
        self._assignments = assignments
        self._config = config
        self._configs = configs
        self._clock = clock
        self._moves: dict[Partition, Move] = {}
        self._nursery: trio.Nursery | None = None
        self._renamed: dict[LogDir, None] = {}  # directories whose names are not synced
        self._has_renamed = trio.Event()
        self._limiter = trio.CapacityLimiter(MOVES_AT_ONCE_MAX)
        self._owed_bytes = 0.0  # of the rate, by all moves together
        self._paid_at = 0.0  # of Trio's clock

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Move until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._sync_names)
            for move in self._moves.values():
                nursery.start_soon(self._carry_out, move)
            task_status.started()
            await trio.sleep_forever()

    def get(self, partition: Partition) -> Move | None:
        """The move that the partition is on."""
        return self._moves.get(partition)

    def begin(self, partition: Partition, directory: LogDir) -> None:
        """Copy the partition's log there, and then use the copy. StorageError."""
        assert partition not in self._moves, f"{self._moves[partition]}"
        future = self._store.open_future(partition, directory)
        source = self._store.directory_of(partition.log)
        assert source is not None, f"{partition.log} lies in a directory that has failed"
        assert source is not directory, f"{partition.log} is there already"
        assert source.meta is not None
        if future.log_end_offset > partition.log.log_end_offset:
            # Only right after a crash, when the copy kept more of what they had in common.
            truncate_to(future, partition.log.log_end_offset, self._clock.wall_ms())
        move = Move(partition, directory, future, source.meta.directory_id or MIGRATING_DIRECTORY)
        self._moves[partition] = move
        if self._nursery is not None:
            self._nursery.start_soon(self._carry_out, move)

    def resume(self, partition: Partition) -> None:
        """Go on with the move that the last stop interrupted, before the log is written to."""
        for directory in self._store.directories:
            if not directory.futures.holds(partition.topic, partition.index):
                continue
            try:
                if partition in self._moves or directory.logs.holds(
                    partition.topic, partition.index
                ):
                    # A second copy, or one that came after the log itself was made anew.
                    self._store.drop_future(partition.topic, partition.index, directory, 0)
                else:
                    self.begin(partition, directory)
            except StorageError as error:
                log.error(
                    "the interrupted move of %s-%d cannot continue: %s",
                    partition.topic,
                    partition.index,
                    error,
                )
                self._store.report_failure(directory.path)
                # Once the log is written to, the copy may have what the log has otherwise.
                self._abandon(partition, directory)
                self._sync_names_of(directory)

    def reconfigure(self, partition: Partition) -> None:
        """The log has another configuration now, and so has the copy."""
        move = self._moves.get(partition)
        if move is not None:
            move.future.update_config(partition.log.config)

    def cancel(self, partition: Partition) -> None:
        """The partition stays where it is; the copy goes."""
        move = self._forget(partition)
        if move is None:
            return
        self._take_back(move)
        self._abandon(partition, move.directory)

    def _abandon(self, partition: Partition, directory: LogDir) -> None:
        topic, index = partition.topic, partition.index
        delay_ms = partition.log.config.file_delete_delay_ms
        try:
            self._store.drop_future(topic, index, directory, delay_ms)
        except DiskError as error:
            log.error("the partial copy of %s-%d stays on disk: %s", topic, index, error)
            self._store.report_failure(directory.path)
            return
        self._renamed[directory] = None
        self._has_renamed.set()

    async def _sync_names(self) -> None:
        """Make last, in a thread, that copies are gone; a stop does the same for the rest."""
        while True:
            await self._has_renamed.wait()
            self._has_renamed = trio.Event()
            while self._renamed:
                directory = next(iter(self._renamed))
                await trio.to_thread.run_sync(self._sync_names_of, directory)

    def _sync_names_of(self, directory: LogDir) -> None:
        self._renamed.pop(directory, None)
        try:
            directory.sync_names()
        except DiskError as error:
            log.error("cancelled moves may continue at the next start: %s", error)
            self._store.report_failure(directory.path)

    def on_directory_failed(self, directory: LogDir) -> None:
        """Moves into it are over. Those out of it wait, with their copies, for the next start."""
        for partition, move in list(self._moves.items()):
            if move.directory is directory or partition.offline:
                self._forget(partition)
                self._take_back(move)

    def _take_back(self, move: Move) -> None:
        """The controller may have been told already where the replica was to lie."""
        partition = move.partition
        if move.accepted is not None and not partition.removed:
            self._assignments.assign(partition.topic_id, partition.index, move.source_id)

    def _forget(self, partition: Partition) -> Move | None:
        move = self._moves.pop(partition, None)
        if move is not None:
            move.scope.cancel()
        return move

    # One move.

    async def _carry_out(self, move: Move) -> None:
        """Until it is done, cancelled or cannot go on. A full disk is waited for."""
        partition = move.partition
        with move.scope:
            async with self._limiter:
                complained = False
                while True:
                    try:
                        if await self._advance(move):
                            return
                    except DiskFull as error:
                        if isinstance(error, OutOfDescriptors):
                            self._store.release_descriptors()
                        if not complained:
                            log.warning("%s has to wait: %s", move, error)
                        complained = True
                        await trio.sleep(self._config.replica_fetch_backoff_ms / 1000)
                    except StorageError as error:
                        log.error("%s failed: %s", move, error)
                        if partition.log.is_offline:
                            self._forget(partition)
                            source = self._store.directory_of(partition.log)
                            if source is None or source.logs.holds(
                                partition.topic, partition.index
                            ):
                                self._take_back(move)
                            partition.note_unreadable(error)
                        else:
                            self.cancel(partition)
                            self._store.report_failure(move.directory.path)
                        return

    async def _advance(self, move: Move) -> bool:
        """Copy some more, or come to the end; whether that was it. StorageError."""
        self._follow_start(move)
        if move.future.log_end_offset < move.partition.log_end_offset:
            await self._keep_the_rate()
            self._follow_start(move)
            found = self._next(move)
            content = await trio.to_thread.run_sync(found.read)
            await trio.lowlevel.checkpoint_if_cancelled()
            self._follow_batch(move, content)
            if move.is_checkpoint_due:
                await self._checkpoint(move)
            self._append(move, content)
            return False
        await self._sync(move)
        if move.accepted is None:
            meta = move.directory.meta
            assert meta is not None
            assert meta.directory_id is not None
            move.accepted = self._assignments.assign(
                move.partition.topic_id, move.partition.index, meta.directory_id
            )
        await move.accepted.wait()
        return self._exchange(move)

    def _follow_start(self, move: Move) -> None:
        """Retention and DeleteRecords go on meanwhile."""
        future, start = move.future, move.partition.log_start_offset
        if start <= future.log_start_offset:
            return
        now_ms = self._clock.wall_ms()
        if start > future.log_end_offset:
            truncate_fully_and_start_at(future, start, now_ms)
            move.is_checkpoint_due = True
        else:
            increment_log_start_offset(future, start)
            delete_old_segments(future, now_ms, future.log_end_offset)

    def _next(self, move: Move) -> FileRange:
        """What the copy has not got yet, or the first of it."""
        source, offset = move.partition.log, move.future.log_end_offset
        bytes_max = min(COPIED_AT_ONCE_BYTES, move.future.config.segment_bytes)
        rate = self._rate()
        found = source.read(offset, bytes_max if rate is None else min(bytes_max, rate)).records
        if found is None:
            raise CorruptBatch(f"{source} has no batch at or after offset {offset}")
        return found

    def _follow_batch(self, move: Move, content: bytes) -> None:
        """A log may start within a batch; it is copied from that batch on."""
        future, base_offset = move.future, first_offset(memoryview(content))
        if base_offset < future.log_end_offset and not future.size:
            truncate_fully_and_start_at(future, base_offset, self._clock.wall_ms())
            move.is_checkpoint_due = True

    def _append(self, move: Move, content: bytes) -> None:
        append_assigned(
            move.future,
            memoryview(content),
            leader_epoch=-1,
            now_ms=self._clock.wall_ms(),
            origin=Origin.REPLICATION,
        )
        self._owed_bytes += len(content)

    async def _sync(self, move: Move) -> None:
        """The copy and what the checkpoints say of it."""
        plan = begin_flush(move.future)
        try:
            await trio.to_thread.run_sync(plan.run)
        except (DiskFull, trio.Cancelled):
            abandon_flush(move.future, plan)
            raise
        except DiskError as error:
            move.future.fail(error)
            raise
        await trio.lowlevel.checkpoint_if_cancelled()
        finish_flush(move.future, plan, self._clock.wall_ms())
        await self._checkpoint(move)

    async def _checkpoint(self, move: Move) -> None:
        for write in move.directory.checkpoints.offset_writes():
            await trio.to_thread.run_sync(write, limiter=self._store.checkpoint_limiter)
            await trio.lowlevel.checkpoint_if_cancelled()
        move.is_checkpoint_due = False

    def _exchange(self, move: Move) -> bool:
        """Copy what has come meanwhile and put the copy in the log's place, all in one step.

        False where that is too much, or where not enough of it is synced. StorageError.
        """
        partition, future = move.partition, move.future
        source = partition.log
        copied_bytes = 0
        self._follow_start(move)
        while future.log_end_offset < source.log_end_offset:
            found = self._next(move)
            copied_bytes += len(found)
            if copied_bytes > COPIED_AT_ONCE_BYTES:
                return False
            content = found.read()
            self._follow_batch(move, content)
            if move.is_checkpoint_due:
                return False
            self._append(move, content)
        self._follow_start(move)
        if future.recovery_point < source.recovery_point:
            # Somebody has been told that this is safe.
            move.syncs += 1
            if move.syncs <= SYNCS_BESIDE_MAX:
                return False
            flush(future, self._clock.wall_ms())
        future.producers.adopt(source.producers)
        directory = self._store.directory_of(source)
        try:
            self._store.exchange(partition, future)
        except DiskError as error:
            self._store.report_failure(source.directory.log_dir)
            if directory is None or not directory.logs.holds(partition.topic, partition.index):
                source.fail(error)  # it is set aside; the next start finds the copy
            raise
        partition.replace_log(future)
        del self._moves[partition]
        log.info("%s-%d is now in %s", partition.topic, partition.index, move.directory.path)
        return True

    # The rate.

    async def _keep_the_rate(self) -> None:
        """Wait until what was copied is paid for, at a rate that may change meanwhile."""
        while True:
            rate, now = self._rate(), trio.current_time()
            if rate is None:
                self._owed_bytes = 0.0
                return
            self._owed_bytes = max(self._owed_bytes - (now - self._paid_at) * rate, 0.0)
            self._paid_at = now
            if not self._owed_bytes:
                return
            await trio.sleep(min(self._owed_bytes / rate, RATE_POLL_S))

    def _rate(self) -> int | None:
        """Bytes a second for all moves together; None: no limit. At least 1."""
        for name in (str(self._node_id), CLUSTER_DEFAULT):
            value = self._configs.overrides(ResourceType.BROKER, name).get(MOVE_RATE)
            if value is not None:
                return max(int(value), 1)
        return None
