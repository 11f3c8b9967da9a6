"""What handlers need that read the metadata image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbroker.config import BrokerConfig
from kbroker.requests.services import RequestContext
from tests.kbroker.broker_parts import connection, new_services
from tests.kbroker.cluster_image import NODE_ID, ClusterImage

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbroker.controller.delta import ImageDelta
    from kbroker.wire.message import Message, Request


class ClusterRig(ClusterImage):
    """`services` see `image`, which `add_*` fill. Requests to the controller go to `controller`."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        super().__init__()
        self.config = BrokerConfig({"node.id": str(NODE_ID), **(settings or {})})
        self.sent: list[Message] = []
        self.controller: Callable[[Message], Message] | None = None
        self.services = new_services(config=self.config, image=self.image, controller=self)
        self.configs = self.services.configs
        self.add_broker(NODE_ID)

    async def send(self, request: Request[Any]) -> Any:
        """The controller's side of the channel."""
        self.sent.append(request)
        assert self.controller is not None
        return self.controller(request)

    def context(self, version: int) -> RequestContext:
        return RequestContext(self.services, connection(), 0, version, 1, "test")

    def replay(self, *records: Message) -> ImageDelta:
        delta = super().replay(*records)
        self.configs.apply(delta.configs_changed)
        return delta
