"""Consumer groups and committed offsets as state machines: no I/O, no clock, no randomness.

A decision (`GroupShard.decide_*`) takes a request and the time and returns a Result: records for
the log, answers for parked requests, and what to come back with once the records are committed.
What the log holds changes only in `replay`. What it does not hold (who is joining, who must still
sync, deadlines) is gone when another broker becomes the coordinator, and the members tell it anew.

The modules import one another in one direction: `shard`, then `committed_offsets`, then `classic`,
then `records` and `deadlines`.
"""
