"""What a broker is started with in addition to its configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kbroker.config import BrokerConfig


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to be there once the broker serves; one that is there already stays as it is."""

    name: str
    partitions: int | None = None  # None: num.partitions
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """What to run. Without `data_dir` and log.dirs the data is temporary: gone with the broker."""

    config: BrokerConfig
    data_dir: str | None = None
    cluster_id: str | None = None  # of a directory that is new; None: a random one
    topics: tuple[TopicSpec, ...] = ()
