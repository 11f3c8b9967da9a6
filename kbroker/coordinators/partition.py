"""One partition of an internal topic that this broker coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, Protocol

import trio

from kbroker.wire.errors import ErrorCode

from .shard import ShardT

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbroker.storage.disk import FileRange
    from kbroker.storage.errors import StorageError

    from .result import Now, Result

NOTHING_WRITTEN: Final = -1


class LeaderReplica(Protocol):
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
        """Wait until it does. RequestError when it no longer can."""
        ...


class CoordinatedPartition(Generic[ShardT]):
    """One partition with its shard, from election to resignation."""

    __slots__ = (
        "after_load",
        "error",
        "index",
        "is_wanted",
        "last_written",
        "leader_epoch",
        "load_bytes",
        "load_over",
        "loading",
        "replica",
        "shard",
        "topic",
    )

    def __init__(
        self, topic: str, index: int, replica: LeaderReplica, leader_epoch: int, shard: ShardT
    ) -> None:
        self.topic = topic
        self.index = index
        self.replica = replica
        self.leader_epoch = leader_epoch
        self.shard = shard
        # Why it does not serve: it is being loaded, that has failed, or this broker has resigned.
        self.error = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        self.last_written = NOTHING_WRITTEN
        self.load_bytes = 0
        self.loading = trio.CancelScope()
        self.load_over = trio.Event()
        self.is_wanted = False  # a request for it came while it was loaded
        # Decisions that came while it was loaded, and are due afterwards.
        self.after_load: list[Callable[[ShardT, Now], Result[Any, Any, Any]]] = []

    def __repr__(self) -> str:
        return f"{self.topic}-{self.index}"

    @property
    def is_loading(self) -> bool:
        return self.error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS

    def end_load(self, error: ErrorCode) -> None:
        self.error = error
        self.load_over.set()

    @property
    def is_all_committed(self) -> bool:
        """Whether all that its shard knows is committed, so that clients may be told of it."""
        return self.last_written == NOTHING_WRITTEN or self.replica.is_committed(self.last_written)
