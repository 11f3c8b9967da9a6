"""ListOffsets: timestamps inside compressed batches, special values, epochs, isolation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.storage.compression import Codec
from kbroker.wire.errors import ErrorCode

from .asking import EARLIEST, LATEST, assert_error, batch, list_offset, make_topic, now_ms, produce

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient

pytestmark = [pytest.mark.ci, pytest.mark.item(13)]

MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED, EARLIEST_PENDING = -3, -4, -5, -6


def found(raw: RawClient, topic: str, timestamp: int, **options: int) -> tuple[int, int, int, int]:
    """(error, timestamp, offset, leader epoch)"""
    answer = list_offset(raw, topic, timestamp, **options)
    return answer.error_code, answer.timestamp, answer.offset, answer.leader_epoch


@pytest.mark.parametrize("codec", list(Codec))
def test_a_timestamp_inside_a_batch(
    raw: RawClient, unique: Callable[[str], str], codec: Codec
) -> None:
    topic, start = unique("times"), now_ms() - 100_000
    make_topic(raw, topic)
    for i in range(5):
        stamps = [start + 1000 * i + 100 * j for j in range(4)]
        produce(raw, topic, batch(b"a", b"b", b"c", b"d", timestamps=stamps, codec=codec))
    assert found(raw, topic, start - 1) == (0, start, 0, 0)
    assert found(raw, topic, start) == (0, start, 0, 0)
    assert found(raw, topic, start + 1) == (0, start + 100, 1, 0)
    assert found(raw, topic, start + 2250) == (0, start + 2300, 11, 0)
    assert found(raw, topic, start + 2301) == (0, start + 3000, 12, 0)
    assert found(raw, topic, start + 4300) == (0, start + 4300, 19, 0)
    assert found(raw, topic, start + 4301) == (0, -1, -1, -1)


def test_timestamps_out_of_order(raw: RawClient, unique: Callable[[str], str]) -> None:
    topic, start = unique("times"), now_ms() - 100_000
    make_topic(raw, topic)
    for stamps in ([5, 3, 9], [1, 2, 2], [7, 20, 11]):
        produce(raw, topic, batch(b"a", b"b", b"c", timestamps=[start + s for s in stamps]))
    for asked, at, offset in ((1, 5, 0), (4, 5, 0), (6, 9, 2), (9, 9, 2), (10, 20, 7), (20, 20, 7)):
        assert found(raw, topic, start + asked) == (0, start + at, offset, 0)
    assert found(raw, topic, start + 21) == (0, -1, -1, -1)
    assert found(raw, topic, MAX_TIMESTAMP) == (0, start + 20, 7, 0)


def test_the_special_values(raw: RawClient, unique: Callable[[str], str]) -> None:
    topic = unique("special")
    make_topic(raw, topic)
    assert found(raw, topic, EARLIEST) == (0, -1, 0, 0)
    assert found(raw, topic, LATEST) == (0, -1, 0, 0)
    assert found(raw, topic, MAX_TIMESTAMP) == (0, -1, -1, -1)
    produce(raw, topic, batch(b"a", b"b"))
    assert found(raw, topic, EARLIEST) == (0, -1, 0, 0)
    assert found(raw, topic, LATEST) == (0, -1, 2, 0)
    assert found(raw, topic, LATEST, isolation_level=1) == (0, -1, 2, 0)
    assert found(raw, topic, EARLIEST_LOCAL) == (0, -1, 0, 0)
    assert found(raw, topic, LATEST_TIERED) == (0, -1, -1, -1)
    assert found(raw, topic, EARLIEST_PENDING, version=11) == (0, -1, -1, -1)


@pytest.mark.parametrize("version", range(1, 12))
def test_every_version(raw: RawClient, unique: Callable[[str], str], version: int) -> None:
    topic, stamp = unique("versions"), now_ms()
    make_topic(raw, topic)
    produce(raw, topic, batch(b"a", b"b", timestamps=[stamp, stamp + 1]))
    epoch = 0 if version >= 4 else -1
    assert found(raw, topic, LATEST, version=version) == (0, -1, 2, epoch)
    assert found(raw, topic, EARLIEST, version=version) == (0, -1, 0, epoch)
    assert found(raw, topic, stamp + 1, version=version) == (0, stamp + 1, 1, epoch)


@pytest.mark.item(3)
@pytest.mark.parametrize(
    ("timestamp", "version"),
    [(MAX_TIMESTAMP, 6), (EARLIEST_LOCAL, 7), (LATEST_TIERED, 8), (EARLIEST_PENDING, 10), (-7, 11)],
)
def test_a_special_value_needs_its_version(
    raw: RawClient, unique: Callable[[str], str], timestamp: int, version: int
) -> None:
    topic = unique("special")
    make_topic(raw, topic)
    answer = list_offset(raw, topic, timestamp, version=version)
    assert_error(answer.error_code, ErrorCode.UNSUPPORTED_VERSION)
    assert (answer.timestamp, answer.offset) == (-1, -1)


def test_epochs_and_unknown_partitions(raw: RawClient, unique: Callable[[str], str]) -> None:
    topic = unique("epochs")
    make_topic(raw, topic)
    answer = list_offset(raw, topic, LATEST, leader_epoch=3)
    assert_error(answer.error_code, ErrorCode.UNKNOWN_LEADER_EPOCH)
    answer = list_offset(raw, topic, LATEST, partition=1)
    assert_error(answer.error_code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    answer = list_offset(raw, unique("absent"), LATEST)
    assert_error(answer.error_code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
