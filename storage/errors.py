"""The exceptions of storage. Each names the Kafka error that a client gets; the broker maps them.

A subclass means the same to a client as its base, unless its own docstring names another error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class StorageError(Exception):
    """Base of everything storage raises on purpose."""


# Appends: the batch itself is refused.


class CorruptBatch(StorageError):
    """CORRUPT_MESSAGE: the CRC, the size or the magic of a batch is wrong."""


class RecordError(NamedTuple):
    """One refused record of a batch, as the produce response lists it (KIP-467)."""

    batch_index: int
    message: str


class InvalidRecord(StorageError):
    """INVALID_RECORD: the bytes are whole, what they say is refused.

    `record_errors` names the refused records; it is empty where the batch as a whole is at fault.
    """

    def __init__(self, message: str, record_errors: Sequence[RecordError] = ()) -> None:
        super().__init__(message)
        self.record_errors = tuple(record_errors)


class InvalidTimestamp(InvalidRecord):
    """INVALID_TIMESTAMP: outside of message.timestamp.before.max.ms / after.max.ms."""


class RecordTooLarge(StorageError):
    """MESSAGE_TOO_LARGE: a batch is larger than max.message.bytes."""


class RecordBatchTooLarge(StorageError):
    """RECORD_LIST_TOO_LARGE: an append is larger than a whole segment may be (segment.bytes)."""

    def __init__(self, size: int, partition: str, segment_bytes: int) -> None:
        super().__init__(
            f"an append of {size} bytes to {partition}, which exceeds the segment size of "
            f"{segment_bytes}"
        )


class UnsupportedForMessageFormat(StorageError):
    """UNSUPPORTED_FOR_MESSAGE_FORMAT: magic 0 or 1, which is read and no longer written."""


class UnsupportedCompression(StorageError):
    """UNSUPPORTED_COMPRESSION_TYPE: this codec is not allowed or not known here."""


class CompressionError(StorageError):
    """A compressed stream is corrupt, truncated, or larger than its reader allows.

    Readers of batches turn it into InvalidRecord.
    """


class OffsetsOutOfOrder(StorageError):
    """Offsets of one append do not increase (Kafka's OffsetsOutOfOrderException)."""


class UnexpectedAppendOffset(StorageError):
    """A follower was sent offsets below its log end offset."""


# Appends: the producer is refused.


class OutOfOrderSequence(StorageError):
    """OUT_OF_ORDER_SEQUENCE_NUMBER: records before these are missing."""


class DuplicateSequence(StorageError):
    """DUPLICATE_SEQUENCE_NUMBER: written already, and too long ago to tell its offset."""


class InvalidProducerEpoch(StorageError):
    """INVALID_PRODUCER_EPOCH: a newer instance of this producer has written."""


class UnknownProducer(StorageError):
    """UNKNOWN_PRODUCER_ID."""


class InvalidTransactionState(StorageError):
    """INVALID_TXN_STATE: the write does not fit the producer's transaction."""


class TransactionCoordinatorFenced(StorageError):
    """TRANSACTION_COORDINATOR_FENCED: a marker came from an older coordinator."""


# Reads.


class OffsetOutOfRange(StorageError):
    """OFFSET_OUT_OF_RANGE: not within [log start offset, log end offset]."""

    def __init__(self, offset: int, log_start_offset: int, log_end_offset: int) -> None:
        super().__init__(
            f"offset {offset} is not within [{log_start_offset}, {log_end_offset}] of this log"
        )
        self.offset = offset
        self.log_start_offset = log_start_offset
        self.log_end_offset = log_end_offset


# Files and directories.


class DiskError(StorageError):
    """KAFKA_STORAGE_ERROR: the disk under `log_dir` failed; the directory goes offline."""

    def __init__(self, log_dir: str, reason: str) -> None:
        super().__init__(f"{log_dir}: {reason}")
        self.log_dir = log_dir
        self.reason = reason


class DiskFull(DiskError):
    """There is no room. What failed, if it was a write, changed nothing and may be tried again."""


class OutOfDescriptors(DiskFull):
    """The process has no file descriptor left."""


class MissingFile(DiskError, FileNotFoundError):
    """A file or directory is not there. Some need not be; of one that must, the disk has failed."""


class UnknownFormat(DiskError):
    """A batch is of a format that came after this software: its magic is all that is known of it.

    The log goes offline, and its files stay as they are.
    """

    def __init__(self, path: str, position: int, magic: int) -> None:
        super().__init__(
            path,
            f"the batch at position {position} has format {magic}, written by newer software. "
            "This version knows only formats 0, 1 and 2, and leaves the file unchanged",
        )


class LogDirLocked(StorageError):
    """Another process uses this log directory."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(f"{log_dir} is in use by another process")
        self.log_dir = log_dir


class CorruptFile(StorageError):
    """A file of ours does not hold what its format demands."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class CorruptSnapshot(CorruptFile):
    """A producer snapshot; the state is rebuilt from an older one and the log."""


class CorruptIndex(CorruptFile):
    """An index; it is rebuilt from the log."""
