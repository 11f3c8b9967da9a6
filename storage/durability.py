"""What of a log survives a power loss: the recovery point, and what is written but not synced.

A crash rebuilds indexes from the segment of the recovery point on. So the indexes of the active
segment need no fsync. Those of a segment that has rolled need one before the recovery point may
pass its end.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .flush_plan import FlushPlan

if TYPE_CHECKING:
    from .disk import Disk
    from .segment import LogSegment
    from .segments import Segments


class Durability:
    """Keeps account of what a log has written and not synced."""

    __slots__ = (
        "_checkpointed_offset",
        "_directories",
        "_disk",
        "_indexed_to",
        "_paths",
        "_truncations",
        "recovery_point",
    )

    def __init__(
        self, disk: Disk, recovery_point: int, *, indexed_to: int, checkpointed_offset: int
    ) -> None:
        """`indexed_to`: the indexes of segments that start below it are synced.

        `checkpointed_offset`: the recovery point as the checkpoint has it.
        """
        self.recovery_point = recovery_point
        self._checkpointed_offset = checkpointed_offset
        self._disk = disk
        self._truncations = 0  # how many: a flush that began before one proves nothing after it
        self._indexed_to = indexed_to
        self._paths: list[str] = []
        self._directories: set[str] = set()

    @property
    def has_unsynced_names(self) -> bool:
        return bool(self._directories)

    def note_file(self, path: str) -> None:
        """A file was written that is not synced yet."""
        self._paths.append(path)

    def note_names(self, directory: str) -> None:
        """Names were made, renamed or removed in it."""
        self._directories.add(directory)

    def update_directory(self, old: str, new: str) -> None:
        """The partition's directory has been renamed, which is not synced."""
        self._paths = [path.replace(old, new, 1) for path in self._paths]
        self._directories = {new if path == old else path for path in self._directories}
        self._directories.add(os.path.dirname(new))

    def note_end(self, end_offset: int, active_base_offset: int) -> None:
        """The log was cut to end here; its indexes with it."""
        self._truncations += 1
        self.recovery_point = min(self.recovery_point, end_offset)
        self._indexed_to = min(self._indexed_to, active_base_offset)

    def note_start(self, offset: int) -> None:
        """The log is empty, and that is synced; its next record gets `offset`."""
        self._truncations += 1
        self.recovery_point = self._indexed_to = offset

    def sync_before_roll(self, segment: LogSegment, base_offset: int) -> None:
        """A segment is to start at `base_offset`, behind `segment`.

        If the checkpoint says just this offset (the log was closed here, opened, and a crash had it
        mended), recovery would begin behind `segment`: what was written to it must be synced first.
        """
        if base_offset <= self._checkpointed_offset and segment.is_written:
            plan = FlushPlan(self._disk, base_offset, segment.base_offset, self._truncations)
            plan.files.append(segment.file)
            plan.paths += segment.index_paths()
            plan.run()

    def begin(self, segments: Segments, end_offset: int) -> FlushPlan:
        active = segments.active
        plan = FlushPlan(self._disk, end_offset, active.base_offset, self._truncations)
        for segment in segments.from_offset(min(self.recovery_point, self._indexed_to)):
            if segment.base_offset >= end_offset:
                break
            if segment is active:
                if end_offset > self.recovery_point:
                    plan.files.append(segment.file)
                break
            # Below the recovery point its batches are safe already, which costs nothing then.
            plan.files.append(segment.file)
            plan.paths += segment.index_paths()
        plan.paths += self._paths
        plan.directories += sorted(self._directories)
        self._paths = []
        self._directories = set()
        return plan

    def finish(self, plan: FlushPlan) -> None:
        assert plan.is_done, "a plan is finished after it has run"
        assert plan.error is None, "a failed flush is told by `fail`"
        if plan.truncations == self._truncations:
            self.recovery_point = max(self.recovery_point, plan.end_offset)
            self._indexed_to = max(self._indexed_to, min(plan.active_base_offset, plan.end_offset))

    def take_back(self, plan: FlushPlan) -> None:
        """The plan has not been run to its end, and no sync has failed."""
        assert plan.error is None, "a failed flush is told by `fail`"
        self._paths += plan.paths
        self._directories.update(plan.directories)

    def closed(self, end_offset: int) -> None:
        """All is synced, the indexes of the active segment too."""
        self._indexed_to = self.recovery_point = end_offset

    def checkpoint_offset(self, segments: Segments, log_end_offset: int) -> int:
        """The recovery point for the checkpoint, which the caller now writes.

        It lies below the end of the first segment whose indexes are not synced, because a segment
        may come to start at that end, and recovery would begin with that one.
        """
        unsynced = segments.floor(self._indexed_to) or segments.first
        behind = segments.after(unsynced)
        offset = self.recovery_point
        if behind is not None or unsynced.is_written:
            end_offset = log_end_offset if behind is None else behind.base_offset
            offset = min(offset, max(end_offset - 1, unsynced.base_offset))
        self._checkpointed_offset = offset
        return offset
