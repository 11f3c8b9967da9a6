"""What a controller needs of the broker's configuration, in the controller's own terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.config.broker import BROKER_KEYS
from kbroker.config.client_metrics import CLIENT_METRICS_KEYS
from kbroker.config.describe import describe_topic
from kbroker.config.resources import ResourceType
from kbroker.config.schema import ConfigSchema
from kbroker.config.topic import GROUP_KEYS, TOPIC_KEYS, TopicConfig
from kbroker.config.values import text_of
from kbroker.controller.raft.node import RaftConfig
from kbroker.controller.raft.voters import Endpoint, ReplicaKey, Voter, VoterSet
from kbroker.controller.settings import ControllerSettings
from kbroker.controller.state.config_schema import EffectiveConfig
from kbroker.metadata_log import MetadataLogConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kbroker.config import BrokerConfig
    from kbroker.config.key import Key
    from kbroker.config.values import Value
    from kbroker.controller.model import EndpointImage
    from kbroker.wire.errors import ErrorCode


def controller_settings(
    config: BrokerConfig,
    *,
    cluster_id: str,
    directory_id: bytes,
    endpoints: Mapping[str, EndpointImage],
) -> ControllerSettings:
    """`endpoints`: the controller listeners, by name."""
    return ControllerSettings(
        node_id=config.node_id,
        cluster_id=cluster_id,
        directory_id=directory_id,
        endpoints=endpoints,
        num_partitions=config.num_partitions,
        default_replication_factor=config.default_replication_factor,
        min_insync_replicas=config.min_insync_replicas,
        delete_topic_enable=config.delete_topic_enable,
        broker_session_timeout_ms=config.broker_session_timeout_ms,
        metadata_max_idle_interval_ms=config.metadata_max_idle_interval_ms,
        metadata_log_max_record_bytes_between_snapshots=(
            config.metadata_log_max_record_bytes_between_snapshots
        ),
        metadata_log_max_snapshot_interval_ms=config.metadata_log_max_snapshot_interval_ms,
        raft=RaftConfig(
            election_timeout_ms=config.controller_quorum_election_timeout_ms,
            fetch_timeout_ms=config.controller_quorum_fetch_timeout_ms,
            request_timeout_ms=config.controller_quorum_request_timeout_ms,
        ),
    )


def metadata_log_config(config: BrokerConfig) -> MetadataLogConfig:
    return MetadataLogConfig(
        segment_bytes=(
            config.internal_metadata_log_segment_bytes or config.metadata_log_segment_bytes
        ),
        segment_ms=config.metadata_log_segment_ms,
        retention_bytes=config.metadata_max_retention_bytes,
        retention_ms=config.metadata_max_retention_ms,
        delete_delay_ms=config.internal_metadata_delete_delay_millis,
        batch_bytes_max=config.internal_metadata_max_batch_size_in_bytes,
    )


def quorum_voters(config: BrokerConfig) -> VoterSet:
    """`controller.quorum.voters` (ID@HOST:PORT); this node alone where it is not set."""
    if not config.controller_quorum_voters:
        return VoterSet.of(ReplicaKey(config.node_id))
    listener = config.controller_listener_names[0]
    voters = {}
    for text in config.controller_quorum_voters:
        node_id, _, address = text.partition("@")
        host, _, port = address.rpartition(":")
        endpoint = Endpoint(host.strip("[]"), int(port))
        voters[int(node_id)] = Voter(ReplicaKey(int(node_id)), ((listener, endpoint),))
    return VoterSet(voters)


class ControllerSchema:
    """The broker's keys as the controller's decisions ask for them."""

    def __init__(self, broker: BrokerConfig) -> None:
        self._broker = broker
        self._schema = ConfigSchema(broker)
        self._plain_topic = TopicConfig({}, broker)

    def is_list(self, resource_type: int, key: str) -> bool:
        return self._schema.is_list(resource_type, key)

    def default_text(self, resource_type: int, key: str) -> str | None:
        found = _KEYS.get(resource_type, {}).get(key)
        return None if found is None else text_of(found.default)

    def check(
        self, resource_type: int, resource_name: str, values: Mapping[str, str]
    ) -> tuple[ErrorCode, str] | None:
        return self._schema.check(resource_type, resource_name, values)

    def effective_topic(self, values: Mapping[str, str]) -> list[EffectiveConfig]:
        described = describe_topic(TopicConfig(values, self._broker))
        return sorted(
            EffectiveConfig(
                each.name, each.value, each.source, each.is_sensitive, each.is_read_only
            )
            for each in described
        )

    def topic_value(self, values: Mapping[str, str], key: str) -> str:
        topic = TopicConfig(values, self._broker) if values else self._plain_topic
        return text_of(topic.resolve(TOPIC_KEYS[key])) or ""


_KEYS: Mapping[int, Mapping[str, Key[Value]]] = {
    ResourceType.TOPIC: TOPIC_KEYS,
    ResourceType.BROKER: BROKER_KEYS,
    ResourceType.GROUP: GROUP_KEYS,
    ResourceType.CLIENT_METRICS: CLIENT_METRICS_KEYS,
}
