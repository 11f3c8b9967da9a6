"""Keys of a group. Each key's `synonyms` are the broker keys that give its default."""

from __future__ import annotations

from kbroker.config.key import BOOLEAN, INT, LIST, LONG, STRING, Key, Keyed, Strings, Synonym
from kbroker.config.validators import at_least, list_of, one_of, share_offset_reset


class GroupKeys(Keyed):
    """A group's keys; `synonyms` are the broker keys that give their defaults."""

    consumer_assignment_interval_ms = Key(
        "consumer.assignment.interval.ms",
        INT,
        1000,
        at_least(0),
        synonyms=(Synonym("group.consumer.assignment.interval.ms"),),
    )
    consumer_assignor_offload_enable = Key(
        "consumer.assignor.offload.enable",
        BOOLEAN,
        True,
        synonyms=(Synonym("group.consumer.assignor.offload.enable"),),
        internal=True,
    )
    consumer_heartbeat_interval_ms = Key(
        "consumer.heartbeat.interval.ms",
        INT,
        5000,
        at_least(1),
        synonyms=(Synonym("group.consumer.heartbeat.interval.ms"),),
    )
    consumer_session_timeout_ms = Key(
        "consumer.session.timeout.ms",
        INT,
        45_000,
        at_least(1),
        synonyms=(Synonym("group.consumer.session.timeout.ms"),),
    )
    errors_deadletterqueue_copy_record_enable = Key(
        "errors.deadletterqueue.copy.record.enable", BOOLEAN, False
    )
    errors_deadletterqueue_topic_name = Key("errors.deadletterqueue.topic.name", STRING, "")
    share_assignment_interval_ms = Key(
        "share.assignment.interval.ms",
        INT,
        1000,
        at_least(0),
        synonyms=(Synonym("group.share.assignment.interval.ms"),),
    )
    share_assignor_offload_enable = Key(
        "share.assignor.offload.enable",
        BOOLEAN,
        True,
        synonyms=(Synonym("group.share.assignor.offload.enable"),),
        internal=True,
    )
    share_auto_offset_reset = Key("share.auto.offset.reset", STRING, "latest", share_offset_reset)
    share_delivery_count_limit = Key(
        "share.delivery.count.limit",
        INT,
        5,
        at_least(2),
        synonyms=(Synonym("group.share.delivery.count.limit"),),
    )
    share_heartbeat_interval_ms = Key(
        "share.heartbeat.interval.ms",
        INT,
        5000,
        at_least(1),
        synonyms=(Synonym("group.share.heartbeat.interval.ms"),),
    )
    share_isolation_level = Key(
        "share.isolation.level",
        STRING,
        "read_uncommitted",
        one_of("read_committed", "read_uncommitted"),
    )
    share_partition_max_record_locks = Key(
        "share.partition.max.record.locks",
        INT,
        2000,
        at_least(100),
        synonyms=(Synonym("group.share.partition.max.record.locks"),),
    )
    share_record_lock_duration_ms = Key(
        "share.record.lock.duration.ms",
        INT,
        30_000,
        at_least(1000),
        synonyms=(Synonym("group.share.record.lock.duration.ms"),),
    )
    share_renew_acknowledge_enable = Key("share.renew.acknowledge.enable", BOOLEAN, True)
    share_session_timeout_ms = Key(
        "share.session.timeout.ms",
        INT,
        45_000,
        at_least(1),
        synonyms=(Synonym("group.share.session.timeout.ms"),),
    )
    streams_acceptable_recovery_lag = Key(
        "streams.acceptable.recovery.lag",
        LONG,
        10_000,
        at_least(0),
        synonyms=(Synonym("group.streams.acceptable.recovery.lag"),),
        internal=True,
    )
    streams_assignment_interval_ms = Key(
        "streams.assignment.interval.ms",
        INT,
        1000,
        at_least(0),
        synonyms=(Synonym("group.streams.assignment.interval.ms"),),
    )
    streams_assignor_name = Key[str | None](
        "streams.assignor.name",
        STRING,
        None,
        synonyms=(Synonym("group.streams.assignors"),),
    )
    streams_assignor_offload_enable = Key(
        "streams.assignor.offload.enable",
        BOOLEAN,
        True,
        synonyms=(Synonym("group.streams.assignor.offload.enable"),),
        internal=True,
    )
    streams_heartbeat_interval_ms = Key(
        "streams.heartbeat.interval.ms",
        INT,
        5000,
        at_least(1),
        synonyms=(Synonym("group.streams.heartbeat.interval.ms"),),
    )
    streams_initial_rebalance_delay_ms = Key(
        "streams.initial.rebalance.delay.ms",
        INT,
        3000,
        at_least(0),
        synonyms=(Synonym("group.streams.initial.rebalance.delay.ms"),),
    )
    streams_num_standby_replicas = Key(
        "streams.num.standby.replicas",
        INT,
        0,
        at_least(0),
        synonyms=(Synonym("group.streams.num.standby.replicas"),),
    )
    streams_num_warmup_replicas = Key(
        "streams.num.warmup.replicas",
        INT,
        2,
        at_least(0),
        synonyms=(Synonym("group.streams.num.warmup.replicas"),),
        internal=True,
    )
    streams_rack_aware_assignment_tags = Key[Strings](
        "streams.rack.aware.assignment.tags",
        LIST,
        (),
        list_of(empty=True),
        synonyms=(Synonym("group.streams.rack.aware.assignment.tags"),),
    )
    streams_session_timeout_ms = Key(
        "streams.session.timeout.ms",
        INT,
        45_000,
        at_least(1),
        synonyms=(Synonym("group.streams.session.timeout.ms"),),
    )
    streams_task_offset_interval_ms = Key(
        "streams.task.offset.interval.ms",
        INT,
        60_000,
        at_least(1),
        synonyms=(Synonym("group.streams.task.offset.interval.ms"),),
        internal=True,
    )
