"""Handlers that ask the controller, before a real controller on a simulated disk."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from kbroker.services import ConnectionInfo, RequestContext, Services
from tests.controller.parts import Machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kbroker.controller.controller import Controller

NODE_ID = 1


class Admin:
    """A controller, and contexts of requests to a broker beside it."""

    def __init__(self, controller: Controller) -> None:
        self.image = controller.image
        self._services = cast(
            "Services", SimpleNamespace(node_id=NODE_ID, controller=controller.channel)
        )

    def ctx(self, api_key: int, version: int) -> RequestContext:
        connection = ConnectionInfo("c", "PLAINTEXT", "h", 9092, "p", ("h", 9092))
        return RequestContext(self._services, connection, api_key, version, 1, "test")


@asynccontextmanager
async def admin(**settings: object) -> AsyncIterator[Admin]:
    machine = Machine()
    machine.settings = settings
    async with machine.running() as controller:
        yield Admin(controller)
