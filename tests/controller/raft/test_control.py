"""Control records of the metadata log: their numbers are on disk."""

from __future__ import annotations

from kbroker.controller.raft.control import ControlType


def test_the_types_are_kafkas() -> None:
    assert {each.name: each.value for each in ControlType} == {
        "ABORT": 0,
        "COMMIT": 1,
        "LEADER_CHANGE": 2,
        "SNAPSHOT_HEADER": 3,
        "SNAPSHOT_FOOTER": 4,
        "KRAFT_VERSION": 5,
        "KRAFT_VOTERS": 6,
    }
