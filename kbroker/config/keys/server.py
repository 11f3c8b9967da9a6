"""Keys of listeners, connections, requests, replication and metrics."""

from __future__ import annotations

from kbroker.config.key import (
    BOOLEAN,
    CLASS,
    CLUSTER_WIDE,
    INT,
    LIST,
    LONG,
    PER_BROKER,
    STRING,
    Key,
    Keyed,
    Strings,
)
from kbroker.config.validators import at_least, list_of
from kbroker.config.values import INT_MAX


class ServerKeys(Keyed):
    """Listeners, connections, requests, replication and metrics."""

    advertised_listeners = Key[Strings | None](
        "advertised.listeners",
        LIST,
        None,
        list_of(null=True),
        doc="The addresses that clients are told to use; if not set, each client is told the "
        "address that it dialled.",
    )
    alter_log_dirs_replication_quota_window_num = Key(
        "alter.log.dirs.replication.quota.window.num", INT, 11, at_least(1)
    )
    alter_log_dirs_replication_quota_window_size_seconds = Key(
        "alter.log.dirs.replication.quota.window.size.seconds", INT, 1, at_least(1)
    )
    client_quota_callback_class = Key[str | None]("client.quota.callback.class", CLASS, None)
    config_providers = Key[Strings](
        "config.providers", LIST, (), list_of(empty=True), scope=CLUSTER_WIDE
    )
    connection_failed_authentication_delay_ms = Key(
        "connection.failed.authentication.delay.ms", INT, 100, at_least(0)
    )
    connections_max_idle_ms = Key(
        "connections.max.idle.ms",
        LONG,
        600_000,
        doc="How long a connection may go without a request before it is closed; a negative "
        "value means forever.",
    )
    controlled_shutdown_enable = Key("controlled.shutdown.enable", BOOLEAN, True)
    delete_records_purgatory_purge_interval_requests = Key(
        "delete.records.purgatory.purge.interval.requests", INT, 1
    )
    fetch_max_bytes = Key(
        "fetch.max.bytes",
        INT,
        57_671_680,
        at_least(1024),
        doc="The largest size of a fetch response; the first batch is always returned, "
        "whatever its size.",
    )
    fetch_purgatory_purge_interval_requests = Key(
        "fetch.purgatory.purge.interval.requests", INT, 1000
    )
    inter_broker_listener_name = Key[str | None](
        "inter.broker.listener.name",
        STRING,
        None,
        doc="The listener that brokers use; max.connections of the broker does not count its "
        "connections.",
    )
    kafka_metrics_polling_interval_secs = Key(
        "kafka.metrics.polling.interval.secs", INT, 10, at_least(1)
    )
    kafka_metrics_reporters = Key[Strings]("kafka.metrics.reporters", LIST, (), list_of(empty=True))
    listener_security_protocol_map = Key(
        "listener.security.protocol.map",
        STRING,
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        scope=PER_BROKER,
        doc="The security protocol of each listener; only PLAINTEXT is supported so far.",
    )
    listeners = Key[Strings](
        "listeners",
        LIST,
        ("PLAINTEXT://:9092",),
        list_of(),
        scope=PER_BROKER,
        doc="The addresses to listen on, as NAME://HOST:PORT; no host means every interface, "
        "port 0 a free port.",
    )
    max_connection_creation_rate = Key(
        "max.connection.creation.rate",
        INT,
        INT_MAX,
        at_least(0),
        scope=CLUSTER_WIDE,
        doc="The number of connections accepted per second, by the broker and by each "
        "listener; more have to wait.",
    )
    max_connections = Key(
        "max.connections",
        INT,
        INT_MAX,
        at_least(0),
        scope=CLUSTER_WIDE,
        doc="The largest number of open connections, of the broker and of each listener.",
    )
    max_connections_per_ip = Key(
        "max.connections.per.ip",
        INT,
        INT_MAX,
        at_least(0),
        scope=CLUSTER_WIDE,
        doc="The largest number of open connections from one address.",
    )
    max_connections_per_ip_overrides = Key(
        "max.connections.per.ip.overrides",
        STRING,
        "",
        scope=CLUSTER_WIDE,
        doc="HOST:COUNT entries that replace max.connections.per.ip for single addresses.",
    )
    max_incremental_fetch_session_cache_slots = Key(
        "max.incremental.fetch.session.cache.slots",
        INT,
        1000,
        at_least(0),
        doc="The largest number of incremental fetch sessions.",
    )
    max_request_partition_size_limit = Key(
        "max.request.partition.size.limit",
        INT,
        2000,
        at_least(1),
        doc="The largest number of partitions in one DescribeTopicPartitions response.",
    )
    metric_reporters = Key[Strings](
        "metric.reporters",
        LIST,
        ("org.apache.kafka.common.metrics.JmxReporter",),
        list_of(empty=True),
        scope=CLUSTER_WIDE,
    )
    metrics_num_samples = Key("metrics.num.samples", INT, 2, at_least(1))
    metrics_recording_level = Key("metrics.recording.level", STRING, "INFO")
    metrics_sample_window_ms = Key("metrics.sample.window.ms", LONG, 30_000, at_least(1))
    num_io_threads = Key("num.io.threads", INT, 8, at_least(1), scope=CLUSTER_WIDE)
    num_network_threads = Key("num.network.threads", INT, 3, at_least(1), scope=CLUSTER_WIDE)
    num_replica_alter_log_dirs_threads = Key[int | None](
        "num.replica.alter.log.dirs.threads", INT, None
    )
    num_replica_fetchers = Key("num.replica.fetchers", INT, 1, at_least(1), scope=CLUSTER_WIDE)
    producer_purgatory_purge_interval_requests = Key(
        "producer.purgatory.purge.interval.requests", INT, 1000
    )
    queued_max_request_bytes = Key(
        "queued.max.request.bytes",
        LONG,
        -1,
        doc="While requests that are being received hold this many bytes, no other request is "
        "read; 0 or less means no limit.",
    )
    queued_max_requests = Key(
        "queued.max.requests",
        INT,
        500,
        at_least(1),
    )
    quota_window_num = Key(
        "quota.window.num",
        INT,
        11,
        at_least(1),
        doc="The number of windows over which the rate of connections is measured.",
    )
    quota_window_size_seconds = Key(
        "quota.window.size.seconds",
        INT,
        1,
        at_least(1),
        doc="The length of one such window, in seconds, and the longest time that a "
        "connection waits for its rate.",
    )
    replica_fetch_backoff_ms = Key(
        "replica.fetch.backoff.ms",
        INT,
        1000,
        at_least(0),
        doc="How long a move to another log directory waits when that directory is full.",
    )
    replica_fetch_max_bytes = Key("replica.fetch.max.bytes", INT, 1_048_576, at_least(0))
    replica_fetch_min_bytes = Key("replica.fetch.min.bytes", INT, 1)
    replica_fetch_response_max_bytes = Key(
        "replica.fetch.response.max.bytes", INT, 10_485_760, at_least(0)
    )
    replica_fetch_wait_max_ms = Key("replica.fetch.wait.max.ms", INT, 500)
    replica_high_watermark_checkpoint_interval_ms = Key(
        "replica.high.watermark.checkpoint.interval.ms",
        LONG,
        5000,
        doc="How often high watermarks are written to their checkpoint file.",
    )
    replica_lag_time_max_ms = Key(
        "replica.lag.time.max.ms",
        LONG,
        30_000,
    )
    replica_selector_class = Key[str | None]("replica.selector.class", STRING, None)
    replica_socket_receive_buffer_bytes = Key("replica.socket.receive.buffer.bytes", INT, 65_536)
    replica_socket_timeout_ms = Key("replica.socket.timeout.ms", INT, 30_000)
    replication_quota_window_num = Key("replication.quota.window.num", INT, 11, at_least(1))
    replication_quota_window_size_seconds = Key(
        "replication.quota.window.size.seconds", INT, 1, at_least(1)
    )
    request_timeout_ms = Key(
        "request.timeout.ms", INT, 30_000, doc="How long a request to the controller may take."
    )
    socket_connection_setup_timeout_max_ms = Key(
        "socket.connection.setup.timeout.max.ms", LONG, 30_000
    )
    socket_connection_setup_timeout_ms = Key("socket.connection.setup.timeout.ms", LONG, 10_000)
    socket_listen_backlog_size = Key(
        "socket.listen.backlog.size",
        INT,
        50,
        at_least(1),
        doc="How many connections may wait to be accepted on a listener.",
    )
    socket_receive_buffer_bytes = Key(
        "socket.receive.buffer.bytes",
        INT,
        102_400,
        doc="The SO_RCVBUF of client connections, in bytes; -1 means the system default.",
    )
    socket_request_max_bytes = Key(
        "socket.request.max.bytes",
        INT,
        104_857_600,
        at_least(1),
        doc="The largest size of a request, in bytes; a connection that announces a larger "
        "one is closed.",
    )
    socket_send_buffer_bytes = Key(
        "socket.send.buffer.bytes",
        INT,
        102_400,
        doc="The SO_SNDBUF of client connections, in bytes; -1 means the system default.",
    )
    telemetry_max_bytes = Key(
        "telemetry.max.bytes",
        INT,
        1_048_576,
        at_least(1),
        doc="The largest size of a client metrics push that is accepted.",
    )
