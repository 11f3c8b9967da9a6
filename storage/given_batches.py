"""Checks batches that come with their offsets: from a leader, or of the Raft log."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .batch import NO_TIMESTAMP
from .errors import InvalidRecord, OffsetsOutOfOrder, UnexpectedAppendOffset
from .formats import batches, first_offset
from .origin import Origin

if TYPE_CHECKING:
    from .batch import BatchHeader


class GivenBatches(NamedTuple):
    """Whole, valid batches in ascending order. `end_offset` is exclusive."""

    batches: list[tuple[BatchHeader, memoryview]]
    first_offset: int
    end_offset: int
    max_timestamp: int
    offset_of_max_timestamp: int  # the last offset of the first batch that has it
    size: int  # bytes: a cut off batch may follow


def check_given(
    records: memoryview, origin: Origin, leader_epoch: int, log_end_offset: int
) -> GivenBatches | None:
    """The batches in `records`; None if there is no whole one.

    CorruptBatch, InvalidRecord (a Raft leader's batch of another epoch), OffsetsOutOfOrder,
    UnexpectedAppendOffset (below the log's end).
    """
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
    return GivenBatches(found, begins_at, end_offset, max_timestamp, offset_of_max_timestamp, size)
