"""Members of a consumer group (KIP-848), heartbeat by heartbeat."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kbroker.wire.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    DescribedGroup,
)
from kbroker.wire.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatRequestTopicPartitions,
    ConsumerGroupHeartbeatResponse,
)

from .asking import assert_error, assert_none

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient
    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.messages.share_group_heartbeat import ShareGroupHeartbeatResponse

SETTLED_S = 60
PAUSE_S = 0.1
JOINING, LEAVING, LEAVING_FOR_NOW = 0, -1, -2

Partitions = frozenset[tuple[bytes, int]]  # topic id and partition


@dataclass
class Member:
    """One that does as it is told: it takes and gives back what its heartbeats are answered."""

    raw: RawClient
    group: str
    topics: list[str]
    member_id: str
    instance: str | None = None
    epoch: int = 0
    owned: Partitions = field(default_factory=frozenset)

    def ask(
        self,
        epoch: int,
        *,
        is_full: bool = False,
        owned: Partitions | None = None,
        assignor: str | None = None,
        version: int = 1,
    ) -> ConsumerGroupHeartbeatResponse:
        """One heartbeat, which changes nothing here; a full one says all that a join has to."""
        is_full = is_full or epoch == JOINING
        wanted = self.owned if owned is None and is_full else owned
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group,
            member_id=self.member_id,
            member_epoch=epoch,
            instance_id=self.instance,
            rebalance_timeout_ms=30_000 if is_full else -1,
            subscribed_topic_names=self.topics if is_full else None,
            server_assignor=assignor,
            topic_partitions=None if wanted is None else _told(wanted),
        )
        return self.raw.ask(request, version, ConsumerGroupHeartbeatResponse)

    def join(self, *, assignor: str | None = None) -> ConsumerGroupHeartbeatResponse:
        self.owned = frozenset()
        response = self.ask(JOINING, assignor=assignor)
        self._take(response)
        return response

    def beat(self) -> ConsumerGroupHeartbeatResponse:
        """A heartbeat; what it is assigned is owned from then on, and the broker told so."""
        response = self.ask(self.epoch)
        self._take(response)
        return response

    def leave(self, epoch: int = LEAVING) -> ConsumerGroupHeartbeatResponse:
        response = self.ask(epoch)
        assert_none(response.error_code)
        assert (response.member_id, response.member_epoch) == (self.member_id, epoch)
        return response

    def refused(self, epoch: int, error: ErrorCode) -> None:
        assert_error(self.ask(epoch).error_code, error)

    def _take(self, response: ConsumerGroupHeartbeatResponse) -> None:
        assert_none(response.error_code)
        assert response.member_id == self.member_id
        self.epoch = response.member_epoch
        assigned = assigned_by(response)
        if assigned is not None and assigned != self.owned:
            self.own(assigned)

    def own(self, assigned: Partitions) -> None:
        """Take and give up what an assignment says, and tell the broker."""
        acknowledged = self.ask(self.epoch, owned=assigned)
        assert_none(acknowledged.error_code)
        self.epoch = acknowledged.member_epoch
        again = assigned_by(acknowledged)
        self.owned = assigned if again is None else again


def assigned_by(
    response: ConsumerGroupHeartbeatResponse | ShareGroupHeartbeatResponse,
) -> Partitions | None:
    """None where the assignment is not sent, as it has not changed."""
    if response.assignment is None:
        return None
    return frozenset(
        (one.topic_id, partition)
        for one in response.assignment.topic_partitions
        for partition in one.partitions
    )


def _told(owned: Partitions) -> list[ConsumerGroupHeartbeatRequestTopicPartitions]:
    return [
        ConsumerGroupHeartbeatRequestTopicPartitions(
            topic_id=topic, partitions=sorted(p for t, p in owned if t == topic)
        )
        for topic in sorted({topic for topic, _ in owned})
    ]


def settle(condition: Callable[[], bool], *members: Member) -> None:
    """Heartbeats of all, in turn, until it holds: the coordinator assigns when it likes to."""
    deadline = time.monotonic() + SETTLED_S
    while not condition():
        assert time.monotonic() < deadline, [(one.epoch, one.owned) for one in members]
        for one in members:
            one.beat()
        time.sleep(PAUSE_S)


def describe(raw: RawClient, group: str, version: int = 1) -> DescribedGroup:
    request = ConsumerGroupDescribeRequest(group_ids=[group])
    return raw.ask(request, version, ConsumerGroupDescribeResponse).groups[0]
