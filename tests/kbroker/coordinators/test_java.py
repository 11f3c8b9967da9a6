"""The expected values are what a JVM printed."""

from __future__ import annotations

import pytest

from kbroker.coordinators.group.java import (
    hash_map_order,
    partition_for,
    string_hash,
    utf16_length,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("a", 97),
        ("group", 98629247),
        ("console-consumer-12345", 158455506),
        ("polygenelubricants", -2147483648),
        ("grüße", 98768023),
        ("\U0001f600", 1772899),
    ],
)
def test_strings_hash_as_in_java(text: str, expected: int) -> None:
    assert string_hash(text) == expected


def test_the_partition_of_a_group_is_kafkas() -> None:
    assert partition_for("group", 50) == 47
    # Integer.MIN_VALUE has no absolute value and counts as 0.
    assert partition_for("polygenelubricants", 50) == 0


@pytest.mark.parametrize(
    ("inserted", "iterated"),
    [
        (
            ["roundrobin", "range", "sticky", "cooperative-sticky"],
            ["sticky", "range", "roundrobin", "cooperative-sticky"],
        ),
        (
            [f"p{i}" for i in range(20)],  # a table that has grown
            [
                f"p{i}"
                for i in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 11, 14, 13, 16, 15, 18, 17, 19)
            ],
        ),
    ],
)
def test_keys_come_in_the_order_of_a_hash_map(inserted: list[str], iterated: list[str]) -> None:
    assert hash_map_order(inserted, string_hash) == iterated


def test_lengths_count_utf16_units() -> None:
    assert utf16_length("abc") == 3
    assert utf16_length("\U0001f600") == 2
