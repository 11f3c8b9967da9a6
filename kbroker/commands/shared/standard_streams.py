"""Standard input, output and error, each of which may be closed, full, or a pipe without a reader.

- If one of them is closed, its number goes to the next file that is opened, for example a segment,
  and output would be written into that file. `take_over` therefore opens /dev/null for each that is
  closed, before anything else is opened. A command that kbroker starts finds them closed as before.
- A failed write to standard output is an OutputError, and later output is dropped. OutputError is
  no OSError, so that it is not mistaken for an error of a file that is being read.
- A failed write to standard error is ignored: there is nobody to tell, and it does not change how
  the command ends.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputError(Exception):
    """Standard output cannot be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        # Whoever read our output has gone, as `head` does.
        self.is_unread = isinstance(error, BrokenPipeError)


def take_over() -> None:
    """Comes before anything opens a file. Streams that are not the interpreter's own stay."""
    # In the order of their numbers: each opens the lowest that is free.
    if sys.stdin is sys.__stdin__ is None:
        sys.stdin = _stand_in(os.O_WRONLY, "r")
    if sys.stdout is sys.__stdout__:
        sys.stdout = _over(sys.stdout or _stand_in(os.O_RDONLY, "w"), _Output)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _over(sys.stderr or _stand_in(os.O_WRONLY, "w"), _Errors)


def _stand_in(flags: int, mode: str) -> TextIO:
    """For a closed descriptor. Opened for the other direction only, it fails as that one does."""
    descriptor = os.open(os.devnull, flags)
    return cast("TextIO", open(descriptor, mode, errors="backslashreplace", closefd=False))


class _Over(io.RawIOBase):
    """Another layer of bytes over a text stream's own, which is kept open."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # Without a buffer, as with PYTHONUNBUFFERED, the bytes' layer is the file itself.
        buffer: Any = stream.buffer
        self._raw: io.RawIOBase = getattr(buffer, "raw", buffer)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()


class _Output(_Over):
    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._has_failed = False

    def write(self, data: ReadableBuffer, /) -> int:
        """All of it: nobody looks at how much was taken where there is no buffer above."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest and not self._has_failed:
            try:
                written = self._raw.write(rest)
            except OSError as error:
                self._has_failed = True
                raise OutputError(error) from error
            if written is None:  # a pipe that does not block, as who shares it may have made it
                select.select([], [self._raw], [])
            else:
                rest = rest[written:]
        return size


class _Errors(_Over):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            written = self._raw.write(data)
        except OSError:
            written = None
        return memoryview(data).nbytes if written is None else written


def _over(stream: TextIO, kind: type[_Over]) -> TextIO:
    """The same text stream, its bytes through one of ours."""
    assert isinstance(stream, io.TextIOWrapper)
    layer = kind(stream)
    # No buffer where there was none.
    buffer: Any = io.BufferedWriter(layer) if hasattr(stream.buffer, "raw") else layer
    return io.TextIOWrapper(
        buffer,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
