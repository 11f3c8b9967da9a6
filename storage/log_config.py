"""The settings of one partition's log: Kafka's topic configs, parsed, `.` written as `_`.

A log reads `log.config` for each decision. A change replaces the whole object (`update_config`).
Defaults are those of Kafka's LogConfig and ServerConfigs.
"""

from __future__ import annotations

from dataclasses import dataclass

DELETE = "delete"
COMPACT = "compact"

_HOUR_MS = 3_600_000
_INT64_MAX = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """One partition's settings. Times in milliseconds, sizes in bytes; -1 means no limit."""

    cleanup_policy: frozenset[str] = frozenset((DELETE,))
    compression_type: str = "producer"  # or uncompressed, gzip, snappy, lz4, zstd
    compression_gzip_level: int = -1
    compression_lz4_level: int = 9
    compression_zstd_level: int = 3
    delete_retention_ms: int = 24 * _HOUR_MS
    file_delete_delay_ms: int = 60_000
    flush_messages: int = _INT64_MAX
    flush_ms: int = _INT64_MAX
    index_interval_bytes: int = 4096
    max_compaction_lag_ms: int = _INT64_MAX
    max_message_bytes: int = 1024 * 1024 + 12
    message_timestamp_type: str = "CreateTime"  # or LogAppendTime
    message_timestamp_before_max_ms: int = _INT64_MAX
    message_timestamp_after_max_ms: int = _HOUR_MS
    min_cleanable_dirty_ratio: float = 0.5
    min_compaction_lag_ms: int = 0
    min_insync_replicas: int = 1
    preallocate: bool = False
    producer_id_expiration_ms: int = 24 * _HOUR_MS
    retention_bytes: int = -1
    retention_ms: int = 7 * 24 * _HOUR_MS
    segment_bytes: int = 1 << 30
    segment_index_bytes: int = 10 * 1024 * 1024
    segment_jitter_ms: int = 0
    segment_ms: int = 7 * 24 * _HOUR_MS
    unclean_leader_election_enable: bool = False

    @property
    def deletes(self) -> bool:
        """Whether old segments go by time and size."""
        return DELETE in self.cleanup_policy

    @property
    def compacts(self) -> bool:
        """Whether the log keeps only the last record of a key."""
        return COMPACT in self.cleanup_policy
