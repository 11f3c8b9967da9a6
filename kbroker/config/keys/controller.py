"""Keys of the node, the quorum and its log, and of what the controller decides."""

from __future__ import annotations

from kbroker.config.key import (
    BOOLEAN,
    CLASS,
    INT,
    LIST,
    LONG,
    PER_BROKER,
    STRING,
    Key,
    Keyed,
    Strings,
)
from kbroker.config.validators import at_least, list_of, quorum_servers, quorum_voters
from kbroker.config.values import LONG_MAX


class ControllerKeys(Keyed):
    """The node, the quorum and its log; topics and brokers as the controller sees them."""

    alter_config_policy_class_name = Key[str | None]("alter.config.policy.class.name", CLASS, None)
    auto_create_topics_enable = Key(
        "auto.create.topics.enable",
        BOOLEAN,
        True,
        doc="Whether a topic is created when a client asks for one that does not exist.",
    )
    auto_leader_rebalance_enable = Key("auto.leader.rebalance.enable", BOOLEAN, True)
    broker_heartbeat_interval_ms = Key(
        "broker.heartbeat.interval.ms",
        INT,
        2000,
        doc="How often a broker sends a heartbeat to the controller.",
    )
    broker_id = Key("broker.id", INT, -1, doc="The former name of node.id.")
    broker_rack = Key[str | None](
        "broker.rack", STRING, None, doc="The rack of this broker, as reported to clients."
    )
    broker_session_timeout_ms = Key(
        "broker.session.timeout.ms",
        INT,
        9000,
        doc="How long the controller waits for a heartbeat before it fences a broker.",
    )
    controller_listener_names = Key[Strings](
        "controller.listener.names",
        LIST,
        ("CONTROLLER",),
        list_of(),
        doc="The names of the listeners that the controller uses.",
    )
    controller_performance_always_log_threshold_ms = Key(
        "controller.performance.always.log.threshold.ms", LONG, 2000, at_least(0), internal=True
    )
    controller_performance_sample_period_ms = Key(
        "controller.performance.sample.period.ms", LONG, 60_000, at_least(100), internal=True
    )
    controller_quorum_append_linger_ms = Key(
        "controller.quorum.append.linger.ms", INT, 25, at_least(0)
    )
    controller_quorum_auto_join_enable = Key("controller.quorum.auto.join.enable", BOOLEAN, False)
    controller_quorum_bootstrap_servers = Key[Strings](
        "controller.quorum.bootstrap.servers", LIST, (), quorum_servers
    )
    controller_quorum_election_backoff_max_ms = Key(
        "controller.quorum.election.backoff.max.ms", INT, 1000, at_least(0)
    )
    controller_quorum_election_timeout_ms = Key(
        "controller.quorum.election.timeout.ms", INT, 1000, at_least(0)
    )
    controller_quorum_fetch_max_bytes = Key(
        "controller.quorum.fetch.max.bytes", INT, 1_048_576, at_least(1)
    )
    controller_quorum_fetch_snapshot_max_bytes = Key(
        "controller.quorum.fetch.snapshot.max.bytes", INT, 1_048_576, at_least(1)
    )
    controller_quorum_fetch_timeout_ms = Key(
        "controller.quorum.fetch.timeout.ms", INT, 2000, at_least(0)
    )
    controller_quorum_request_timeout_ms = Key(
        "controller.quorum.request.timeout.ms", INT, 2000, at_least(0)
    )
    controller_quorum_retry_backoff_ms = Key(
        "controller.quorum.retry.backoff.ms", INT, 20, at_least(0)
    )
    controller_quorum_voters = Key[Strings](
        "controller.quorum.voters",
        LIST,
        (),
        quorum_voters,
        doc="The voters of the quorum, as ID@HOST:PORT entries; if not set, this node is a "
        "quorum of one.",
    )
    controller_quota_window_num = Key("controller.quota.window.num", INT, 11, at_least(1))
    controller_quota_window_size_seconds = Key(
        "controller.quota.window.size.seconds", INT, 1, at_least(1)
    )
    controller_socket_timeout_ms = Key("controller.socket.timeout.ms", INT, 30_000)
    cordoned_log_dirs = Key[Strings](
        "cordoned.log.dirs",
        LIST,
        (),
        list_of(empty=True, null=True),
        scope=PER_BROKER,
        doc="Log directories that receive no new partitions; * means all of them.",
    )
    create_topic_policy_class_name = Key[str | None]("create.topic.policy.class.name", CLASS, None)
    default_replication_factor = Key(
        "default.replication.factor",
        INT,
        1,
        doc="The number of replicas of a topic that is created without one.",
    )
    delete_topic_enable = Key(
        "delete.topic.enable", BOOLEAN, True, doc="Whether topics can be deleted."
    )
    initial_broker_registration_timeout_ms = Key(
        "initial.broker.registration.timeout.ms", INT, 60_000
    )
    internal_metadata_delete_delay_millis = Key(
        "internal.metadata.delete.delay.millis", LONG, 60_000, internal=True
    )
    internal_metadata_log_segment_bytes = Key[int | None](
        "internal.metadata.log.segment.bytes", INT, None, internal=True
    )
    internal_metadata_max_batch_size_in_bytes = Key(
        "internal.metadata.max.batch.size.in.bytes", INT, 8_388_608, internal=True
    )
    leader_imbalance_check_interval_seconds = Key(
        "leader.imbalance.check.interval.seconds", LONG, 300, at_least(1)
    )
    log_dir_failure_timeout_ms = Key(
        "log.dir.failure.timeout.ms",
        LONG,
        30_000,
        at_least(1),
        doc="How long the broker tries to report a failed log directory to the controller "
        "before it stops.",
    )
    metadata_log_dir = Key[str | None](
        "metadata.log.dir",
        STRING,
        None,
        doc="The directory of the metadata log; if not set, the first of log.dirs.",
    )
    metadata_log_max_record_bytes_between_snapshots = Key(
        "metadata.log.max.record.bytes.between.snapshots",
        LONG,
        20_971_520,
        at_least(1),
        doc="The number of bytes of new metadata records after which a snapshot is written.",
    )
    metadata_log_max_snapshot_interval_ms = Key(
        "metadata.log.max.snapshot.interval.ms",
        LONG,
        3_600_000,
        at_least(0),
        doc="The longest time without a snapshot while there are new metadata records.",
    )
    metadata_log_segment_bytes = Key(
        "metadata.log.segment.bytes",
        INT,
        1_073_741_824,
        at_least(8_388_608),
        doc="The size at which a new segment of the metadata log is started.",
    )
    metadata_log_segment_ms = Key(
        "metadata.log.segment.ms",
        LONG,
        604_800_000,
        doc="The age at which a new segment of the metadata log is started.",
    )
    metadata_max_idle_interval_ms = Key(
        "metadata.max.idle.interval.ms",
        INT,
        500,
        at_least(0),
        doc="How often an idle controller writes a no-op record; 0 means never.",
    )
    metadata_max_retention_bytes = Key(
        "metadata.max.retention.bytes",
        LONG,
        104_857_600,
        doc="The size of the metadata log and its snapshots above which old ones are deleted.",
    )
    metadata_max_retention_ms = Key(
        "metadata.max.retention.ms",
        LONG,
        604_800_000,
        doc="The age at which segments and snapshots of the metadata log are deleted.",
    )
    node_id = Key("node.id", INT, 1, at_least(0), doc="The id of this node, unique in the cluster.")
    num_partitions = Key(
        "num.partitions",
        INT,
        1,
        at_least(1),
        doc="The number of partitions of a topic that is created without one.",
    )
    process_roles = Key[Strings](
        "process.roles",
        LIST,
        (
            "broker",
            "controller",
        ),
        list_of("broker", "controller"),
        doc="The roles of this node, which must be both broker and controller.",
    )
    server_max_startup_time_ms = Key(
        "server.max.startup.time.ms", LONG, LONG_MAX, at_least(0), internal=True
    )
    unclean_leader_election_interval_ms = Key(
        "unclean.leader.election.interval.ms", LONG, 300_000, at_least(1), internal=True
    )
    unstable_api_versions_enable = Key(
        "unstable.api.versions.enable", BOOLEAN, False, internal=True
    )
    unstable_feature_versions_enable = Key(
        "unstable.feature.versions.enable", BOOLEAN, False, internal=True
    )
