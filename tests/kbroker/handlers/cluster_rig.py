"""A metadata image made of records, and what handlers that read it need around it."""

from __future__ import annotations

import random
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from kbroker.config import BrokerConfig, DynamicConfigs
from kbroker.controller.image import MetadataImage
from kbroker.services import ConnectionInfo, RequestContext, Services
from kbroker.wire.records.config_record import ConfigRecord
from kbroker.wire.records.partition_record import PartitionRecord
from kbroker.wire.records.register_broker_record import BrokerEndpoint, RegisterBrokerRecord
from kbroker.wire.records.topic_record import TopicRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kbroker.wire.message import Message

NODE_ID = 1
CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
LISTENER = "PLAINTEXT"
DIALLED = ("dialled.example", 19092)


def directory_id(node_id: int) -> bytes:
    return bytes([node_id]) * 16


def topic_id(name: str) -> bytes:
    return name.encode()[:16].rjust(16, b"\1")


class ClusterRig:
    """`services` see `image`, which `add_*` fill. Requests to the controller go to `controller`."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self.image = MetadataImage()
        self.config = BrokerConfig({"node.id": str(NODE_ID), **(settings or {})})
        self.configs = DynamicConfigs(self.config, self.image.configs)
        self.sent: list[Message] = []
        self.controller: Callable[[Message], Message] | None = None
        services = SimpleNamespace(
            node_id=NODE_ID,
            cluster_id=CLUSTER_ID,
            config=self.config,
            configs=self.configs,
            image=self.image,
            controller=self,
            rng=random.Random(1),
        )
        services.endpoint = partial(Services.endpoint, cast("Services", services))
        self.services = cast("Services", services)
        self.add_broker(NODE_ID)

    async def send(self, request: Message) -> Message:
        """The controller's side of the channel."""
        self.sent.append(request)
        assert self.controller is not None
        return self.controller(request)

    def context(self, version: int) -> RequestContext:
        connection = ConnectionInfo("c", LISTENER, *DIALLED, "client", DIALLED)
        return RequestContext(self.services, connection, 0, version, 1, "test")

    def replay(self, record: Message) -> None:
        self.image.replay(record, self.image.offset + 1)

    def add_broker(
        self,
        node_id: int,
        *,
        listener: str = LISTENER,
        fenced: bool = False,
        rack: str | None = None,
    ) -> None:
        self.replay(
            RegisterBrokerRecord(
                broker_id=node_id,
                incarnation_id=bytes(16),
                broker_epoch=self.image.offset + 1,
                end_points=[
                    BrokerEndpoint(
                        name=listener,
                        host=f"host{node_id}",
                        port=9000 + node_id,
                        security_protocol=0,
                    )
                ],
                rack=rack,
                fenced=fenced,
                log_dirs=[directory_id(node_id)],
            )
        )

    def add_topic(
        self,
        name: str,
        partitions: int = 1,
        *,
        replicas: Sequence[int] = (NODE_ID,),
        isr: Sequence[int] | None = None,
        leader: int | None = None,
        directories: Sequence[bytes] | None = None,
    ) -> None:
        self.replay(TopicRecord(name=name, topic_id=topic_id(name)))
        for index in range(partitions):
            self.replay(
                PartitionRecord(
                    partition_id=index,
                    topic_id=topic_id(name),
                    replicas=list(replicas),
                    isr=list(replicas if isr is None else isr),
                    leader=replicas[0] if leader is None else leader,
                    leader_epoch=7,
                    partition_epoch=3,
                    directories=list(directories or map(directory_id, replicas)),
                )
            )

    def set_config(self, resource_type: int, name: str, key: str, value: str) -> None:
        self.replay(
            ConfigRecord(resource_type=resource_type, resource_name=name, name=key, value=value)
        )
        self.configs.apply([(resource_type, name)])
