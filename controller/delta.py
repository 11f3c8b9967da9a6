"""What a series of committed records changed, for listeners such as the broker's publisher.

A delta names the things that changed; the image has their new values. It is Kafka's MetadataDelta,
reduced to names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .image import TopicImage


@dataclass(slots=True)
class ImageDelta:
    """Empty at first; MetadataImage.replay notes changes in it.

    A topic that came and went within the same run stands nowhere. A topic that was deleted and
    made again has two ids, and so stands in both maps. The first delta after a start tells of
    everything there is.
    """

    topics_created: dict[bytes, TopicImage] = field(default_factory=dict)
    topics_deleted: dict[bytes, TopicImage] = field(default_factory=dict)
    partitions_changed: dict[bytes, set[int]] = field(default_factory=dict)
    """Topic id -> partitions, those of new topics included, those of deleted ones not."""
    configs_changed: dict[tuple[int, str], dict[str, str | None]] = field(default_factory=dict)
    """(resource type, name) -> key -> new value, None where it was deleted."""
    brokers_changed: set[int] = field(default_factory=set)
    features_changed: dict[str, int] = field(default_factory=dict)
    producer_ids_changed: bool = False
    other_changes: bool = False
    """Controllers, or records of features that this broker only keeps."""

    def __bool__(self) -> bool:
        return bool(
            self.topics_created
            or self.topics_deleted
            or self.partitions_changed
            or self.configs_changed
            or self.brokers_changed
            or self.features_changed
            or self.producer_ids_changed
            or self.other_changes
        )

    def note_topic_created(self, topic: TopicImage) -> None:
        self.topics_created[topic.topic_id] = topic
        self.partitions_changed[topic.topic_id] = set()

    def note_topic_deleted(self, topic: TopicImage) -> None:
        self.partitions_changed.pop(topic.topic_id, None)
        if self.topics_created.pop(topic.topic_id, None) is None:
            self.topics_deleted[topic.topic_id] = topic

    def note_partition(self, topic_id: bytes, partition_id: int) -> None:
        self.partitions_changed.setdefault(topic_id, set()).add(partition_id)

    def note_config(self, resource: tuple[int, str], key: str, value: str | None) -> None:
        self.configs_changed.setdefault(resource, {})[key] = value
