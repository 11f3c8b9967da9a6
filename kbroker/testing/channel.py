"""Messages between a test and the process of its broker: JSON objects, each after its length.

The end of the stream is a message too. From the test, it means: stop. From the broker's process, it
means that the process and its files on disk are gone.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

Message: TypeAlias = "dict[str, Any]"

_LENGTH = struct.Struct(">I")


class Channel:
    """`read(n)` gives up to n bytes, none at the end; `write` takes them all."""

    def __init__(self, read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
        self._read = read
        self._write = write

    @classmethod
    def over(cls, reader: IO[bytes], writer: IO[bytes]) -> Self:
        """Over two pipes."""

        def write(data: bytes) -> None:
            writer.write(data)
            writer.flush()

        return cls(reader.read, write)

    def send(self, message: Message) -> None:
        """OSError where nobody reads any more."""
        data = json.dumps(message).encode()
        self._write(_LENGTH.pack(len(data)) + data)

    def receive(self) -> Message | None:
        """The next one; None at the end, be it in the middle of a message. OSError."""
        length = self._exactly(_LENGTH.size)
        data = None if length is None else self._exactly(*_LENGTH.unpack(length))
        return None if data is None else json.loads(data)

    def _exactly(self, count: int) -> bytes | None:
        pieces = []
        while count:
            piece = self._read(count)
            if not piece:
                return None
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)
