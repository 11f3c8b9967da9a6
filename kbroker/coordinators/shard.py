"""What a coordinator gives to its runtime: the topic that it keeps its state in, and the state
machine of each partition (Kafka's CoordinatorShard).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from kbroker.storage.compression import Codec
    from kbroker.wire.errors import ErrorCode

    from .deadlines import Deadlines
    from .replay import Replay
    from .result import Now, Result


class Shard(Protocol):
    """The state of one partition. It does no I/O, and reads neither a clock nor randomness.

    Decisions are not in here: the coordinator calls them, and hands their results to the runtime.
    """

    @property
    def index(self) -> int:
        """Of the partition."""
        ...

    def replay_written(self, records: list[Any], first_offset: int) -> None:
        """Apply the records of a decision of this shard: they are in the log now."""
        ...

    def committed(self, on_commit: Any, now: Now) -> Result[Any, Any, Any]:
        """The records of the result that had this `on_commit` are committed."""
        ...

    def failed(
        self, on_commit: Any, error: ErrorCode, now: Now, *, is_appended: bool
    ) -> Result[Any, Any, Any]:
        """The records could not be appended; or they were, but are not committed in time."""
        ...

    def on_deadline(self, event: Any, now: Now) -> Result[Any, Any, Any]:
        """The time of a deadline that this shard has set has come."""
        ...

    def on_loaded(self, now: Now) -> Result[Any, Any, Any]:
        """The whole log is replayed; requests come from now on."""
        ...

    def on_unloaded(self, now: Now) -> Result[Any, Any, Any]:
        """Another broker coordinates the partition now: answer those who wait, set no deadline."""
        ...

    def summary(self) -> str:
        """How much it holds, for the log line of a load: "3 groups"."""
        ...


ShardT = TypeVar("ShardT", bound=Shard)
ShardT_contra = TypeVar("ShardT_contra", bound=Shard, contravariant=True)


class NewReplay(Protocol[ShardT_contra]):
    """Makes the Replay of one load."""

    def __call__(self, shard: ShardT_contra, *, keeps_latest: bool) -> Replay:
        """`keeps_latest` off: it must replay each record at its place."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatedTopic(Generic[ShardT]):
    """An internal topic, as its coordinator describes it to the runtime."""

    name: str
    new_shard: Callable[[int, Deadlines[Any]], ShardT]  # of the partition of that index
    new_replay: NewReplay[ShardT]
    encode: Callable[[Any], tuple[bytes, bytes | None]]  # a record's key and value
    codec: Codec  # of the batches that are written
    commit_timeout_ms: int  # how long an answer waits for its records to be committed
    read_bytes_max: int  # at a time, while a log is loaded
    log: logging.Logger
