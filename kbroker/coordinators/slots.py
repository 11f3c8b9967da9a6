"""The partitions that this broker coordinates, and the order in which they are loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import trio

from kbroker.wire.errors import ErrorCode

from .internal_topics import CONSUMER_OFFSETS

if TYPE_CHECKING:
    from kbroker.storage.disk import FileRange
    from kbroker.storage.errors import StorageError

    from .group.shard import GroupShard

NOTHING_WRITTEN: Final = -1


class OffsetsPartition(Protocol):
    """What a coordinator needs of a partition that this broker leads."""

    @property
    def log_start_offset(self) -> int: ...

    @property
    def log_end_offset(self) -> int: ...

    @property
    def log_size(self) -> int:
        """Bytes of batches. StorageError."""
        ...

    def read_local(self, offset: int, bytes_max: int) -> FileRange | None:
        """Batches from the one that holds `offset`, the last of them perhaps cut; None at the end.
        StorageError.
        """
        ...

    def note_unreadable(self, error: StorageError) -> None:
        """The log could not be read."""
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


class Slot:
    """One partition that this broker coordinates, from election to resignation."""

    __slots__ = (
        "deleted_topics",
        "error",
        "index",
        "is_wanted",
        "last_written",
        "leader_epoch",
        "load_bytes",
        "load_over",
        "loading",
        "partition",
        "shard",
    )

    def __init__(
        self, index: int, partition: OffsetsPartition, leader_epoch: int, shard: GroupShard
    ) -> None:
        self.index = index
        self.partition = partition
        self.leader_epoch = leader_epoch
        self.shard = shard
        # Why it does not serve: it is being loaded, that has failed, or this broker has resigned.
        self.error = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        self.last_written = NOTHING_WRITTEN
        self.load_bytes = 0
        self.loading = trio.CancelScope()
        self.load_over = trio.Event()
        self.is_wanted = False  # somebody has asked for a group of it meanwhile
        self.deleted_topics: list[tuple[str, bytes]] = []  # meanwhile

    def __repr__(self) -> str:
        return f"{CONSUMER_OFFSETS}-{self.index}"

    @property
    def is_loading(self) -> bool:
        return self.error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS

    def end_load(self, error: ErrorCode) -> None:
        self.error = error
        self.load_over.set()

    @property
    def is_settled(self) -> bool:
        """Whether all that its state knows is committed, so that it can be told."""
        return self.last_written == NOTHING_WRITTEN or self.partition.is_committed(
            self.last_written
        )


class LoadQueue:
    """What waits to be loaded: first what somebody asks for, then the smallest."""

    def __init__(self) -> None:
        self._slots: list[Slot] = []
        self._filled = trio.Event()

    def put(self, slot: Slot) -> None:
        self._slots.append(slot)
        self._filled.set()

    async def next(self) -> Slot:
        while not self._slots:
            self._filled = trio.Event()
            await self._filled.wait()
        slot = min(self._slots, key=lambda slot: (not slot.is_wanted, slot.load_bytes))
        self._slots.remove(slot)
        return slot
