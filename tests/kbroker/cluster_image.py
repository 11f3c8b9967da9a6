"""A metadata image made of records, as a controller writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.controller.image import MetadataImage
from kbroker.wire.codes import ResourceType
from kbroker.wire.records.config_record import ConfigRecord
from kbroker.wire.records.partition_record import PartitionRecord
from kbroker.wire.records.register_broker_record import BrokerEndpoint, RegisterBrokerRecord
from kbroker.wire.records.remove_topic_record import RemoveTopicRecord
from kbroker.wire.records.topic_record import TopicRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kbroker.controller.delta import ImageDelta
    from kbroker.controller.image import TopicImage
    from kbroker.wire.message import Message

NODE_ID = 1
LISTENER = "PLAINTEXT"


def directory_id(node_id: int) -> bytes:
    return bytes([node_id]) * 16


def topic_id(name: str) -> bytes:
    return name.encode()[:16].rjust(16, b"\1")


class ClusterImage:
    """`image`, which the methods fill. Each returns what it has changed."""

    def __init__(self) -> None:
        self.image = MetadataImage()

    def replay(self, *records: Message) -> ImageDelta:
        return self.image.apply(records, self.image.offset + 1, 1)

    def add_broker(
        self,
        node_id: int,
        *,
        listener: str = LISTENER,
        fenced: bool = False,
        rack: str | None = None,
        cordoned: Sequence[bytes] | None = None,
    ) -> ImageDelta:
        end_point = BrokerEndpoint(
            name=listener, host=f"host{node_id}", port=9000 + node_id, security_protocol=0
        )
        return self.replay(
            RegisterBrokerRecord(
                broker_id=node_id,
                incarnation_id=bytes(16),
                broker_epoch=self.image.offset + 1,
                end_points=[end_point],
                rack=rack,
                fenced=fenced,
                log_dirs=[directory_id(node_id)],
                cordoned_log_dirs=None if cordoned is None else list(cordoned),
            )
        )

    def add_topic(
        self,
        name: str,
        partitions: int | Iterable[int] = 1,
        *,
        configs: Mapping[str, str] | None = None,
        replicas: Sequence[int] = (NODE_ID,),
        isr: Sequence[int] | None = None,
        leader: int | None = None,
        leader_epoch: int = 7,
        directories: Sequence[bytes] | None = None,
    ) -> ImageDelta:
        """A topic of these partitions, or further partitions of one that there is."""
        records: list[Message] = []
        if name not in self.image.topics:
            records.append(TopicRecord(name=name, topic_id=topic_id(name)))
        for key, value in (configs or {}).items():
            records.append(_config(ResourceType.TOPIC, name, key, value))
        for index in range(partitions) if isinstance(partitions, int) else partitions:
            records.append(
                PartitionRecord(
                    partition_id=index,
                    topic_id=topic_id(name),
                    replicas=list(replicas),
                    isr=list(replicas if isr is None else isr),
                    leader=replicas[0] if leader is None else leader,
                    leader_epoch=leader_epoch,
                    partition_epoch=3,
                    directories=list(directories or map(directory_id, replicas)),
                )
            )
        return self.replay(*records)

    def remove_topic(self, name: str) -> ImageDelta:
        return self.replay(RemoveTopicRecord(topic_id=self.topic(name).topic_id))

    def set_config(self, resource_type: int, name: str, key: str, value: str) -> ImageDelta:
        return self.replay(_config(resource_type, name, key, value))

    def topic(self, name: str) -> TopicImage:
        return self.image.topics[name]


def _config(resource_type: int, name: str, key: str, value: str) -> ConfigRecord:
    return ConfigRecord(resource_type=resource_type, resource_name=name, name=key, value=value)
