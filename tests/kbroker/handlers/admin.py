"""Handlers that ask the controller, before a real controller on a simulated disk."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from kbroker.requests.services import RequestContext
from tests.controller.parts import Machine
from tests.kbroker.broker_parts import connection, new_services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kbroker.controller.controller import Controller


class Admin:
    """A controller, and contexts of requests to a broker beside it."""

    def __init__(self, controller: Controller) -> None:
        self.image = controller.image
        self._services = new_services(image=controller.image, controller=controller.channel)

    def ctx(self, api_key: int, version: int) -> RequestContext:
        return RequestContext(self._services, connection(), api_key, version, 1, "test")


@asynccontextmanager
async def admin(**settings: object) -> AsyncIterator[Admin]:
    machine = Machine()
    machine.settings = settings
    async with machine.running() as controller:
        yield Admin(controller)
