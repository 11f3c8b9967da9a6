"""What recovery removes from a log is kept beside it: cut ends, segments and damaged files.

Each removal is logged as a warning. The bytes are in the partition's directory, in a file named
`aside-N-FILE-POSITION`: what the Nth recovery that removed something took from FILE, from POSITION
on. Apache Kafka ignores files of such names, and retention does not count them. Repeated crashes
must not fill the disk, so only the files of the latest KEPT_RECOVERIES recoveries are kept. If a
file ends in zeros, as a preallocated file does, only the first few of them are kept.
"""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from .errors import DiskError

if TYPE_CHECKING:
    from .disk import Disk, File

logger = logging.getLogger(__name__)

KEPT_RECOVERIES = 16

ASIDE = "aside-"  # how all of the names begin

_NAME = re.compile(ASIDE + r"(\d+)-.+")
_COPIED_BYTES = 1 << 20
_PAGE = 4096


class Aside:
    """Where one recovery of one partition puts what it takes out."""

    __slots__ = ("_directory", "_disk", "_number")

    def __init__(self, disk: Disk, directory: str) -> None:
        self._disk = disk
        self._directory = directory
        self._number: int | None = None  # of this recovery, once it takes something

    def move(self, path: str, reason: object) -> None:
        """Rename a file that must go; an empty one just goes. One that is not there is fine.
        DiskError.
        """
        try:
            size = self._disk.size(path)
        except FileNotFoundError:
            return
        if not size:
            self._disk.unlink(path)
            return
        target = self._path(os.path.basename(path), 0)
        self._disk.rename(path, target)
        logger.warning("%s: %s. Its %d bytes are kept as %s", path, reason, size, target)

    def copy_end(self, file: File, position: int, next_offset: int, reason: object) -> None:
        """Keep what the file has from `position` on, which is then the caller's to cut.

        It is safe once the directory is synced. DiskError: nothing is kept, and nothing may be cut.
        """
        cut = (
            f"{file.path}: removing {file.size - position} bytes from position {position} on, "
            "where offset "
        )
        cut += f"{next_offset} comes next: {reason}"
        end = _end_of_content(file, position)
        if end == position:
            logger.warning("%s. They are all zeros", cut)
            return
        path = self._path(os.path.basename(file.path), position)
        copy = self._disk.open(path, create=True)
        try:
            for at in range(position, end, _COPIED_BYTES):
                copy.append(file.read_at(at, min(_COPIED_BYTES, end - at)))
            copy.fsync()
        except DiskError:
            with suppress(DiskError):
                self._disk.unlink(path)
            raise
        logger.warning("%s. They are kept as %s", cut, path)

    def _path(self, name: str, position: int) -> str:
        if self._number is None:
            self._number = self._make_room()
        return f"{self._directory}/{ASIDE}{self._number}-{name}-{position}"

    def _make_room(self) -> int:
        """The number of this recovery; what too old ones took goes."""
        found: dict[int, list[str]] = {}
        for name in self._disk.list_dir(self._directory):
            match = _NAME.fullmatch(name)
            if match is not None:
                found.setdefault(int(match[1]), []).append(f"{self._directory}/{name}")
        numbers = sorted(found)
        for number in numbers[: -(KEPT_RECOVERIES - 1)]:
            for path in found[number]:
                logger.warning(
                    "deleting %s: the files of %d later recoveries are kept",
                    path,
                    KEPT_RECOVERIES - 1,
                )
                self._disk.unlink(path)
        return numbers[-1] + 1 if numbers else 1


def _end_of_content(file: File, position: int) -> int:
    """The end of the last page that is not all zeros; `position` if there is nothing but zeros.

    The file may have been reserved far ahead, so it is read from its end.
    """
    end = file.size
    while end > position:
        start = max(position, end - _COPIED_BYTES)
        content = file.read_at(start, end - start).rstrip(b"\0")
        if content:
            return min(file.size, -(-(start + len(content)) // _PAGE) * _PAGE)
        end = start
    return position
