"""Keys go where Java's clients put them."""

from __future__ import annotations

import pytest

from kbroker.client.partitioner import murmur2, partition_for_key


@pytest.mark.parametrize(
    ("key", "expected"),
    [  # from org.apache.kafka.common.utils.Utils.murmur2 of 4.3.0
        ("", 275646681),
        ("a", 2731586172),
        ("ab", 316155434),
        ("abc", 479470107),
        ("abcd", 2971317748),
        ("abcde", 461995741),
        ("21", 3321034988),
        ("foobar", 3504634814),
        ("a-little-bit-long-string", 3308985760),
        ("a-little-bit-longer-string", 2808662467),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 4236069325),
        ("é", 186971271),
    ],
)
def test_murmur2_is_javas(key: str, expected: int) -> None:
    assert murmur2(key.encode()) == expected


def test_the_partition_is_the_positive_hash_modulo_the_count() -> None:
    assert partition_for_key(b"foobar", 10) == (3504634814 & 0x7FFFFFFF) % 10
