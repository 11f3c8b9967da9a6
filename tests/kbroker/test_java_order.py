"""The expected values are what a JVM printed."""

from __future__ import annotations

import pytest

from kbroker.java_order import hash_map_order, string_hash


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
