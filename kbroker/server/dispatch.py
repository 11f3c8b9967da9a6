"""From a frame to its answer: parse the header, check the version, decode, handle, encode.

A frame that is no request of a served API at a served version closes the connection, as in Kafka
(SocketServer.Processor: InvalidRequestException). Only ApiVersions answers a version that it does
not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from types import CoroutineType
from typing import TYPE_CHECKING

from kbroker.errors import refusal
from kbroker.requests.services import CloseConnection, RequestContext
from kbroker.wire import codec, frame
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.errors import ErrorCode, ProtocolError
from kbroker.wire.limits import NO_LIMITS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from kbroker.requests.api import Api
    from kbroker.requests.services import ConnectionInfo, Services
    from kbroker.wire.limits import Limits
    from kbroker.wire.message import Blob, Message

    Answer = bytes | list[bytes | Blob]

_SIZE = Struct(">i")


@dataclass(slots=True)
class Deferred:
    """An answer that has to wait. `pipelined`: the next request need not wait with it.

    Whoever gets one awaits `coroutine`, be it only to cancel it.
    """

    coroutine: Coroutine[object, object, Answer | None]
    pipelined: bool


class _Route:
    """One API at one version, with its codecs at hand."""

    __slots__ = ("api", "decode", "encode_chunks", "header")

    def __init__(self, api: Api, version: int, limits: Limits) -> None:
        self.api = api
        # Kafka reads no further than the request's end, and librdkafka 2.x sends more (Metadata).
        self.decode = codec.decoder(api.request, version, exact=False, limits=limits)
        self.encode_chunks = codec.chunk_encoder(api.response, version)
        self.header = frame.response_header_suffix(api.key, version)


class Dispatcher:
    """Answers the frames of all connections of one broker."""

    def __init__(
        self,
        apis: Iterable[Api],
        request_bytes_max: int,
        services: Services,
        limits: Limits = NO_LIMITS,
    ) -> None:
        """`limits` of what is decoded of a request."""
        self._limits = limits
        self._services = services
        self.request_bytes_max = request_bytes_max
        self._routes: dict[int, _Route] = {}
        self._apis: dict[int, Api] = {api.key: api for api in apis}
        self._intercepts: dict[int, Intercept] = {}

    def intercept(self, key: ApiKey, hook: Intercept | None) -> None:
        """Let `hook(request, ctx, proceed)` answer every request of an API; None takes it away."""
        if hook is None:
            self._intercepts.pop(key, None)
        else:
            self._intercepts[key] = hook

    def dispatch(self, view: memoryview, connection: ConnectionInfo) -> Answer | Deferred | None:
        """The answer to one frame (without its size), or what to wait for; None where the API
        answers nothing.

        Raises CloseConnection.
        """
        try:
            header = frame.parse_request_header(view)
        except ProtocolError as error:
            raise CloseConnection(f"malformed request header: {error}") from error
        route = self._routes.get(header.api_key << 16 | header.api_version)
        if route is None:
            found = self._route(header.api_key, header.api_version)
            if found is None:
                return self._unsupported_api_versions(header.correlation_id)
            route = found
        try:
            request = route.decode(view, header.body_position)
        except ProtocolError as error:
            raise CloseConnection(
                f"malformed {route.api.name} v{header.api_version}: {error}"
            ) from error
        ctx = RequestContext(
            self._services,
            connection,
            header.api_key,
            header.api_version,
            header.correlation_id,
            header.client_id,
        )
        try:
            if self._intercepts and header.api_key in self._intercepts:
                result = self._intercepts[ApiKey(header.api_key)](request, ctx, route.api.handle)
            else:
                result = route.api.handle(request, ctx)
            if result is None:
                return None
            if type(result) is CoroutineType:
                return Deferred(self._finish(route, request, ctx, result), route.api.pipelined)
            return _frame(route, header.correlation_id, result)  # type: ignore[arg-type]
        except (CloseConnection, AssertionError):
            raise
        except Exception as error:
            return _failed(route, request, ctx, error)

    async def _finish(
        self,
        route: _Route,
        request: Message,
        ctx: RequestContext,
        coroutine: Awaitable[Message | None],
    ) -> Answer | None:
        try:
            response = await coroutine
            return None if response is None else _frame(route, ctx.correlation_id, response)
        except (CloseConnection, AssertionError):
            raise
        except Exception as error:
            return _failed(route, request, ctx, error)

    def _route(self, key: int, version: int) -> _Route | None:
        """None: ApiVersions at a version that we do not know, which alone has an answer."""
        api = self._apis.get(key)
        if api is None:
            raise CloseConnection(f"API key {key} is not supported")
        if not api.min_version <= version <= api.max_version:
            if key == ApiKey.API_VERSIONS:
                return None
            raise CloseConnection(
                f"{api.name} is supported in versions {api.versions}, not {version}"
            )
        route = self._routes[key << 16 | version] = _Route(api, version, self._limits)
        return route

    def _unsupported_api_versions(self, correlation_id: int) -> Answer:
        from kbroker.handlers import api_versions

        route = self._routes.get(ApiKey.API_VERSIONS << 16) or self._route(ApiKey.API_VERSIONS, 0)
        assert route is not None
        served = self._apis[ApiKey.API_VERSIONS]
        response = api_versions.unsupported_version(served.min_version, served.max_version)
        return _frame(route, correlation_id, response)


def _frame(route: _Route, correlation_id: int, response: Message) -> Answer:
    chunks = route.encode_chunks(response)
    head = _SIZE.pack(correlation_id) + route.header
    first = chunks[0]
    assert isinstance(first, bytes)
    if len(chunks) == 1:
        return _SIZE.pack(len(head) + len(first)) + head + first
    chunks[0] = _SIZE.pack(len(head) + sum(map(len, chunks))) + head + first
    return chunks


def _failed(
    route: _Route, request: Message, ctx: RequestContext, error: Exception
) -> Answer | None:
    """Errors with a code by their code; any other is logged and answered UNKNOWN_SERVER_ERROR."""
    refused = refusal(error, f"{route.api.name} v{ctx.api_version}")
    message = None if refused.code is ErrorCode.UNKNOWN_SERVER_ERROR else refused.message
    response = route.api.refuse(request, ctx.api_version, refused.code, message)
    if response is None:
        raise CloseConnection(
            f"{route.api.name} failed, and its response cannot carry an error"
        ) from error
    return _frame(route, ctx.correlation_id, response)


if TYPE_CHECKING:
    Handler = Callable[
        [Message, RequestContext], Message | Coroutine[object, object, Message | None] | None
    ]
    Intercept = Callable[
        [Message, RequestContext, Handler],
        Message | Coroutine[object, object, Message | None] | None,
    ]
