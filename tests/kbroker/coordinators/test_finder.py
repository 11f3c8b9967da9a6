"""The expected values are what a JVM printed."""

from __future__ import annotations

from kbroker.coordinators.finder import partition_for


def test_the_partition_of_a_group_is_kafkas() -> None:
    assert partition_for("group", 50) == 47
    # Integer.MIN_VALUE has no absolute value and counts as 0.
    assert partition_for("polygenelubricants", 50) == 0
