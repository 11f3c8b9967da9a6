"""Converts batches of the quorum to bytes and back.

Source: RecordsBatchReader, BatchAccumulator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.controller.raft.log import LogBatch
from kbroker.storage.batch import ControlType, batches, control_key, control_type, records
from kbroker.storage.builder import NewRecord, build_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbroker.controller.raft.log import NewBatch
    from kbroker.storage.batch import BatchHeader


def encode(batch: NewBatch, now_ms: int) -> bytes:
    if batch.control_types:
        keys = [control_key(ControlType(each)) for each in batch.control_types]
        made = [
            NewRecord(now_ms, key, value) for key, value in zip(keys, batch.values, strict=True)
        ]
    else:
        made = [NewRecord(now_ms, None, value) for value in batch.values]
    return build_batch(
        made,
        base_offset=batch.base_offset,
        leader_epoch=batch.epoch,
        is_control=bool(batch.control_types),
    )


def decoded(view: memoryview) -> Iterator[LogBatch]:
    for header, batch in batches(view, check_crc=True):
        yield decode(header, batch)


def decode(header: BatchHeader, batch: memoryview) -> LogBatch:
    decoded = list(records(batch))
    return LogBatch(
        base_offset=header.base_offset,
        end_offset=header.next_offset,
        epoch=header.leader_epoch,
        timestamp_ms=header.max_timestamp,
        values=[each.value or b"" for each in decoded],
        control_types=[control_type(each.key) for each in decoded] if header.is_control else (),
    )
