"""One connection to one broker: negotiates versions, sends one request at a time."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from struct import Struct
from typing import TYPE_CHECKING, Protocol, TypeVar

import trio

from kbroker.wire import codec, frame
from kbroker.wire.api_keys import API_TABLE, ApiKey
from kbroker.wire.errors import EncodeError, ErrorCode, ProtocolError
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse

from .errors import ClientError, Disconnected, check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from kbroker.wire.message import Message

ResponseT = TypeVar("ResponseT", bound="Message")

CLIENT_ID = "kbroker"
REQUEST_TIMEOUT_S = 30.0
RESPONSE_BYTES_MAX = 256 * 1024 * 1024
RECEIVE_BYTES = 256 * 1024

_SIZE = Struct(">i")

# The range this client speaks, where it is not all that the schemas have: above these versions
# topics go by id, below these coordinators are looked up one at a time, groups have no state, only
# client metrics are listed, and a downgrade is not told from an upgrade.
_VERSIONS: Mapping[int, tuple[int, int]] = {
    ApiKey.PRODUCE: (3, 12),
    ApiKey.FETCH: (4, 12),
    ApiKey.LIST_OFFSETS: (1, 10),
    ApiKey.METADATA: (4, 12),
    ApiKey.OFFSET_COMMIT: (5, 9),
    ApiKey.OFFSET_FETCH: (8, 9),
    ApiKey.FIND_COORDINATOR: (4, 4),
    ApiKey.LIST_GROUPS: (4, 5),
    ApiKey.LEAVE_GROUP: (3, 5),
    ApiKey.INIT_PRODUCER_ID: (0, 4),
    ApiKey.DELETE_TOPICS: (1, 5),
    ApiKey.LIST_CONFIG_RESOURCES: (1, 1),
    ApiKey.UPDATE_FEATURES: (1, 2),
}


class Stream(Protocol):
    """The part of trio.abc.Stream that a connection needs."""

    async def send_all(self, data: bytes) -> None: ...

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray: ...

    async def aclose(self) -> None: ...


if TYPE_CHECKING:
    Connect = Callable[[str, int], Awaitable[Stream]]


class Connection:
    """Made by `open`; `close` it. Any failure closes it: `is_open` tells."""

    def __init__(self, stream: Stream, address: str) -> None:
        self.address = address
        self.is_open = True
        self._stream = stream
        self._versions: dict[int, tuple[int, int]] = {}
        self._correlation_id = 0
        self._received = bytearray()
        self._turn = trio.Lock()

    @classmethod
    async def open(cls, host: str, port: int, connect: Connect) -> Connection:
        """Disconnected where nobody answers, ClientError where it is no Kafka."""
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            with trio.fail_after(REQUEST_TIMEOUT_S):
                stream = await connect(host, port)
        except trio.TooSlowError as error:
            raise Disconnected(f"No broker answers at {address} in time.") from error
        except OSError as error:
            raise Disconnected(f"No broker answers at {address}: {_reason(error)}.") from error
        connection = cls(stream, address)
        try:
            await connection._negotiate()
        except ClientError:
            await connection.close()
            raise
        return connection

    async def ask(self, request: Message, response_class: type[ResponseT]) -> ResponseT:
        """The response. Disconnected, or ClientError where the broker lacks the API or the request
        cannot hold what it is given.
        """
        assert request.API_KEY is not None
        version = self._version(request.API_KEY)
        body = await self._exchange(request, request.API_KEY, version)
        try:
            _, position = frame.parse_response_header(request.API_KEY, version, body)
            return codec.decode(response_class, version, body, position)
        except ProtocolError as error:
            await self.close()
            name = API_TABLE[request.API_KEY].name
            raise ClientError(
                f"{self.address} sent a malformed {name} response: {error}."
            ) from error

    async def tell(self, request: Message) -> None:
        """Send a request that has no answer (Produce with acks=0). Errors as of `ask`."""
        assert request.API_KEY is not None
        version = self._version(request.API_KEY)
        payload = _encoded(request, request.API_KEY, version)
        async with self._taking_turns(request.API_KEY, "taken"):
            await self._send(request.API_KEY, version, payload)

    def serves(self, api_key: int) -> bool:
        return api_key in self._versions

    async def close(self) -> None:
        self.is_open = False
        with trio.CancelScope(shield=True):
            await self._stream.aclose()

    def _version(self, api_key: int) -> int:
        api = API_TABLE[api_key]
        low, high = _VERSIONS.get(api_key, (api.min_version, api.max_version))
        if _VERSIONS.get(api_key) is None and api.latest_version_unstable:
            high -= 1
        served_low, served_high = self._versions.get(api_key, (0, -1))
        version = min(high, served_high)
        if version < max(low, served_low):
            raise ClientError(
                f"The broker at {self.address} does not support {api.name} in any version from "
                f"{low} to {high}."
            )
        return version

    async def _negotiate(self) -> None:
        request = ApiVersionsRequest(
            client_software_name="kbroker", client_software_version="0.1.0"
        )
        for version in (3, 0):
            body = await self._exchange(request, ApiKey.API_VERSIONS, version)
            # An older broker answers in the shape of v0, whose first field is the error code.
            if version and body[4:6] == ErrorCode.UNSUPPORTED_VERSION.to_bytes(2, "big"):
                continue
            try:
                response = codec.decode(ApiVersionsResponse, version, body, 4)
            except ProtocolError as error:
                raise ClientError(f"{self.address} does not speak Kafka's protocol.") from error
            check(
                response.error_code, f"The broker at {self.address} refused to negotiate versions"
            )
            self._versions = {
                api.api_key: (api.min_version, api.max_version) for api in response.api_keys
            }
            return

    async def _exchange(self, request: Message, api_key: int, version: int) -> memoryview:
        """One request and its answer (header and body)."""
        payload = _encoded(request, api_key, version)
        async with self._taking_turns(api_key, "answered"):
            await self._send(api_key, version, payload)
            return await self._receive()

    @asynccontextmanager
    async def _taking_turns(self, api_key: int, verb: str) -> AsyncIterator[None]:
        """The connection for one request; what stops half-way, even by cancellation, spoils it for
        the next one and closes it.
        """
        async with self._turn:
            try:
                with trio.fail_after(REQUEST_TIMEOUT_S):
                    yield
            except trio.TooSlowError as error:
                await self.close()
                raise Disconnected(
                    f"The broker at {self.address} has not {verb} "
                    f"{API_TABLE[api_key].name} within {REQUEST_TIMEOUT_S:.0f} s."
                ) from error
            except BaseException:
                await self.close()
                raise

    async def _send(self, api_key: int, version: int, payload: bytes) -> None:
        self._correlation_id += 1
        header = frame.request_header(api_key, version, self._correlation_id, CLIENT_ID)
        try:
            await self._stream.send_all(_SIZE.pack(len(header) + len(payload)) + header + payload)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._lost() from error

    async def _receive(self) -> memoryview:
        await self._fill(_SIZE.size)
        (size,) = _SIZE.unpack_from(self._received)
        if not _SIZE.size <= size <= RESPONSE_BYTES_MAX:
            raise ClientError(f"{self.address} does not speak Kafka's protocol.")
        await self._fill(_SIZE.size + size)
        body = memoryview(bytes(self._received[_SIZE.size :]))
        self._received = bytearray()
        if int.from_bytes(body[:4], "big") != self._correlation_id:
            raise ClientError(
                f"{self.address} answered a different request than the one it was sent."
            )
        return body

    async def _fill(self, size: int) -> None:
        """Receive until `size` bytes are there; nobody sends more than was asked for."""
        while len(self._received) < size:
            try:
                data = await self._stream.receive_some(RECEIVE_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise self._lost() from error
            if not data:
                raise self._lost()
            self._received += data

    def _lost(self) -> Disconnected:
        return Disconnected(f"The broker at {self.address} closed the connection.")


def _encoded(request: Message, api_key: int, version: int) -> bytes:
    try:
        return codec.encode(request, version)
    except EncodeError as error:
        name = API_TABLE[api_key].name
        raise ClientError(f"The {name} request cannot be encoded: {error}.") from error


def _reason(error: BaseException) -> str:
    """Trio says that all attempts failed; why the first one did lies below."""
    while not (isinstance(error, OSError) and error.errno):
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif error.__cause__ is not None:
            error = error.__cause__
        else:
            return str(error)
    # Name resolution has numbers of its own, below 0.
    return os.strerror(error.errno) if error.errno > 0 else error.strerror or str(error)
