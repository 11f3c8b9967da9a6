"""The settings of a topic that elections depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.controller.bootstrap import MIN_INSYNC_REPLICAS
from kbroker.wire.codes import ResourceType

if TYPE_CHECKING:
    from kbroker.controller.image import MetadataImage

    from .config_schema import ConfigSchema

UNCLEAN_ELECTION: Final = "unclean.leader.election.enable"


def topic_min_isr(
    image: MetadataImage, schema: ConfigSchema, topic: str, replication_factor: int
) -> int:
    """How many in-sync replicas the topic wants, no more than it has replicas."""
    value = schema.topic_value(_topic_values(image, topic), MIN_INSYNC_REPLICAS)
    return min(int(value), replication_factor)


def allows_unclean_election(image: MetadataImage, schema: ConfigSchema, topic: str) -> bool:
    """Whether the topic is rather kept online than complete."""
    return schema.topic_value(_topic_values(image, topic), UNCLEAN_ELECTION).lower() == "true"


def _topic_values(image: MetadataImage, topic: str) -> dict[str, str]:
    return image.configs.get((ResourceType.TOPIC, topic), {})
