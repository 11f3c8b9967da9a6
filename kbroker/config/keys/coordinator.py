"""Keys of the groups of all protocols, offsets, transactions, producer ids and share state."""

from __future__ import annotations

from kbroker.config.key import (
    BOOLEAN,
    CLASS,
    CLUSTER_WIDE,
    INT,
    LIST,
    LONG,
    SHORT,
    STRING,
    Key,
    Keyed,
    Strings,
)
from kbroker.config.validators import at_least, between, list_of, one_of_any_case
from kbroker.config.values import INT_MAX


class CoordinatorKeys(Keyed):
    """Groups of all protocols, offsets, transactions, producer ids, share state."""

    add_partitions_to_txn_retry_backoff_max_ms = Key(
        "add.partitions.to.txn.retry.backoff.max.ms", INT, 100, at_least(0)
    )
    add_partitions_to_txn_retry_backoff_ms = Key(
        "add.partitions.to.txn.retry.backoff.ms", INT, 20, at_least(1)
    )
    errors_deadletterqueue_auto_create_topics_enable = Key(
        "errors.deadletterqueue.auto.create.topics.enable", BOOLEAN, False, scope=CLUSTER_WIDE
    )
    errors_deadletterqueue_topic_name_prefix = Key(
        "errors.deadletterqueue.topic.name.prefix", STRING, "dlq.", scope=CLUSTER_WIDE
    )
    group_consumer_assignment_interval_ms = Key(
        "group.consumer.assignment.interval.ms", INT, 1000, at_least(0), scope=CLUSTER_WIDE
    )
    group_consumer_assignor_offload_enable = Key(
        "group.consumer.assignor.offload.enable", BOOLEAN, True, scope=CLUSTER_WIDE, internal=True
    )
    group_consumer_assignors = Key[Strings](
        "group.consumer.assignors",
        LIST,
        (
            "uniform",
            "range",
        ),
        list_of(),
    )
    group_consumer_heartbeat_interval_ms = Key(
        "group.consumer.heartbeat.interval.ms", INT, 5000, at_least(1)
    )
    group_consumer_max_assignment_interval_ms = Key(
        "group.consumer.max.assignment.interval.ms", INT, 15_000, at_least(0)
    )
    group_consumer_max_heartbeat_interval_ms = Key(
        "group.consumer.max.heartbeat.interval.ms", INT, 15_000, at_least(1)
    )
    group_consumer_max_session_timeout_ms = Key(
        "group.consumer.max.session.timeout.ms", INT, 60_000, at_least(1)
    )
    group_consumer_max_size = Key("group.consumer.max.size", INT, INT_MAX, at_least(1))
    group_consumer_migration_policy = Key(
        "group.consumer.migration.policy",
        STRING,
        "bidirectional",
        one_of_any_case("DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"),
    )
    group_consumer_min_assignment_interval_ms = Key(
        "group.consumer.min.assignment.interval.ms", INT, 0, at_least(0)
    )
    group_consumer_min_heartbeat_interval_ms = Key(
        "group.consumer.min.heartbeat.interval.ms", INT, 5000, at_least(1)
    )
    group_consumer_min_session_timeout_ms = Key(
        "group.consumer.min.session.timeout.ms", INT, 45_000, at_least(1)
    )
    group_consumer_regex_refresh_interval_ms = Key(
        "group.consumer.regex.refresh.interval.ms", INT, 600_000, at_least(10_000), internal=True
    )
    group_consumer_session_timeout_ms = Key(
        "group.consumer.session.timeout.ms", INT, 45_000, at_least(1)
    )
    group_coordinator_append_linger_ms = Key(
        "group.coordinator.append.linger.ms", INT, -1, at_least(-1)
    )
    group_coordinator_background_threads = Key(
        "group.coordinator.background.threads", INT, 2, at_least(1)
    )
    group_coordinator_cached_buffer_max_bytes = Key(
        "group.coordinator.cached.buffer.max.bytes",
        INT,
        1_048_588,
        at_least(524_288),
        scope=CLUSTER_WIDE,
    )
    group_coordinator_rebalance_protocols = Key[Strings](
        "group.coordinator.rebalance.protocols",
        LIST,
        (
            "classic",
            "consumer",
            "streams",
        ),
        list_of("consumer", "classic", "share", "streams"),
    )
    group_coordinator_threads = Key("group.coordinator.threads", INT, 4, at_least(1))
    group_initial_rebalance_delay_ms = Key(
        "group.initial.rebalance.delay.ms",
        INT,
        3000,
        doc="How long the first rebalance of an empty classic group waits for more members.",
    )
    group_max_session_timeout_ms = Key(
        "group.max.session.timeout.ms",
        INT,
        1_800_000,
        doc="The longest session timeout that a member of a classic group can request.",
    )
    group_max_size = Key(
        "group.max.size",
        INT,
        INT_MAX,
        at_least(1),
        doc="The largest number of members of a classic group.",
    )
    group_min_session_timeout_ms = Key(
        "group.min.session.timeout.ms",
        INT,
        6000,
        doc="The shortest session timeout that a member of a classic group can request.",
    )
    group_share_assignment_interval_ms = Key(
        "group.share.assignment.interval.ms", INT, 1000, at_least(0), scope=CLUSTER_WIDE
    )
    group_share_assignor_offload_enable = Key(
        "group.share.assignor.offload.enable", BOOLEAN, True, scope=CLUSTER_WIDE, internal=True
    )
    group_share_assignors = Key[Strings]("group.share.assignors", LIST, ("simple",), list_of())
    group_share_delivery_count_limit = Key(
        "group.share.delivery.count.limit", INT, 5, between(2, 10)
    )
    group_share_dlq_manager_class_name = Key(
        "group.share.dlq.manager.class.name",
        STRING,
        "org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager",
        internal=True,
    )
    group_share_heartbeat_interval_ms = Key(
        "group.share.heartbeat.interval.ms", INT, 5000, at_least(1)
    )
    group_share_initialize_retry_interval_ms = Key(
        "group.share.initialize.retry.interval.ms", INT, 30_000, at_least(1), internal=True
    )
    group_share_max_assignment_interval_ms = Key(
        "group.share.max.assignment.interval.ms", INT, 15_000, at_least(0)
    )
    group_share_max_delivery_count_limit = Key(
        "group.share.max.delivery.count.limit", INT, 10, between(5, 25)
    )
    group_share_max_heartbeat_interval_ms = Key(
        "group.share.max.heartbeat.interval.ms", INT, 15_000, at_least(1)
    )
    group_share_max_partition_max_record_locks = Key(
        "group.share.max.partition.max.record.locks", INT, 4000, between(2000, 10_000)
    )
    group_share_max_record_lock_duration_ms = Key(
        "group.share.max.record.lock.duration.ms", INT, 60_000, between(30_000, 3_600_000)
    )
    group_share_max_session_timeout_ms = Key(
        "group.share.max.session.timeout.ms", INT, 60_000, at_least(1)
    )
    group_share_max_share_sessions = Key("group.share.max.share.sessions", INT, 2000, at_least(1))
    group_share_max_size = Key("group.share.max.size", INT, 200, between(1, 1000))
    group_share_min_assignment_interval_ms = Key(
        "group.share.min.assignment.interval.ms", INT, 0, at_least(0)
    )
    group_share_min_delivery_count_limit = Key(
        "group.share.min.delivery.count.limit", INT, 2, between(2, 5)
    )
    group_share_min_heartbeat_interval_ms = Key(
        "group.share.min.heartbeat.interval.ms", INT, 5000, at_least(1)
    )
    group_share_min_partition_max_record_locks = Key(
        "group.share.min.partition.max.record.locks", INT, 100, between(100, 2000)
    )
    group_share_min_record_lock_duration_ms = Key(
        "group.share.min.record.lock.duration.ms", INT, 15_000, between(1000, 30_000)
    )
    group_share_min_session_timeout_ms = Key(
        "group.share.min.session.timeout.ms", INT, 45_000, at_least(1)
    )
    group_share_partition_max_record_locks = Key(
        "group.share.partition.max.record.locks", INT, 2000, between(100, 10_000)
    )
    group_share_persister_class_name = Key(
        "group.share.persister.class.name",
        STRING,
        "org.apache.kafka.server.share.persister.DefaultStatePersister",
        internal=True,
    )
    group_share_record_lock_duration_ms = Key(
        "group.share.record.lock.duration.ms", INT, 30_000, between(1000, 3_600_000)
    )
    group_share_session_timeout_ms = Key("group.share.session.timeout.ms", INT, 45_000, at_least(1))
    group_streams_acceptable_recovery_lag = Key(
        "group.streams.acceptable.recovery.lag", LONG, 10_000, at_least(0), internal=True
    )
    group_streams_assignment_interval_ms = Key(
        "group.streams.assignment.interval.ms", INT, 1000, at_least(0), scope=CLUSTER_WIDE
    )
    group_streams_assignor_offload_enable = Key(
        "group.streams.assignor.offload.enable", BOOLEAN, True, scope=CLUSTER_WIDE, internal=True
    )
    group_streams_assignors = Key[Strings]("group.streams.assignors", LIST, ("sticky",), list_of())
    group_streams_heartbeat_interval_ms = Key(
        "group.streams.heartbeat.interval.ms", INT, 5000, at_least(1)
    )
    group_streams_initial_rebalance_delay_ms = Key(
        "group.streams.initial.rebalance.delay.ms", INT, 3000, at_least(0)
    )
    group_streams_max_assignment_interval_ms = Key(
        "group.streams.max.assignment.interval.ms", INT, 15_000, at_least(0)
    )
    group_streams_max_heartbeat_interval_ms = Key(
        "group.streams.max.heartbeat.interval.ms", INT, 15_000, at_least(1)
    )
    group_streams_max_session_timeout_ms = Key(
        "group.streams.max.session.timeout.ms", INT, 60_000, at_least(1)
    )
    group_streams_max_size = Key("group.streams.max.size", INT, INT_MAX, at_least(1))
    group_streams_max_standby_replicas = Key(
        "group.streams.max.standby.replicas", INT, 2, at_least(0)
    )
    group_streams_max_warmup_replicas = Key(
        "group.streams.max.warmup.replicas", INT, 20, at_least(0), internal=True
    )
    group_streams_min_assignment_interval_ms = Key(
        "group.streams.min.assignment.interval.ms", INT, 0, at_least(0)
    )
    group_streams_min_heartbeat_interval_ms = Key(
        "group.streams.min.heartbeat.interval.ms", INT, 5000, at_least(1)
    )
    group_streams_min_session_timeout_ms = Key(
        "group.streams.min.session.timeout.ms", INT, 45_000, at_least(1)
    )
    group_streams_min_task_offset_interval_ms = Key(
        "group.streams.min.task.offset.interval.ms", INT, 15_000, at_least(1), internal=True
    )
    group_streams_num_standby_replicas = Key(
        "group.streams.num.standby.replicas", INT, 0, at_least(0)
    )
    group_streams_num_warmup_replicas = Key(
        "group.streams.num.warmup.replicas", INT, 2, at_least(0), internal=True
    )
    group_streams_rack_aware_assignment_tags = Key[Strings](
        "group.streams.rack.aware.assignment.tags", LIST, (), list_of(empty=True)
    )
    group_streams_session_timeout_ms = Key(
        "group.streams.session.timeout.ms", INT, 45_000, at_least(1)
    )
    group_streams_task_offset_interval_ms = Key(
        "group.streams.task.offset.interval.ms", INT, 60_000, at_least(1), internal=True
    )
    group_streams_topology_description_plugin_class = Key[str | None](
        "group.streams.topology.description.plugin.class", CLASS, None
    )
    offset_metadata_max_bytes = Key(
        "offset.metadata.max.bytes",
        INT,
        4096,
        doc="The largest size, in bytes, of the metadata committed with an offset.",
    )
    offsets_commit_timeout_ms = Key(
        "offsets.commit.timeout.ms",
        INT,
        5000,
        at_least(1),
        doc="How long an offset commit may wait to be replicated.",
    )
    offsets_load_buffer_size = Key(
        "offsets.load.buffer.size",
        INT,
        5_242_880,
        at_least(1),
        doc="The number of bytes that are read at a time when offsets are loaded.",
    )
    offsets_retention_check_interval_ms = Key(
        "offsets.retention.check.interval.ms",
        LONG,
        600_000,
        at_least(1),
        doc="How often expired offsets are looked for.",
    )
    offsets_retention_minutes = Key(
        "offsets.retention.minutes",
        INT,
        10_080,
        at_least(1),
        doc="How long the offsets of an empty group, or of a topic no longer subscribed to, "
        "are kept.",
    )
    offsets_topic_compression_codec = Key(
        "offsets.topic.compression.codec",
        INT,
        0,
        doc="The compression codec of __consumer_offsets: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.",
    )
    offsets_topic_num_partitions = Key(
        "offsets.topic.num.partitions",
        INT,
        50,
        at_least(1),
        doc="The number of partitions of __consumer_offsets when it is created.",
    )
    offsets_topic_replication_factor = Key(
        "offsets.topic.replication.factor",
        SHORT,
        3,
        at_least(1),
        doc="The number of replicas of __consumer_offsets when it is created.",
    )
    offsets_topic_segment_bytes = Key(
        "offsets.topic.segment.bytes",
        INT,
        104_857_600,
        at_least(1),
        doc="The segment size of __consumer_offsets.",
    )
    producer_id_expiration_check_interval_ms = Key(
        "producer.id.expiration.check.interval.ms",
        INT,
        600_000,
        at_least(1),
        internal=True,
        doc="How often producers that have expired are looked for.",
    )
    producer_id_expiration_ms = Key(
        "producer.id.expiration.ms",
        INT,
        86_400_000,
        at_least(1),
        scope=CLUSTER_WIDE,
        doc="How long a partition remembers a producer that has stopped writing.",
    )
    share_coordinator_append_linger_ms = Key(
        "share.coordinator.append.linger.ms", INT, -1, at_least(-1)
    )
    share_coordinator_cached_buffer_max_bytes = Key(
        "share.coordinator.cached.buffer.max.bytes",
        INT,
        1_048_588,
        at_least(524_288),
        scope=CLUSTER_WIDE,
    )
    share_coordinator_cold_partition_snapshot_interval_ms = Key(
        "share.coordinator.cold.partition.snapshot.interval.ms",
        INT,
        300_000,
        at_least(1),
        internal=True,
    )
    share_coordinator_load_buffer_size = Key(
        "share.coordinator.load.buffer.size", INT, 5_242_880, at_least(1)
    )
    share_coordinator_snapshot_update_records_per_snapshot = Key(
        "share.coordinator.snapshot.update.records.per.snapshot", INT, 500, between(0, 500)
    )
    share_coordinator_state_topic_compression_codec = Key(
        "share.coordinator.state.topic.compression.codec", INT, 0
    )
    share_coordinator_state_topic_min_isr = Key(
        "share.coordinator.state.topic.min.isr", SHORT, 2, at_least(1)
    )
    share_coordinator_state_topic_num_partitions = Key(
        "share.coordinator.state.topic.num.partitions", INT, 50, at_least(1)
    )
    share_coordinator_state_topic_prune_interval_ms = Key(
        "share.coordinator.state.topic.prune.interval.ms", INT, 300_000, at_least(1), internal=True
    )
    share_coordinator_state_topic_replication_factor = Key(
        "share.coordinator.state.topic.replication.factor", SHORT, 3, at_least(1)
    )
    share_coordinator_state_topic_segment_bytes = Key(
        "share.coordinator.state.topic.segment.bytes", INT, 104_857_600, at_least(1)
    )
    share_coordinator_threads = Key("share.coordinator.threads", INT, 1, at_least(1))
    share_coordinator_write_timeout_ms = Key(
        "share.coordinator.write.timeout.ms", INT, 5000, at_least(1)
    )
    share_fetch_purgatory_purge_interval_requests = Key(
        "share.fetch.purgatory.purge.interval.requests", INT, 1000
    )
    transaction_abort_timed_out_transaction_cleanup_interval_ms = Key(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms", INT, 10_000, at_least(1)
    )
    transaction_max_timeout_ms = Key("transaction.max.timeout.ms", INT, 900_000, at_least(1))
    transaction_partition_verification_enable = Key(
        "transaction.partition.verification.enable", BOOLEAN, True, scope=CLUSTER_WIDE
    )
    transaction_remove_expired_transaction_cleanup_interval_ms = Key(
        "transaction.remove.expired.transaction.cleanup.interval.ms", INT, 3_600_000, at_least(1)
    )
    transaction_state_log_load_buffer_size = Key(
        "transaction.state.log.load.buffer.size", INT, 5_242_880, at_least(1)
    )
    transaction_state_log_min_isr = Key("transaction.state.log.min.isr", INT, 2, at_least(1))
    transaction_state_log_num_partitions = Key(
        "transaction.state.log.num.partitions", INT, 50, at_least(1)
    )
    transaction_state_log_replication_factor = Key(
        "transaction.state.log.replication.factor", SHORT, 3, at_least(1)
    )
    transaction_state_log_segment_bytes = Key(
        "transaction.state.log.segment.bytes", INT, 104_857_600, at_least(1)
    )
    transaction_two_phase_commit_enable = Key("transaction.two.phase.commit.enable", BOOLEAN, False)
    transactional_id_expiration_ms = Key(
        "transactional.id.expiration.ms", INT, 604_800_000, at_least(1)
    )
