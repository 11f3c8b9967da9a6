"""Classic consumer groups and committed offsets as state machines: no I/O, no clock, no
randomness.

A decision (`GroupShard.decide_*`) takes a request and the time and returns a Result: records for
the log, answers for requests that were parked, and what to come back with once the records are
committed. What the log holds changes only in `replay`. What it does not hold (who is joining, who
must still sync, timers) is soft state, gone with the coordinator and told anew by the members.
"""
