"""Members of a share group (KIP-932) with their share sessions, request by request."""

from __future__ import annotations

import base64
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compat.late import comes_to
from kbroker.storage.batch import BatchHeader, records
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from kbroker.wire.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestGroup,
    DescribeShareGroupOffsetsRequestTopic,
    DescribeShareGroupOffsetsResponse,
)
from kbroker.wire.messages.fetch import PartitionData as FetchedPartition
from kbroker.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from kbroker.wire.messages.share_acknowledge import AcknowledgementBatch as AcknowledgedBatch
from kbroker.wire.messages.share_acknowledge import (
    AcknowledgePartition,
    AcknowledgeTopic,
    ShareAcknowledgeRequest,
    ShareAcknowledgeResponse,
)
from kbroker.wire.messages.share_fetch import (
    AcknowledgementBatch,
    FetchPartition,
    FetchTopic,
    PartitionData,
    ShareFetchRequest,
    ShareFetchResponse,
)
from kbroker.wire.messages.share_group_heartbeat import (
    ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
)

from .asking import assert_none, whole_batches
from .consumer_groups import Partitions, assigned_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient

VERSION = 1  # of ShareFetch and ShareAcknowledge: the first that is stable
ACCEPT, RELEASE, REJECT = 1, 2, 3
JOINING, LEAVING = 0, -1
OPENING, CLOSING = 0, -1
WAIT_S = 60
GROUP_RESOURCE = 32
SET, DELETE = 0, 1

Acknowledgements = dict[int, int]  # offset -> what becomes of it


@dataclass(frozen=True)
class Delivery:
    """A record that was acquired."""

    offset: int
    value: bytes | None
    count: int


@dataclass
class ShareMember:
    """One connection, which a share session belongs to. All is of partition 0 of one topic."""

    raw: RawClient
    group: str
    topics: list[str]
    topic_id: bytes
    member_id: str = field(default_factory=lambda: _uuid())
    epoch: int = 0
    session_epoch: int = OPENING
    assigned: Partitions = field(default_factory=frozenset)

    def ask(self, epoch: int, *, topics: list[str] | None = None) -> ShareGroupHeartbeatResponse:
        """One heartbeat, which changes nothing here."""
        request = ShareGroupHeartbeatRequest(
            group_id=self.group,
            member_id=self.member_id,
            member_epoch=epoch,
            subscribed_topic_names=self.topics if epoch == JOINING else topics,
        )
        return self.raw.ask(request, 1, ShareGroupHeartbeatResponse)

    def beat(self, *, topics: list[str] | None = None) -> None:
        self._take(self.ask(self.epoch, topics=topics))

    def join(self) -> None:
        """Join, and wait for an assignment: the coordinator makes it when it likes to."""
        self._take(self.ask(JOINING))
        self.await_assignment({self.topic_id})

    def await_assignment(self, topic_ids: set[bytes]) -> None:
        await_that(lambda: {one for one, _ in self.assigned} == topic_ids, self.beat)

    def leave(self) -> ShareGroupHeartbeatResponse:
        return self.ask(LEAVING)

    def fetch_response(
        self, epoch: int, acknowledgements: Acknowledgements | None = None, *, wait_ms: int = 500
    ) -> ShareFetchResponse:
        """A ShareFetch of this session epoch, which changes nothing here."""
        batches = [
            AcknowledgementBatch(first_offset=at, last_offset=at, acknowledge_types=[kind])
            for at, kind in sorted((acknowledgements or {}).items())
        ]
        one = FetchPartition(partition_index=0, acknowledgement_batches=batches)
        topic = FetchTopic(topic_id=self.topic_id, partitions=[one])
        request = ShareFetchRequest(
            group_id=self.group,
            member_id=self.member_id,
            share_session_epoch=epoch,
            max_wait_ms=wait_ms,
            min_bytes=1,
            max_bytes=1 << 20,
            max_records=100,
            batch_size=100,
            topics=[topic] if batches or epoch == OPENING else [],
        )
        return self.raw.ask(request, VERSION, ShareFetchResponse)

    def fetch(
        self, acknowledgements: Acknowledgements | None = None, *, wait_ms: int = 500
    ) -> list[Delivery]:
        """What is acquired; the first fetch opens the session."""
        response = self.fetch_response(self.session_epoch, acknowledgements, wait_ms=wait_ms)
        assert_none(response.error_code)
        self.session_epoch += 1
        got: list[Delivery] = []
        for partition in (one for topic in response.responses for one in topic.partitions):
            assert_none(partition.error_code)
            assert_none(partition.acknowledge_error_code)
            values = _values(partition)
            got += [
                Delivery(at, values[at], acquired.delivery_count)
                for acquired in partition.acquired_records
                for at in range(acquired.first_offset, acquired.last_offset + 1)
                if at in values  # markers are acquired with what they stand between
            ]
        return got

    def take(self, count: int) -> list[Delivery]:
        """So many records, with as many fetches as it needs."""
        got: list[Delivery] = []

        def fetch() -> None:
            got.extend(self.fetch())

        await_that(lambda: len(got) >= count, fetch)
        return sorted(got, key=lambda one: one.offset)

    def acknowledge(self, acknowledgements: Acknowledgements) -> int:
        """The partition's error."""
        batches = [
            AcknowledgedBatch(first_offset=at, last_offset=at, acknowledge_types=[kind])
            for at, kind in sorted(acknowledgements.items())
        ]
        one = AcknowledgePartition(partition_index=0, acknowledgement_batches=batches)
        request = ShareAcknowledgeRequest(
            group_id=self.group,
            member_id=self.member_id,
            share_session_epoch=self.session_epoch,
            topics=[AcknowledgeTopic(topic_id=self.topic_id, partitions=[one])],
        )
        response = self.raw.ask(request, VERSION, ShareAcknowledgeResponse)
        assert_none(response.error_code)
        self.session_epoch += 1
        return response.responses[0].partitions[0].error_code

    def close(self) -> None:
        """Close the session, which gives back what it holds."""
        assert_none(self.fetch_response(CLOSING).error_code)
        self.session_epoch = OPENING

    def _take(self, response: ShareGroupHeartbeatResponse) -> None:
        assert_none(response.error_code)
        assert response.member_id == self.member_id
        self.epoch = response.member_epoch
        assigned = assigned_by(response)
        self.assigned = self.assigned if assigned is None else assigned


