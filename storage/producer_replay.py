"""Rebuilds a log's producer state: from its last snapshot, and from the batches behind that.

Kafka's UnifiedLog.rebuildProducerState. Only batch headers are read, and the records of transaction
markers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .producer_state import ProducerState
    from .segments import Segments


def replay_producers(
    producers: ProducerState,
    segments: Segments,
    *,
    log_start_offset: int,
    end_offset: int,
    now_ms: int,
) -> None:
    """Bring `producers` to what the log says of them at `end_offset` (exclusive)."""
    producers.truncate_and_reload(log_start_offset, end_offset, now_ms)
    from_offset = producers.map_end_offset
    if from_offset < end_offset:
        for segment in segments.from_offset(from_offset):
            if segment.base_offset >= end_offset:
                break
            found = segment.locate(from_offset)
            if found is None:
                continue
            for position, header in segment.headers(found[0]):
                if header.base_offset >= end_offset:
                    break
                batch = None
                if header.is_control:
                    batch = memoryview(segment.file.read_at(position, header.size_bytes))
                completed = producers.update(header, batch)
                if completed is not None:
                    producers.complete_transaction(completed)
    producers.map_end_offset = end_offset
