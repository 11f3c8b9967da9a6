"""The handler of every API whose requests the controller decides alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kbroker.requests.services import RequestContext
    from kbroker.wire.message import Message, Request

    ResponseT = TypeVar("ResponseT", bound=Message)


def forward(request: Request[ResponseT], ctx: RequestContext) -> Coroutine[Any, Any, ResponseT]:
    """Send the request to the controller and answer as it does.

    `controller/decisions.py` names the function that decides.
    """
    return ctx.services.controller.send(request)
