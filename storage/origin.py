"""Where an append comes from, which decides how much of it is checked (Kafka's AppendOrigin)."""

from __future__ import annotations

from enum import IntEnum


class Origin(IntEnum):
    """Where an append comes from."""

    REPLICATION = 0  # from the leader, offsets assigned and checked there
    COORDINATOR = 1  # our own coordinators: no sequences, control records allowed
    CLIENT = 2  # a produce request: everything is checked
    RAFT_LEADER = 3  # the metadata log's leader, which assigns offsets itself
