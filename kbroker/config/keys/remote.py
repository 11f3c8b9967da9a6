"""Keys of tiered storage."""

from __future__ import annotations

from kbroker.config.key import BOOLEAN, CLUSTER_WIDE, DOUBLE, INT, LONG, STRING, Key, Keyed
from kbroker.config.validators import at_least, between, non_empty
from kbroker.config.values import LONG_MAX


class RemoteKeys(Keyed):
    """Tiered storage."""

    follower_fetch_last_tiered_offset_enable = Key(
        "follower.fetch.last.tiered.offset.enable", BOOLEAN, False, scope=CLUSTER_WIDE
    )
    log_remote_copy_lag_bytes = Key(
        "log.remote.copy.lag.bytes", LONG, -1, at_least(-1), scope=CLUSTER_WIDE
    )
    log_remote_copy_lag_ms = Key(
        "log.remote.copy.lag.ms", LONG, 0, at_least(-1), scope=CLUSTER_WIDE
    )
    remote_fetch_max_wait_ms = Key(
        "remote.fetch.max.wait.ms", INT, 500, at_least(1), scope=CLUSTER_WIDE
    )
    remote_list_offsets_request_timeout_ms = Key(
        "remote.list.offsets.request.timeout.ms", LONG, 30_000, at_least(1), scope=CLUSTER_WIDE
    )
    remote_log_index_file_cache_total_size_bytes = Key(
        "remote.log.index.file.cache.total.size.bytes",
        LONG,
        1_073_741_824,
        at_least(1),
        scope=CLUSTER_WIDE,
    )
    remote_log_index_file_cache_ttl_ms = Key(
        "remote.log.index.file.cache.ttl.ms", LONG, 900_000, at_least(-1), internal=True
    )
    remote_log_manager_copier_thread_pool_size = Key(
        "remote.log.manager.copier.thread.pool.size", INT, 10, at_least(1), scope=CLUSTER_WIDE
    )
    remote_log_manager_copy_max_bytes_per_second = Key(
        "remote.log.manager.copy.max.bytes.per.second",
        LONG,
        LONG_MAX,
        at_least(1),
        scope=CLUSTER_WIDE,
    )
    remote_log_manager_copy_quota_window_num = Key(
        "remote.log.manager.copy.quota.window.num", INT, 11, at_least(1)
    )
    remote_log_manager_copy_quota_window_size_seconds = Key(
        "remote.log.manager.copy.quota.window.size.seconds", INT, 1, at_least(1)
    )
    remote_log_manager_expiration_thread_pool_size = Key(
        "remote.log.manager.expiration.thread.pool.size", INT, 10, at_least(1), scope=CLUSTER_WIDE
    )
    remote_log_manager_fetch_max_bytes_per_second = Key(
        "remote.log.manager.fetch.max.bytes.per.second",
        LONG,
        LONG_MAX,
        at_least(1),
        scope=CLUSTER_WIDE,
    )
    remote_log_manager_fetch_quota_window_num = Key(
        "remote.log.manager.fetch.quota.window.num", INT, 11, at_least(1)
    )
    remote_log_manager_fetch_quota_window_size_seconds = Key(
        "remote.log.manager.fetch.quota.window.size.seconds", INT, 1, at_least(1)
    )
    remote_log_manager_follower_thread_pool_size = Key(
        "remote.log.manager.follower.thread.pool.size", INT, 2, at_least(1), scope=CLUSTER_WIDE
    )
    remote_log_manager_task_interval_ms = Key(
        "remote.log.manager.task.interval.ms", LONG, 30_000, at_least(1)
    )
    remote_log_manager_task_retry_backoff_max_ms = Key(
        "remote.log.manager.task.retry.backoff.max.ms", LONG, 30_000, at_least(1), internal=True
    )
    remote_log_manager_task_retry_backoff_ms = Key(
        "remote.log.manager.task.retry.backoff.ms", LONG, 500, at_least(1), internal=True
    )
    remote_log_manager_task_retry_jitter = Key(
        "remote.log.manager.task.retry.jitter", DOUBLE, 0.2, between(0, 0.5), internal=True
    )
    remote_log_manager_thread_pool_size = Key(
        "remote.log.manager.thread.pool.size", INT, 2, at_least(1)
    )
    remote_log_metadata_custom_metadata_max_bytes = Key(
        "remote.log.metadata.custom.metadata.max.bytes", INT, 128, at_least(0)
    )
    remote_log_metadata_manager_class_name = Key(
        "remote.log.metadata.manager.class.name",
        STRING,
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
        non_empty,
    )
    remote_log_metadata_manager_class_path = Key[str | None](
        "remote.log.metadata.manager.class.path", STRING, None
    )
    remote_log_metadata_manager_impl_prefix = Key(
        "remote.log.metadata.manager.impl.prefix", STRING, "rlmm.config.", non_empty
    )
    remote_log_metadata_manager_listener_name = Key[str | None](
        "remote.log.metadata.manager.listener.name", STRING, None, non_empty
    )
    remote_log_reader_max_pending_tasks = Key(
        "remote.log.reader.max.pending.tasks", INT, 100, at_least(1)
    )
    remote_log_reader_threads = Key(
        "remote.log.reader.threads", INT, 10, at_least(1), scope=CLUSTER_WIDE
    )
    remote_log_storage_manager_class_name = Key[str | None](
        "remote.log.storage.manager.class.name", STRING, None, non_empty
    )
    remote_log_storage_manager_class_path = Key[str | None](
        "remote.log.storage.manager.class.path", STRING, None
    )
    remote_log_storage_manager_impl_prefix = Key(
        "remote.log.storage.manager.impl.prefix", STRING, "rsm.config.", non_empty
    )
    remote_log_storage_system_enable = Key("remote.log.storage.system.enable", BOOLEAN, False)
