"""Rules between several keys of a broker, in the order and with the messages of Kafka's own checks.

Source: GroupCoordinatorConfig, ShareGroupConfig, KafkaConfig.validateValues.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .connections import OVERRIDES, host_limits
from .errors import ConfigError, invalid_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .broker import BrokerConfig

_MEGABYTE = 1 << 20
_AS_THE_WHOLE = -2  # of log.local.retention.*: what log.retention.* says
_CODECS = range(5)  # none, gzip, snappy, lz4, zstd

# (key, relation, key); the relation's name is what the sentence says.
_NOT_LESS, _NOT_MORE, _LESS = (
    "greater than or equal to",
    "less than or equal to",
    "less than",
)


def check_broker(config: BrokerConfig) -> None:
    """ConfigError for the first rule that the values break."""
    _check_codec(config.offsets_topic_compression_codec)
    _check_codec(config.share_coordinator_state_topic_compression_codec)
    if "classic" not in config.group_coordinator_rebalance_protocols:
        raise ConfigError("Disabling the 'classic' protocol is not supported.")
    if len(config.group_share_assignors) != 1:
        raise ConfigError(
            "group.share.assignors must contain exactly one assignor, but found "
            f"{len(config.group_share_assignors)}"
        )
    for first, relation, second in _group_relations():
        _check_relation(config, first, relation, second)
    if config.node_id != config.broker_id:
        raise ConfigError("You must set `node.id` to the same value as `broker.id`.")
    _check_logs(config)
    _check_replication(config)
    _check_cordoned(config)
    _check_connections(config)


def check_update(config: BrokerConfig, names: Iterable[str]) -> None:
    """ConfigError for dynamic values that only a start may have; `names` are the keys that are set.

    Kafka's BrokerReconfigurables: SocketServer, DynamicLogConfig.
    """
    for name in names:
        value = config.value(name)
        match name:
            case "max.connections" | "max.connection.creation.rate" if value == 0:
                raise ConfigError(f"Invalid {name} {value}")
    for kind in ("ms", "bytes"):
        name, whole = f"log.local.retention.{kind}", f"log.retention.{kind}"
        local, limit = config.value(name), _retention(config, kind)
        assert isinstance(local, int)
        if limit < 0 or local == _AS_THE_WHOLE:
            continue
        if local == -1:
            reason = f"Value must not be -1 as {whole} value is set as {limit}."
        elif local > limit:
            reason = f"Value must not be more than {whole} property value: {limit}"
        else:
            continue
        raise invalid_value(name, str(local), reason)


def _retention(config: BrokerConfig, kind: str) -> int:
    """log.retention.ms (with the keys behind it) or log.retention.bytes; negative: no limit."""
    if kind == "bytes":
        return config.log_retention_bytes
    if config.log_retention_ms is not None:
        return config.log_retention_ms
    if config.log_retention_minutes is not None:
        return config.log_retention_minutes * 60_000
    return config.log_retention_hours * 3_600_000


def _group_relations() -> list[tuple[str, str, str]]:
    relations: list[tuple[str, str, str]] = []
    for kind in ("consumer", "share", "streams"):
        group = f"group.{kind}"
        for name in ("heartbeat.interval.ms", "session.timeout.ms", "assignment.interval.ms"):
            low, high = f"{group}.min.{name}", f"{group}.max.{name}"
            if name == "assignment.interval.ms":
                relations.append(
                    (f"{group}.heartbeat.interval.ms", _LESS, f"{group}.session.timeout.ms")
                )
            relations += [
                (high, _NOT_LESS, low),
                (f"{group}.{name}", _NOT_LESS, low),
                (f"{group}.{name}", _NOT_MORE, high),
            ]
    relations.append(
        ("group.streams.num.standby.replicas", _NOT_MORE, "group.streams.max.standby.replicas")
    )
    for name in ("delivery.count.limit", "partition.max.record.locks", "record.lock.duration.ms"):
        share, low, high = (f"group.share.{bound}{name}" for bound in ("", "min.", "max."))
        bounds = [(high, _NOT_LESS, share), (share, _NOT_LESS, low)]
        relations += reversed(bounds) if name == "record.lock.duration.ms" else bounds
    relations.append(("group.share.max.share.sessions", _NOT_LESS, "group.share.max.size"))
    return relations


def _check_relation(config: BrokerConfig, first: str, relation: str, second: str) -> None:
    one, other = config.value(first), config.value(second)
    assert isinstance(one, int)
    assert isinstance(other, int)
    holds = {_NOT_LESS: one >= other, _NOT_MORE: one <= other, _LESS: one < other}[relation]
    if not holds:
        raise ConfigError(f"{first} must be {relation} {second}")


def _check_codec(codec: int) -> None:
    if codec not in _CODECS:
        raise ConfigError(f"Unknown compression type id: {codec}")


def _check_logs(config: BrokerConfig) -> None:
    _check_time(config, "log.roll.ms", ("log.roll.hours",), 1, "greater than or equal to 1")
    _check_time(
        config, "log.roll.jitter.ms", ("log.roll.jitter.hours",), 0, "greater than or equal to 0"
    )
    retention = ("log.retention.minutes", "log.retention.hours")
    _check_time(
        config, "log.retention.ms", retention, 1, "unlimited (-1) or, greater than or equal to 1"
    )
    if config.log_cleaner_threads == 0:
        # Apache Kafka refuses it too, by a division.
        raise ConfigError("log.cleaner.threads must be at least 1")
    if config.log_cleaner_dedupe_buffer_size // config.log_cleaner_threads <= _MEGABYTE:
        raise ConfigError("log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.")


def _check_time(
    config: BrokerConfig, name: str, others: tuple[str, ...], least: int, rule: str
) -> None:
    """The first of the keys that is set must be `least` or more; retention may be negative too."""
    for candidate in (name, *others):
        value = config.value(candidate)
        if value is not None:
            assert isinstance(value, int)
            unlimited = name == "log.retention.ms" and value < 0
            if value < least and not unlimited:
                raise ConfigError(f"{name} must be {rule}")
            return


def _check_replication(config: BrokerConfig) -> None:
    if config.replica_fetch_wait_max_ms > config.replica_socket_timeout_ms:
        raise ConfigError(
            "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms"
            " to prevent unnecessary socket timeouts"
        )
    if config.replica_fetch_wait_max_ms > config.replica_lag_time_max_ms:
        raise ConfigError(
            "replica.fetch.wait.max.ms should always be less than or equal to"
            " replica.lag.time.max.ms to prevent frequent changes in ISR"
        )


def _check_cordoned(config: BrokerConfig) -> None:
    cordoned = config.cordoned_log_dirs
    if "*" in cordoned:
        if len(cordoned) > 1:
            raise ConfigError(
                "When cordoned.log.dirs is set to *, it must not contain other values"
            )
        return
    missing = [path for path in cordoned if path not in (config.log_dirs or config.log_dir)]
    if missing:
        raise ConfigError(
            "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. "
            f"Missing entries : {', '.join(missing)}"
        )


def _check_connections(config: BrokerConfig) -> None:
    limits = host_limits(config.max_connections_per_ip_overrides)
    if config.max_connections_per_ip == 0 and not limits:
        raise ConfigError(
            f"max.connections.per.ip can be set to zero only if {OVERRIDES} property is set."
        )
    delay_ms, idle_ms = (
        config.connection_failed_authentication_delay_ms,
        config.connections_max_idle_ms,
    )
    if 0 <= idle_ms <= delay_ms:
        raise ConfigError(
            f"connection.failed.authentication.delay.ms={delay_ms} should always be less than "
            f"connections.max.idle.ms={idle_ms} to prevent failed authentication responses from "
            "timing out"
        )
    if 0 < config.queued_max_request_bytes < config.socket_request_max_bytes:
        raise ConfigError(
            "queued.max.request.bytes must be larger or equal to socket.request.max.bytes"
        )
