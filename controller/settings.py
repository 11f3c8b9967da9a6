"""The settings of a controller; their names are Kafka's keys with `_` for `.`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .raft.node import RaftConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .model import EndpointImage


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    """Defaults are Kafka's. `endpoints` are the controller listeners, as others may reach them."""

    node_id: int
    cluster_id: str
    directory_id: bytes
    endpoints: Mapping[str, EndpointImage] = field(default_factory=dict)
    controller_listener_names: Sequence[str] = ("CONTROLLER",)
    num_partitions: int = 1
    default_replication_factor: int = 1
    min_insync_replicas: int = 1
    delete_topic_enable: bool = True
    broker_session_timeout_ms: int = 9_000
    metadata_max_idle_interval_ms: int = 500
    metadata_log_max_record_bytes_between_snapshots: int = 20 << 20
    metadata_log_max_snapshot_interval_ms: int = 3_600_000
    raft: RaftConfig = field(default_factory=RaftConfig)
