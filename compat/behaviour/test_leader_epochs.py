"""OffsetForLeaderEpoch, over a change of the leader epoch by a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.raw import RawClient
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)

from .asking import await_leaders, batch, describe, list_offset, make_topic, produce

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.conftest import NewBroker

pytestmark = [pytest.mark.ci, pytest.mark.item(14)]


def end_of(
    raw: RawClient, topic: str, epoch: int, *, current: int = -1, version: int = 4
) -> tuple[int, int, int]:
    """(error, epoch, end offset)"""
    one = OffsetForLeaderPartition(partition=0, leader_epoch=epoch, current_leader_epoch=current)
    request = OffsetForLeaderEpochRequest(
        replica_id=-1, topics=[OffsetForLeaderTopic(topic=topic, partitions=[one])]
    )
    response = raw.ask(request, version, OffsetForLeaderEpochResponse)
    answer: EpochEndOffset = response.topics[0].partitions[0]
    return answer.error_code, answer.leader_epoch, answer.end_offset


@pytest.mark.parametrize("version", [2, 3, 4])
def test_the_current_epoch_ends_at_the_end(
    raw: RawClient, unique: Callable[[str], str], version: int
) -> None:
    topic = unique("epochs")
    make_topic(raw, topic)
    assert end_of(raw, topic, 0, version=version) == (0, 0, 0)
    produce(raw, topic, batch(b"a", b"b", b"c"))
    assert end_of(raw, topic, 0, version=version) == (0, 0, 3)
    assert end_of(raw, topic, 1, version=version) == (0, -1, -1)
    assert end_of(raw, topic, 99, version=version) == (0, -1, -1)


def test_fencing_and_unknown_partitions(raw: RawClient, unique: Callable[[str], str]) -> None:
    topic = unique("epochs")
    make_topic(raw, topic)
    assert end_of(raw, topic, 0, current=7)[0] == ErrorCode.UNKNOWN_LEADER_EPOCH
    assert end_of(raw, topic, 0, current=0)[0] == ErrorCode.NONE
    absent = end_of(raw, unique("absent"), 0)
    assert absent == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1, -1)


def test_a_past_epoch_is_answered_with_itself_and_its_end(new_broker: NewBroker) -> None:
    broker = new_broker()
    with RawClient(broker.host, broker.port) as raw:
        make_topic(raw, "epochs")
        produce(raw, "epochs", batch(b"a", b"b"))
    epochs = [0]
    for _ in range(2):
        broker.restart()
        with RawClient(broker.host, broker.port) as raw:
            await_leaders(raw, "epochs", 1)
            epochs.append(describe(raw, "epochs").partitions[0].leader_epoch)
            produce(raw, "epochs", batch(b"a", b"b"))
    assert epochs == sorted(set(epochs)), "each start of the leader is an epoch of its own"
    with RawClient(broker.host, broker.port) as raw:
        assert end_of(raw, "epochs", epochs[0]) == (0, epochs[0], 2)
        assert end_of(raw, "epochs", epochs[1]) == (0, epochs[1], 4)
        assert end_of(raw, "epochs", epochs[2]) == (0, epochs[2], 6)
        assert end_of(raw, "epochs", epochs[2] + 1) == (0, -1, -1)
        stale = end_of(raw, "epochs", epochs[0], current=epochs[0])
        assert stale[0] == ErrorCode.FENCED_LEADER_EPOCH
        answer = list_offset(raw, "epochs", -1, leader_epoch=epochs[0])
        assert answer.error_code == ErrorCode.FENCED_LEADER_EPOCH
        assert list_offset(raw, "epochs", -2).leader_epoch == epochs[0]
        assert list_offset(raw, "epochs", -1).leader_epoch == epochs[2]
