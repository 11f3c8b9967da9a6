"""How a broker talks to the active controller: one call, wherever that controller is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from kbroker.wire.message import Message, Request

    from .controller import Controller

    ResponseT = TypeVar("ResponseT", bound=Message)


class ControllerChannel(Protocol):
    """Sends requests to the active controller, and finds it first if it has to."""

    async def send(self, request: Request[ResponseT]) -> ResponseT:
        """The response to `request`, whose type has a row in the table of decisions.

        The answer to a change comes after this broker's own image has applied it.
        RequestError NOT_CONTROLLER if the controller went away meanwhile: the change may or may
        not have been made.
        """
        ...


class InProcessChannel:
    """To a controller in this process. Waits while it is not active yet."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    async def send(self, request: Request[ResponseT]) -> ResponseT:
        await self._controller.until_active()
        return await self._controller.handle(request)
