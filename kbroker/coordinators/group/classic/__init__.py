"""Classic groups: their clients choose a leader, which assigns partitions to all members
(JoinGroup, SyncGroup, Heartbeat, LeaveGroup).

The modules import one another in one direction: the rules (`join_rules`, `member_rules`,
`rebalance_rules`), then `factory`, then `group`, then `member` and `subscription`.
"""
