"""A plain blocking connection that speaks Kafka's protocol, with kbroker.wire for its messages.

It retries nothing and hides nothing: what the broker answers is what a test sees.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from kbroker.wire.message import Message

    R = TypeVar("R", bound=Message)

FRAME_BYTES_MAX = 256 << 20
CLIENT_ID = "compat"


class ConnectionClosed(OSError):
    """The broker closed the connection, which is its answer to some requests."""


class RawClient:
    """One connection. `exchange` takes and gives whole frames, without their size."""

    # Told the API key and version of each request, of all connections, while a test runs.
    noting: ClassVar[Callable[[int, int], None] | None] = None

    def __init__(self, host: str, port: int, timeout_s: float = 60) -> None:
        self._socket = socket.create_connection((host, port), timeout=timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._correlation_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def set_timeout(self, timeout_s: float) -> None:
        """How long a read or a write may take from now on."""
        self._socket.settimeout(timeout_s)

    def ask(self, request: Message, version: int, response: type[R]) -> R:
        """Send a request and read its response, of the class given."""
        correlation_id = self.send(request, version)
        return self.receive(correlation_id, version, response)

    def send(self, request: Message, version: int) -> int:
        """Send a request without waiting; its correlation id."""
        # Imported here, since a client of whole frames needs none of kbroker.
        from kbroker.wire.codec import encode
        from kbroker.wire.frame import request_header

        noting = type(self).noting
        if noting is not None:
            noting(request.API_KEY or 0, version)
        self._correlation_id += 1
        header = request_header(request.API_KEY or 0, version, self._correlation_id, CLIENT_ID)
        self.send_frame(header + encode(request, version))
        return self._correlation_id

    def receive(self, correlation_id: int, version: int, response: type[R]) -> R:
        """Read the next response, which must be to that request."""
        from kbroker.wire.codec import decode
        from kbroker.wire.frame import parse_response_header

        frame = self.read_frame()
        answered, position = parse_response_header(response.API_KEY or 0, version, frame)
        if answered != correlation_id:
            raise ValueError(f"an answer to {answered}, not to {correlation_id}")
        return decode(response, version, frame, position)

    def exchange(self, frame: bytes) -> bytes:
        """Send one request frame and read one response frame."""
        self.send_frame(frame)
        return self.read_frame()

    def send_frame(self, frame: bytes) -> None:
        """Send a frame with its size in front. Several may be under way."""
        self.send_bytes(struct.pack(">i", len(frame)) + frame)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are, sizes and all.

        Raises ConnectionClosed if the broker has closed the connection, and this end knows of it.
        """
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ConnectionClosed("closed by the broker") from error

    def read_frame(self) -> bytes:
        """The next response frame.

        Raises ConnectionClosed if the broker closed the connection, TimeoutError if it is silent.
        """
        (size,) = struct.unpack(">i", self._read_exactly(4))
        if not 0 <= size <= FRAME_BYTES_MAX:
            raise ValueError(f"a frame of {size} bytes")
        return self._read_exactly(size)

    def _read_exactly(self, size: int) -> bytes:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            try:
                count = self._socket.recv_into(view)
            except ConnectionResetError as error:
                raise ConnectionClosed("reset by the broker") from error
            if not count:
                raise ConnectionClosed(f"closed with {len(view)} of {size} bytes to come")
            view = view[count:]
        return bytes(data)
