"""Sends to the controller the requests that it decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from kbroker.errors import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from kbroker.requests.services import RequestContext
    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.message import Message, Request

    ResponseT = TypeVar("ResponseT", bound=Message)


def forward(request: Request[ResponseT], ctx: RequestContext) -> Coroutine[Any, Any, ResponseT]:
    """The handler of every API whose requests the controller decides alone.

    `controller/decisions.py` names the function that decides.
    """
    return ctx.services.controller.send(request)


async def forward_or_refuse(
    request: Request[ResponseT],
    ctx: RequestContext,
    refuse: Callable[[Any, int, ErrorCode, str | None], ResponseT],
    what: str,
) -> ResponseT:
    """`forward` for a handler that asks the controller for some of the parts of its own request.

    If that fails, the response is what `refuse` makes, so that only these parts fail. `what` names
    for the log what has failed.
    """
    try:
        return await ctx.services.controller.send(request)
    except Exception as error:
        refused = refusal(error, what)
        return refuse(request, request.MAX_VERSION, refused.code, refused.message)
