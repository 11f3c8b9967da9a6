"""The other end of a client's connection: a broker that says what a test wants."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import trio

from kbroker.wire import codec, frame
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.messages.api_versions import ApiVersion, ApiVersionsResponse

if TYPE_CHECKING:
    from collections.abc import Callable


class Peer:
    """A broker's end: answers frame by frame with what `answer(key, version, id)` returns."""

    def __init__(self, answer: Callable[[int, int, int], bytes]) -> None:
        self._answer = answer
        self._sent = b""
        self.versions: list[tuple[int, int]] = []
        self.is_closed = False

    async def send_all(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        header = frame.parse_request_header(memoryview(data)[4:])
        self.versions.append((header.api_key, header.api_version))
        body = self._answer(header.api_key, header.api_version, header.correlation_id)
        self._sent += body

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        piece, self._sent = self._sent[:7], self._sent[7:]  # pieces of an awkward size
        return piece

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
        self.is_closed = True


def framed(content: bytes) -> bytes:
    return struct.pack(">i", len(content)) + content


def api_versions(
    correlation_id: int, version: int, served: dict[int, tuple[int, int]], code: int = 0
) -> bytes:
    response = ApiVersionsResponse(
        error_code=code,
        api_keys=[
            ApiVersion(api_key=key, min_version=low, max_version=high)
            for key, (low, high) in served.items()
        ],
    )
    header = frame.response_header(ApiKey.API_VERSIONS, version, correlation_id)
    return framed(header + codec.encode(response, version))
