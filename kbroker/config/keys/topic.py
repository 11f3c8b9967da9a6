"""Keys of a topic. Each key's `synonyms` are the broker keys that give its default."""

from __future__ import annotations

from kbroker.config.key import (
    BOOLEAN,
    DOUBLE,
    INT,
    LIST,
    LONG,
    STRING,
    Key,
    Keyed,
    Strings,
    Synonym,
)
from kbroker.config.validators import (
    at_least,
    between,
    gzip_level,
    list_of,
    one_of,
    throttled_replicas,
)
from kbroker.config.values import ARRAY_MAX, LONG_MAX


class TopicKeys(Keyed):
    """A topic's keys; `synonyms` are the broker keys that give their defaults."""

    cleanup_policy = Key[Strings](
        "cleanup.policy",
        LIST,
        ("delete",),
        list_of("compact", "delete", empty=True),
        synonyms=(Synonym("log.cleanup.policy"),),
        doc="What happens to old records: delete, or compact, which is accepted but not "
        "implemented yet.",
    )
    compression_gzip_level = Key(
        "compression.gzip.level",
        INT,
        -1,
        gzip_level,
        synonyms=(Synonym("compression.gzip.level"),),
        doc="The gzip compression level; -1 means the default of gzip.",
    )
    compression_lz4_level = Key(
        "compression.lz4.level",
        INT,
        9,
        between(1, 17),
        synonyms=(Synonym("compression.lz4.level"),),
        doc="The lz4 compression level.",
    )
    compression_type = Key(
        "compression.type",
        STRING,
        "producer",
        one_of("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
        synonyms=(Synonym("compression.type"),),
        doc="The compression codec of stored batches; producer keeps the codec that the "
        "producer chose.",
    )
    compression_zstd_level = Key(
        "compression.zstd.level",
        INT,
        3,
        between(-131_072, 22),
        synonyms=(Synonym("compression.zstd.level"),),
        doc="The zstd compression level.",
    )
    delete_retention_ms = Key(
        "delete.retention.ms",
        LONG,
        86_400_000,
        at_least(0),
        synonyms=(Synonym("log.cleaner.delete.retention.ms"),),
    )
    errors_deadletterqueue_group_enable = Key("errors.deadletterqueue.group.enable", BOOLEAN, False)
    file_delete_delay_ms = Key(
        "file.delete.delay.ms",
        LONG,
        60_000,
        at_least(0),
        synonyms=(Synonym("log.segment.delete.delay.ms"),),
        doc="How long the files of a deleted segment stay on disk.",
    )
    flush_messages = Key(
        "flush.messages",
        LONG,
        LONG_MAX,
        at_least(1),
        synonyms=(Synonym("log.flush.interval.messages"),),
        doc="The number of records after which a partition is synced to disk.",
    )
    flush_ms = Key(
        "flush.ms",
        LONG,
        LONG_MAX,
        at_least(0),
        synonyms=(
            Synonym("log.flush.interval.ms"),
            Synonym("log.flush.scheduler.interval.ms"),
        ),
        doc="The longest time before a record is synced to disk.",
    )
    follower_replication_throttled_replicas = Key[Strings](
        "follower.replication.throttled.replicas", LIST, (), throttled_replicas
    )
    index_interval_bytes = Key(
        "index.interval.bytes",
        INT,
        4096,
        at_least(0),
        synonyms=(Synonym("log.index.interval.bytes"),),
        doc="The number of bytes of records between two index entries.",
    )
    internal_segment_bytes = Key[int | None](
        "internal.segment.bytes",
        INT,
        None,
        internal=True,
        doc="The size at which a new segment is started, without the lower bound of segment.bytes.",
    )
    leader_replication_throttled_replicas = Key[Strings](
        "leader.replication.throttled.replicas", LIST, (), throttled_replicas
    )
    local_retention_bytes = Key(
        "local.retention.bytes",
        LONG,
        -2,
        at_least(-2),
        synonyms=(Synonym("log.local.retention.bytes"),),
    )
    local_retention_ms = Key(
        "local.retention.ms", LONG, -2, at_least(-2), synonyms=(Synonym("log.local.retention.ms"),)
    )
    max_compaction_lag_ms = Key(
        "max.compaction.lag.ms",
        LONG,
        LONG_MAX,
        at_least(1),
        synonyms=(Synonym("log.cleaner.max.compaction.lag.ms"),),
    )
    max_decompressed_message_bytes = Key(
        "max.decompressed.message.bytes",
        INT,
        ARRAY_MAX,
        between(1, ARRAY_MAX),
        synonyms=(Synonym("max.decompressed.message.bytes"),),
    )
    max_message_bytes = Key(
        "max.message.bytes",
        INT,
        1_048_588,
        at_least(0),
        synonyms=(Synonym("message.max.bytes"),),
        doc="The largest size of a record batch.",
    )
    message_timestamp_after_max_ms = Key(
        "message.timestamp.after.max.ms",
        LONG,
        3_600_000,
        at_least(0),
        synonyms=(Synonym("log.message.timestamp.after.max.ms"),),
        doc="How far the timestamp of a record may be ahead of the broker's clock.",
    )
    message_timestamp_before_max_ms = Key(
        "message.timestamp.before.max.ms",
        LONG,
        LONG_MAX,
        at_least(0),
        synonyms=(Synonym("log.message.timestamp.before.max.ms"),),
        doc="How far the timestamp of a record may be behind the broker's clock.",
    )
    message_timestamp_type = Key(
        "message.timestamp.type",
        STRING,
        "CreateTime",
        one_of("CreateTime", "LogAppendTime"),
        synonyms=(Synonym("log.message.timestamp.type"),),
        doc="Whether a record keeps the timestamp of the producer (CreateTime) or gets that "
        "of the broker (LogAppendTime).",
    )
    min_cleanable_dirty_ratio = Key(
        "min.cleanable.dirty.ratio",
        DOUBLE,
        0.5,
        between(0, 1),
        synonyms=(Synonym("log.cleaner.min.cleanable.ratio"),),
    )
    min_compaction_lag_ms = Key(
        "min.compaction.lag.ms",
        LONG,
        0,
        at_least(0),
        synonyms=(Synonym("log.cleaner.min.compaction.lag.ms"),),
    )
    min_insync_replicas = Key(
        "min.insync.replicas",
        INT,
        1,
        at_least(1),
        synonyms=(Synonym("min.insync.replicas"),),
        doc="The number of replicas that must be in sync for a write with acks=all.",
    )
    preallocate = Key(
        "preallocate",
        BOOLEAN,
        False,
        synonyms=(Synonym("log.preallocate"),),
        doc="Whether the file of a new segment is created at its full size.",
    )
    remote_copy_lag_bytes = Key(
        "remote.copy.lag.bytes",
        LONG,
        -1,
        at_least(-1),
        synonyms=(Synonym("log.remote.copy.lag.bytes"),),
    )
    remote_copy_lag_ms = Key(
        "remote.copy.lag.ms",
        LONG,
        0,
        at_least(-1),
        synonyms=(Synonym("log.remote.copy.lag.ms"),),
    )
    remote_log_copy_disable = Key("remote.log.copy.disable", BOOLEAN, False)
    remote_log_delete_on_disable = Key("remote.log.delete.on.disable", BOOLEAN, False)
    remote_storage_enable = Key("remote.storage.enable", BOOLEAN, False)
    retention_bytes = Key(
        "retention.bytes",
        LONG,
        -1,
        synonyms=(Synonym("log.retention.bytes"),),
        doc="The size of a partition above which its oldest segments are deleted; -1 means no "
        "limit.",
    )
    retention_ms = Key(
        "retention.ms",
        LONG,
        604_800_000,
        at_least(-1),
        synonyms=(
            Synonym("log.retention.ms"),
            Synonym("log.retention.minutes", 60_000),
            Synonym("log.retention.hours", 3_600_000),
        ),
        doc="The age at which segments are deleted; -1 means never.",
    )
    segment_bytes = Key(
        "segment.bytes",
        INT,
        1_073_741_824,
        at_least(1_048_576),
        synonyms=(Synonym("log.segment.bytes"),),
        doc="The size at which a new segment is started.",
    )
    segment_index_bytes = Key(
        "segment.index.bytes",
        INT,
        10_485_760,
        at_least(4),
        synonyms=(Synonym("log.index.size.max.bytes"),),
        doc="The size at which an index is full and a new segment is started.",
    )
    segment_jitter_ms = Key(
        "segment.jitter.ms",
        LONG,
        0,
        at_least(0),
        synonyms=(
            Synonym("log.roll.jitter.ms"),
            Synonym("log.roll.jitter.hours", 3_600_000),
        ),
        doc="The largest random amount that is subtracted from segment.ms.",
    )
    segment_ms = Key(
        "segment.ms",
        LONG,
        604_800_000,
        at_least(1),
        synonyms=(
            Synonym("log.roll.ms"),
            Synonym("log.roll.hours", 3_600_000),
        ),
        doc="The age at which a new segment is started.",
    )
    unclean_leader_election_enable = Key(
        "unclean.leader.election.enable",
        BOOLEAN,
        False,
        synonyms=(Synonym("unclean.leader.election.enable"),),
        doc="Whether a replica that is not in sync may become leader.",
    )
