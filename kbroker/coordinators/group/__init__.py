"""Classic consumer groups and committed offsets as state machines: no I/O, no clock, no
randomness.

A decision (`GroupShard.decide_*`) takes a request and the time and returns a Result: records for
the log, answers for parked requests, and what to come back with once the records are committed.
What the log holds changes only in `replay`. What it does not hold (who is joining, who must still
sync, deadlines) is gone when another broker becomes the coordinator, and the members tell it anew.

The modules import one another in one direction: `shard`, then the rules (`join_rules`,
`member_rules`, `rebalance_rules`, `committed_offsets`), then `group_factory`, `classic_group` and
`member`, then `records` and `deadlines`.
"""
