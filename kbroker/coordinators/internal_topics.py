"""How the topics that coordinators keep their state in are created on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.controller.topic_names import CONSUMER_OFFSETS
from kbroker.wire.messages.create_topics import CreatableTopic, CreatableTopicConfig

if TYPE_CHECKING:
    from kbroker.config import BrokerConfig


def consumer_offsets_topic(config: BrokerConfig, live_broker_count: int) -> CreatableTopic:
    """__consumer_offsets with Kafka's configuration
    (GroupCoordinatorService.groupMetadataTopicConfigs).

    With fewer brokers than offsets.topic.replication.factor, where Kafka refuses to create it,
    each has a replica.
    """
    configs = {
        "cleanup.policy": "compact",
        "compression.type": "producer",
        "segment.bytes": str(config.offsets_topic_segment_bytes),
    }
    return CreatableTopic(
        name=CONSUMER_OFFSETS,
        num_partitions=config.offsets_topic_num_partitions,
        replication_factor=max(1, min(config.offsets_topic_replication_factor, live_broker_count)),
        configs=[CreatableTopicConfig(name=name, value=value) for name, value in configs.items()],
    )
