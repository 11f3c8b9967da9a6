"""A row of the API table: the versions of one API that the broker serves, and its functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from kbroker.requests.refusal import refuse as refuse_with_one_code
from kbroker.wire.api_keys import API_TABLE, ApiKey

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from kbroker.requests.services import RequestContext
    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.message import Message


@dataclass(frozen=True, slots=True)
class Api:
    """An API as served here."""

    key: ApiKey
    name: str
    min_version: int
    max_version: int
    request: type[Message]
    response: type[Message]
    handle: Callable[[Any, RequestContext], Message | Coroutine[Any, Any, Message | None] | None]
    # (request, version, code, message) -> the response; None if no response can carry the code.
    refuse: Callable[[Any, int, ErrorCode, str | None], Message | None]
    advertised_min_version: int
    is_advertised: bool  # ApiVersions tells of it
    pipelined: bool  # a waiting answer does not stop the connection's next request

    @property
    def versions(self) -> str:
        """As advertised: `0-13`, or `0` alone."""
        low, high = self.advertised_min_version, self.max_version
        return f"{low}-{high}" if low < high else str(high)


RequestT = TypeVar("RequestT", bound="Message")


def serve(
    request: type[RequestT],
    min_version: int,
    max_version: int,
    handle: Callable[
        [RequestT, RequestContext], Message | Coroutine[Any, Any, Message | None] | None
    ],
    refuse: Callable[[RequestT, int, ErrorCode, str | None], Message | None] = refuse_with_one_code,
    *,
    advertised_min_version: int | None = None,
    is_advertised: bool = True,
    pipelined: bool = False,
) -> Api:
    """A row, checked by the type checker: its functions take this request.

    Without a `refuse` of its own, the response has one error code, for the whole request.
    """
    key = ApiKey(request.API_KEY or 0)
    entry = API_TABLE[key]
    return Api(
        key,
        entry.name,
        min_version,
        max_version,
        request,
        entry.response,
        handle,
        refuse,
        min_version if advertised_min_version is None else advertised_min_version,
        is_advertised,
        pipelined,
    )
