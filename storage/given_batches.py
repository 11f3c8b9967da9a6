"""Checks batches that come with their offsets: from a leader, or of the Raft log."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .batch import NO_TIMESTAMP, batches
from .errors import InvalidRecord, OffsetsOutOfOrder, UnexpectedAppendOffset
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
                f"a batch of epoch {header.leader_epoch} from the leader of {leader_epoch}"
            )
        if header.base_offset < end_offset or header.last_offset_delta < 0:
            raise OffsetsOutOfOrder(f"offset {header.base_offset} where {end_offset} comes next")
        end_offset = header.next_offset
        if header.max_timestamp > max_timestamp:
            max_timestamp = header.max_timestamp
            offset_of_max_timestamp = header.last_offset
        size += len(batch)
        found.append((header, batch))
    if not found:
        return None
    first_offset = found[0][0].base_offset
    if first_offset < log_end_offset:
        raise UnexpectedAppendOffset(
            f"offset {first_offset} in an append to a log that ends at {log_end_offset}",
            first_offset,
            end_offset - 1,
        )
    return GivenBatches(
        found, first_offset, end_offset, max_timestamp, offset_of_max_timestamp, size
    )