def await_that(condition: Callable[[], bool], step: Callable[[], None]) -> None:
    """Take the step again and again until it holds."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        step()
        time.sleep(0.05)


def lag(raw: RawClient, group: str, topic: str) -> int:
    """How many records of partition 0 are yet to be accepted or rejected; -1 if unknown."""
    one = DescribeShareGroupOffsetsRequestTopic(topic_name=topic, partitions=[0])
    request = DescribeShareGroupOffsetsRequest(
        groups=[DescribeShareGroupOffsetsRequestGroup(group_id=group, topics=[one])]
    )
    (found,) = raw.ask(request, 1, DescribeShareGroupOffsetsResponse).groups
    assert_none(found.error_code)
    (partition,) = found.topics[0].partitions
    assert ErrorCode(partition.error_code) == ErrorCode.NONE, partition.error_message
    return partition.lag


def configure(raw: RawClient, group: str, config: dict[str, str | None]) -> None:
    """Set (None: unset) configs of a group, and wait until the broker shows them.

    What comes after them in the broker's metadata, such as a topic made now, comes after they hold.
    """
    changes = [
        AlterableConfig(name=key, config_operation=DELETE if value is None else SET, value=value)
        for key, value in config.items()
    ]
    resource = AlterConfigsResource(
        resource_type=GROUP_RESOURCE, resource_name=group, configs=changes
    )
    request = IncrementalAlterConfigsRequest(resources=[resource])
    (answer,) = raw.ask(request, 1, IncrementalAlterConfigsResponse).responses
    assert ErrorCode(answer.error_code) == ErrorCode.NONE, answer.error_message
    expected = {key: value for key, value in config.items() if value is not None}
    comes_to(lambda: _configured(raw, group, expected), expected)


def _configured(raw: RawClient, group: str, keys: dict[str, str]) -> dict[str, str | None]:
    resource = DescribeConfigsResource(
        resource_type=GROUP_RESOURCE, resource_name=group, configuration_keys=list(keys)
    )
    request = DescribeConfigsRequest(resources=[resource])
    (found,) = raw.ask(request, 4, DescribeConfigsResponse).results
    return {one.name: one.value for one in found.configs if one.name in keys}


def _values(partition: PartitionData) -> dict[int, bytes | None]:
    """By offset, without those of markers."""
    fetched = FetchedPartition(records=partition.records)
    return {
        record.offset: record.value
        for one in whole_batches(fetched)
        if not BatchHeader(one).is_control
        for record in records(one)
    }


def _uuid() -> str:
    """As Kafka writes one: members of share groups are named by nothing else."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
