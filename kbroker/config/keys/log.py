"""Keys of partition logs: directories, segments, retention, flush, cleaner, topic defaults."""

from __future__ import annotations

from kbroker.config.key import (
    BOOLEAN,
    CLUSTER_WIDE,
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
from kbroker.config.validators import at_least, between, gzip_level, list_of, one_of
from kbroker.config.values import ARRAY_MAX, DOUBLE_MAX, LONG_MAX

RETENTION = (
    Synonym("log.retention.ms"),
    Synonym("log.retention.minutes", 60_000),
    Synonym("log.retention.hours", 3_600_000),
)
ROLL = (Synonym("log.roll.ms"), Synonym("log.roll.hours", 3_600_000))
ROLL_JITTER = (Synonym("log.roll.jitter.ms"), Synonym("log.roll.jitter.hours", 3_600_000))
FLUSH_MS = (Synonym("log.flush.interval.ms"), Synonym("log.flush.scheduler.interval.ms"))


class LogKeys(Keyed):
    """Partition logs; most of these keys are the defaults of a topic's."""

    background_threads = Key("background.threads", INT, 10, at_least(1), scope=CLUSTER_WIDE)
    compression_gzip_level = Key(
        "compression.gzip.level",
        INT,
        -1,
        gzip_level,
        scope=CLUSTER_WIDE,
        doc="The gzip compression level; -1 means the default of gzip.",
    )
    compression_lz4_level = Key(
        "compression.lz4.level",
        INT,
        9,
        between(1, 17),
        scope=CLUSTER_WIDE,
        doc="The lz4 compression level.",
    )
    compression_type = Key(
        "compression.type",
        STRING,
        "producer",
        one_of("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
        scope=CLUSTER_WIDE,
        doc="The compression codec of stored batches; producer keeps the codec that the "
        "producer chose.",
    )
    compression_zstd_level = Key(
        "compression.zstd.level",
        INT,
        3,
        between(-131_072, 22),
        scope=CLUSTER_WIDE,
        doc="The zstd compression level.",
    )
    log_cleaner_backoff_ms = Key(
        "log.cleaner.backoff.ms",
        LONG,
        15_000,
        at_least(0),
        scope=CLUSTER_WIDE,
    )
    log_cleaner_dedupe_buffer_size = Key(
        "log.cleaner.dedupe.buffer.size", LONG, 134_217_728, scope=CLUSTER_WIDE
    )
    log_cleaner_delete_retention_ms = Key(
        "log.cleaner.delete.retention.ms",
        LONG,
        86_400_000,
        at_least(0),
        scope=CLUSTER_WIDE,
    )
    log_cleaner_enable = Key("log.cleaner.enable", BOOLEAN, True)
    log_cleaner_io_buffer_load_factor = Key(
        "log.cleaner.io.buffer.load.factor", DOUBLE, 0.9, scope=CLUSTER_WIDE
    )
    log_cleaner_io_buffer_size = Key(
        "log.cleaner.io.buffer.size", INT, 524_288, at_least(0), scope=CLUSTER_WIDE
    )
    log_cleaner_io_max_bytes_per_second = Key(
        "log.cleaner.io.max.bytes.per.second", DOUBLE, DOUBLE_MAX, scope=CLUSTER_WIDE
    )
    log_cleaner_max_compaction_lag_ms = Key(
        "log.cleaner.max.compaction.lag.ms",
        LONG,
        LONG_MAX,
        at_least(1),
        scope=CLUSTER_WIDE,
    )
    log_cleaner_min_cleanable_ratio = Key(
        "log.cleaner.min.cleanable.ratio",
        DOUBLE,
        0.5,
        between(0, 1),
        scope=CLUSTER_WIDE,
    )
    log_cleaner_min_compaction_lag_ms = Key(
        "log.cleaner.min.compaction.lag.ms",
        LONG,
        0,
        at_least(0),
        scope=CLUSTER_WIDE,
    )
    log_cleaner_threads = Key("log.cleaner.threads", INT, 1, at_least(0), scope=CLUSTER_WIDE)
    log_cleanup_policy = Key[Strings](
        "log.cleanup.policy",
        LIST,
        ("delete",),
        list_of("compact", "delete", empty=True),
        scope=CLUSTER_WIDE,
        doc="What happens to old records: delete, or compact, which is accepted but not "
        "implemented yet.",
    )
    log_dir = Key[Strings](
        "log.dir",
        LIST,
        ("/tmp/kafka-logs",),
        list_of(),
        doc="The directory of the partition logs; used if log.dirs is not set.",
    )
    log_dirs = Key[Strings | None](
        "log.dirs",
        LIST,
        None,
        list_of(null=True),
        doc="The directories of the partition logs; if not set, log.dir.",
    )
    log_flush_interval_messages = Key(
        "log.flush.interval.messages",
        LONG,
        LONG_MAX,
        at_least(1),
        scope=CLUSTER_WIDE,
        doc="The number of records after which a partition is synced to disk.",
    )
    log_flush_interval_ms = Key[int | None](
        "log.flush.interval.ms",
        LONG,
        None,
        scope=CLUSTER_WIDE,
        synonyms=FLUSH_MS,
        doc="The longest time before a record is synced to disk; if not set, "
        "log.flush.scheduler.interval.ms.",
    )
    log_flush_offset_checkpoint_interval_ms = Key(
        "log.flush.offset.checkpoint.interval.ms",
        INT,
        60_000,
        at_least(0),
        doc="How often recovery points are written to their checkpoint file.",
    )
    log_flush_scheduler_interval_ms = Key(
        "log.flush.scheduler.interval.ms",
        LONG,
        LONG_MAX,
        doc="How often logs are checked for records that must be synced.",
    )
    log_flush_start_offset_checkpoint_interval_ms = Key(
        "log.flush.start.offset.checkpoint.interval.ms",
        INT,
        60_000,
        at_least(0),
    )
    log_index_interval_bytes = Key(
        "log.index.interval.bytes",
        INT,
        4096,
        at_least(0),
        scope=CLUSTER_WIDE,
        doc="The number of bytes of records between two index entries.",
    )
    log_index_size_max_bytes = Key(
        "log.index.size.max.bytes",
        INT,
        10_485_760,
        at_least(4),
        scope=CLUSTER_WIDE,
        doc="The size at which an index is full and a new segment is started.",
    )
    log_initial_task_delay_ms = Key(
        "log.initial.task.delay.ms",
        LONG,
        30_000,
        at_least(0),
        internal=True,
        doc="How long after the start the background work on logs begins.",
    )
    log_local_retention_bytes = Key(
        "log.local.retention.bytes", LONG, -2, at_least(-2), scope=CLUSTER_WIDE
    )
    log_local_retention_ms = Key(
        "log.local.retention.ms", LONG, -2, at_least(-2), scope=CLUSTER_WIDE
    )
    log_message_timestamp_after_max_ms = Key(
        "log.message.timestamp.after.max.ms",
        LONG,
        3_600_000,
        at_least(0),
        scope=CLUSTER_WIDE,
        doc="How far the timestamp of a record may be ahead of the broker's clock.",
    )
    log_message_timestamp_before_max_ms = Key(
        "log.message.timestamp.before.max.ms",
        LONG,
        LONG_MAX,
        at_least(0),
        scope=CLUSTER_WIDE,
        doc="How far the timestamp of a record may be behind the broker's clock.",
    )
    log_message_timestamp_type = Key(
        "log.message.timestamp.type",
        STRING,
        "CreateTime",
        one_of("CreateTime", "LogAppendTime"),
        scope=CLUSTER_WIDE,
        doc="Whether a record keeps the timestamp of the producer (CreateTime) or gets that "
        "of the broker (LogAppendTime).",
    )
    log_preallocate = Key(
        "log.preallocate",
        BOOLEAN,
        False,
        scope=CLUSTER_WIDE,
        doc="Whether the file of a new segment is created at its full size.",
    )
    log_retention_bytes = Key(
        "log.retention.bytes",
        LONG,
        -1,
        scope=CLUSTER_WIDE,
        doc="The size of a partition above which its oldest segments are deleted; -1 means no "
        "limit.",
    )
    log_retention_check_interval_ms = Key(
        "log.retention.check.interval.ms",
        LONG,
        300_000,
        at_least(1),
        doc="How often logs are checked for segments to delete.",
    )
    log_retention_hours = Key(
        "log.retention.hours",
        INT,
        168,
        synonyms=RETENTION,
        doc="The age at which segments are deleted, in hours.",
    )
    log_retention_minutes = Key[int | None](
        "log.retention.minutes",
        INT,
        None,
        synonyms=RETENTION,
        doc="The age at which segments are deleted, in minutes; if not set, log.retention.hours.",
    )
    log_retention_ms = Key[int | None](
        "log.retention.ms",
        LONG,
        None,
        scope=CLUSTER_WIDE,
        synonyms=RETENTION,
        doc="The age at which segments are deleted; -1 means never; if not set, "
        "log.retention.minutes.",
    )
    log_roll_hours = Key(
        "log.roll.hours",
        INT,
        168,
        at_least(1),
        synonyms=ROLL,
        doc="The age at which a new segment is started, in hours.",
    )
    log_roll_jitter_hours = Key(
        "log.roll.jitter.hours",
        INT,
        0,
        at_least(0),
        synonyms=ROLL_JITTER,
        doc="The largest random amount that is subtracted from the age at which a new segment "
        "is started, in hours.",
    )
    log_roll_jitter_ms = Key[int | None](
        "log.roll.jitter.ms",
        LONG,
        None,
        scope=CLUSTER_WIDE,
        synonyms=ROLL_JITTER,
        doc="The largest random amount that is subtracted from log.roll.ms; if not set, "
        "log.roll.jitter.hours.",
    )
    log_roll_ms = Key[int | None](
        "log.roll.ms",
        LONG,
        None,
        scope=CLUSTER_WIDE,
        synonyms=ROLL,
        doc="The age at which a new segment is started; if not set, log.roll.hours.",
    )
    log_segment_bytes = Key(
        "log.segment.bytes",
        INT,
        1_073_741_824,
        at_least(1_048_576),
        scope=CLUSTER_WIDE,
        doc="The size at which a new segment is started.",
    )
    log_segment_delete_delay_ms = Key(
        "log.segment.delete.delay.ms",
        LONG,
        60_000,
        at_least(0),
        scope=CLUSTER_WIDE,
        doc="How long the files of a deleted segment stay on disk.",
    )
    max_decompressed_message_bytes = Key(
        "max.decompressed.message.bytes",
        INT,
        ARRAY_MAX,
        between(1, ARRAY_MAX),
        scope=CLUSTER_WIDE,
    )
    message_max_bytes = Key(
        "message.max.bytes",
        INT,
        1_048_588,
        at_least(0),
        scope=CLUSTER_WIDE,
        doc="The largest size of a record batch.",
    )
    min_insync_replicas = Key(
        "min.insync.replicas",
        INT,
        1,
        at_least(1),
        scope=CLUSTER_WIDE,
        doc="The number of replicas that must be in sync for a write with acks=all.",
    )
    num_recovery_threads_per_data_dir = Key(
        "num.recovery.threads.per.data.dir", INT, 2, at_least(1), scope=CLUSTER_WIDE
    )
    unclean_leader_election_enable = Key(
        "unclean.leader.election.enable",
        BOOLEAN,
        False,
        scope=CLUSTER_WIDE,
        doc="Whether a replica that is not in sync may become leader.",
    )
