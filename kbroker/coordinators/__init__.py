"""Coordinators keep state in an internal topic and serve it from the partitions that this broker
leads.

`runtime.py` is the part that they share, and knows no kind of coordinator: it loads a partition's
log, writes what is decided, answers once that is committed, and lets deadlines pass. What it drives
is a state machine for each partition, a shard (`shard.py`). `group/` holds the shard of classic
groups, and `group_coordinator.py` offers it to handlers.
"""
