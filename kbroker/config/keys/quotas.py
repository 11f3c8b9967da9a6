"""Keys of brokers that exist only as dynamic values: replication throttles. Source: QuotaConfig."""

# Replication throttles, in bytes per second.
QUOTA_KEYS = (
    "leader.replication.throttled.rate",
    "follower.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
)
