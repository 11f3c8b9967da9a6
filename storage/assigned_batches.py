"""Appends batches whose offsets are assigned already. Kafka's UnifiedLog.appendAsFollower.

They come from the leader of the partition, or from the Raft leader of the metadata log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .append_info import AppendInfo
from .batch import NO_TIMESTAMP
from .errors import (
    DiskError,
    DiskFull,
    InvalidRecord,
    OffsetsOutOfOrder,
    RecordBatchTooLarge,
    UnexpectedAppendOffset,
)
from .formats import batches, first_offset
from .origin import Origin

if TYPE_CHECKING:
    from .batch import BatchHeader
    from .log import Log


def append_assigned(
    log: Log, records: memoryview, *, leader_epoch: int, now_ms: int, origin: Origin
) -> AppendInfo:
    """Append any number of whole batches; a batch that is cut off at the end is left out.

    Raises what is wrong with them: CorruptBatch, InvalidRecord (a batch of RAFT_LEADER that has not
    `leader_epoch`), OffsetsOutOfOrder, UnexpectedAppendOffset (below the log's end),
    RecordBatchTooLarge; and DiskError. Nothing has been appended then, and after DiskFull the log
    goes on.
    """
    if log.offline_error is not None:
        raise log.offline_error
    log.verify_tail()
    log.now_ms = now_ms
    assigned = _check(records, origin, leader_epoch, log.log_end_offset)
    if assigned is None:
        end_offset = log.log_end_offset
        return AppendInfo(end_offset, end_offset - 1, NO_TIMESTAMP, log.log_start_offset)
    if assigned.size > log.config.segment_bytes and len(assigned.batches) > 1:
        # One alone has been let into a log already.
        partition = f"{log.topic}-{log.partition}"
        raise RecordBatchTooLarge(assigned.size, partition, log.config.segment_bytes)
    producers = log.producers
    last_offset = assigned.end_offset - 1
    is_written = False
    try:
        for header, _ in assigned.batches:
            if header.leader_epoch >= 0 and log.epochs.latest_epoch != header.leader_epoch:
                log.epochs.assign(header.leader_epoch, header.base_offset, write=False)
        rolled = log.segments.active.should_roll(
            log.config, assigned.size, assigned.max_timestamp, last_offset, now_ms
        ) and log.roll(now_ms, first_offset=assigned.first_offset)
        segment = log.segments.active
        segment.append(
            records[: assigned.size],
            last_offset,
            assigned.max_timestamp,
            assigned.offset_of_max_timestamp,
        )
        is_written = True
        log.log_end_offset = assigned.end_offset
        log.last_append_bytes = assigned.size
        for header, batch in assigned.batches:
            completed = producers.update(header, batch)
            if completed is not None:
                producers.complete_transaction(completed, segment.txn_index)
    except DiskError as error:
        if is_written or not isinstance(error, DiskFull):
            log.fail(error)
        raise
    return AppendInfo(
        assigned.first_offset, last_offset, NO_TIMESTAMP, log.log_start_offset, rolled=rolled
    )


class _AssignedBatches(NamedTuple):
    """Whole, valid batches in ascending order. `end_offset` is exclusive."""

    batches: list[tuple[BatchHeader, memoryview]]
    first_offset: int
    end_offset: int
    max_timestamp: int
    offset_of_max_timestamp: int  # the last offset of the first batch that has it
    size: int  # bytes: a cut off batch may follow


def _check(
    records: memoryview, origin: Origin, leader_epoch: int, log_end_offset: int
) -> _AssignedBatches | None:
    """The batches in `records`; None if there is no whole one. Raises as `append_assigned`."""
    found: list[tuple[BatchHeader, memoryview]] = []
    end_offset = 0
    max_timestamp = NO_TIMESTAMP
    offset_of_max_timestamp = -1
    size = 0
    for header, batch in batches(records, check_crc=True, partial_tail=True):
        if origin is Origin.RAFT_LEADER and header.leader_epoch != leader_epoch:
            raise InvalidRecord(
                f"a batch has leader epoch {header.leader_epoch}, but the leader is in epoch "
                f"{leader_epoch}"
            )
        if header.base_offset < end_offset or header.last_offset_delta < 0:
            raise OffsetsOutOfOrder(
                f"the batch has offset {header.base_offset}, but {end_offset} comes next"
            )
        end_offset = header.next_offset
        if header.max_timestamp > max_timestamp:
            max_timestamp = header.max_timestamp
            offset_of_max_timestamp = header.last_offset
        size += len(batch)
        found.append((header, batch))
    if not found:
        return None
    header, batch = found[0]
    begins_at = first_offset(batch, header)
    if begins_at < log_end_offset:
        raise UnexpectedAppendOffset(
            f"offset {begins_at} in an append to a log that ends at {log_end_offset}"
        )
    return _AssignedBatches(
        found, begins_at, end_offset, max_timestamp, offset_of_max_timestamp, size
    )
