"""A transactional producer, request by request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.add_offsets_to_txn import (
    AddOffsetsToTxnRequest,
    AddOffsetsToTxnResponse,
)
from kbroker.wire.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopic,
)
from kbroker.wire.messages.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    TransactionState,
)
from kbroker.wire.messages.end_txn import EndTxnRequest, EndTxnResponse
from kbroker.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from kbroker.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from kbroker.wire.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
)

from .asking import (
    LATEST,
    READ_COMMITTED,
    READ_UNCOMMITTED,
    assert_none,
    batch,
    list_offset,
    produce,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient
    from kbroker.wire.messages.produce import PartitionProduceResponse

    R = TypeVar("R")

RETRIED_S = 30
# The first versions of clients that go by transaction.version 2: Produce and TxnOffsetCommit add
# to the transaction what they name, EndTxn answers a new epoch.
IMPLICIT_PRODUCE_VERSION = 12
IMPLICIT_COMMIT_VERSION = 5
BUMPING_END_VERSION = 5
TRANSACTION = 1  # the key type of FindCoordinator
# What clients ask again for: the coordinator loads, or has markers to write yet.
RETRIABLE = {
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.CONCURRENT_TRANSACTIONS,
}


def retried(ask: Callable[[], R], code: Callable[[R], int]) -> R:
    """Ask until the answer is not one that clients retry; the last answer."""
    deadline = time.monotonic() + RETRIED_S
    while code(answer := ask()) in RETRIABLE and time.monotonic() < deadline:
        time.sleep(0.02)
    return answer


def coordinate_transactions(raw: RawClient, transactional_id: str) -> None:
    """Wait until the transactional id has a coordinator."""
    request = FindCoordinatorRequest(key_type=TRANSACTION, coordinator_keys=[transactional_id])
    found = retried(
        lambda: raw.ask(request, 4, FindCoordinatorResponse).coordinators[0],
        lambda one: one.error_code,
    )
    assert_none(found.error_code)


def init_producer_id(
    raw: RawClient,
    transactional_id: str,
    *,
    timeout_ms: int = 60_000,
    producer: tuple[int, int] = (-1, -1),
    version: int = 4,
) -> InitProducerIdResponse:
    """`producer` is the id and epoch that it has."""
    request = InitProducerIdRequest(
        transactional_id=transactional_id,
        transaction_timeout_ms=timeout_ms,
        producer_id=producer[0],
        producer_epoch=producer[1],
    )
    return retried(
        lambda: raw.ask(request, version, InitProducerIdResponse), lambda one: one.error_code
    )


def ends(raw: RawClient, topic: str, partition: int = 0) -> tuple[int, int]:
    """Its last stable offset and its end."""
    answers = [
        list_offset(raw, topic, LATEST, partition=partition, isolation_level=level)
        for level in (READ_COMMITTED, READ_UNCOMMITTED)
    ]
    for answer in answers:
        assert_none(answer.error_code)
    return answers[0].offset, answers[1].offset


def describe_transaction(raw: RawClient, transactional_id: str) -> TransactionState:
    request = DescribeTransactionsRequest(transactional_ids=[transactional_id])
    return raw.ask(request, 0, DescribeTransactionsResponse).transaction_states[0]


class TransactionalProducer:
    """One transactional id, and what a client keeps of it.

    With transaction.version 2 what is sent adds its partition or group to the transaction, and each
    end of one gives a new epoch; before, both took requests of their own.
    """

    def __init__(
        self,
        raw: RawClient,
        transactional_id: str,
        transaction_version: int,
        timeout_ms: int = 60_000,
    ) -> None:
        self.raw = raw
        self.transactional_id = transactional_id
        self.is_implicit = transaction_version >= 2
        self.timeout_ms = timeout_ms
        self.producer_id = -1
        self.epoch = -1
        self.is_open = False
        self._added: set[tuple[str, int]] = set()
        self._sequences: dict[tuple[str, int], int] = {}
        coordinate_transactions(raw, transactional_id)
        self.init()

    def init(self) -> None:
        """InitProducerId, which ends what was open."""
        answer = init_producer_id(self.raw, self.transactional_id, timeout_ms=self.timeout_ms)
        assert_none(answer.error_code)
        self._become(answer.producer_id, answer.producer_epoch)
        self._added.clear()
        self.is_open = False

    def send(self, topic: str, *values: bytes, partition: int = 0) -> PartitionProduceResponse:
        """Produce a batch, after the partition has been added if that is for the client to do."""
        if not self.is_implicit and (topic, partition) not in self._added:
            assert_none(self.add(topic, partition))
        sequence = self._sequences.get((topic, partition), 0)
        version = IMPLICIT_PRODUCE_VERSION - (not self.is_implicit)
        answer = self.produce(
            topic, *values, partition=partition, sequence=sequence, version=version
        )
        if not answer.error_code:
            self._sequences[topic, partition] = sequence + len(values)
        return answer

    def produce(
        self, topic: str, *values: bytes, partition: int = 0, sequence: int = 0, version: int
    ) -> PartitionProduceResponse:
        """Produce a batch and nothing else."""
        self.is_open = True
        records = batch(
            *values, producer=(self.producer_id, self.epoch, sequence), is_transactional=True
        )
        return retried(
            lambda: produce(
                self.raw,
                topic,
                records,
                partition=partition,
                transactional_id=self.transactional_id,
                version=version,
            ),
            lambda one: one.error_code,
        )

    def add(self, topic: str, *partitions: int, version: int = 3) -> int:
        """AddPartitionsToTxn as clients send it; the first partition's error."""
        self.is_open = True
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=self.transactional_id,
            v3_and_below_producer_id=self.producer_id,
            v3_and_below_producer_epoch=self.epoch,
            v3_and_below_topics=[AddPartitionsToTxnTopic(name=topic, partitions=[*partitions])],
        )
        answer = retried(
            lambda: (
                self.raw.ask(request, version, AddPartitionsToTxnResponse)
                .results_by_topic_v3_and_below[0]
                .results_by_partition[0]
            ),
            lambda one: one.partition_error_code,
        )
        if not answer.partition_error_code:
            self._added |= {(topic, partition) for partition in partitions}
        return answer.partition_error_code

    def add_group(self, group: str, version: int = 3) -> int:
        """AddOffsetsToTxn; its error."""
        self.is_open = True
        request = AddOffsetsToTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            group_id=group,
        )
        return retried(
            lambda: self.raw.ask(request, version, AddOffsetsToTxnResponse).error_code, int
        )

    def commit_offset(
        self, group: str, topic: str, offset: int, *, metadata: str = "", partition: int = 0
    ) -> int:
        """The position becomes the group's when the transaction is committed; the error."""
        if not self.is_implicit:
            assert_none(self.add_group(group))
        return self.txn_offset_commit(
            group,
            topic,
            offset,
            metadata=metadata,
            partition=partition,
            version=IMPLICIT_COMMIT_VERSION - (not self.is_implicit),
        )

    def txn_offset_commit(
        self,
        group: str,
        topic: str,
        offset: int,
        *,
        metadata: str = "",
        partition: int = 0,
        version: int,
    ) -> int:
        """TxnOffsetCommit and nothing else; the partition's error."""
        self.is_open = True
        one = TxnOffsetCommitRequestPartition(
            partition_index=partition, committed_offset=offset, committed_metadata=metadata
        )
        request = TxnOffsetCommitRequest(
            transactional_id=self.transactional_id,
            group_id=group,
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            topics=[TxnOffsetCommitRequestTopic(name=topic, partitions=[one])],
        )
        return retried(
            lambda: (
                self.raw.ask(request, version, TxnOffsetCommitResponse)
                .topics[0]
                .partitions[0]
                .error_code
            ),
            int,
        )

    def commit(self) -> None:
        assert_none(self.end(committed=True).error_code)

    def abort(self) -> None:
        assert_none(self.end(committed=False).error_code)

    def end(self, *, committed: bool, version: int | None = None) -> EndTxnResponse:
        """EndTxn; what it answers is the producer's from then on."""
        if version is None:
            version = BUMPING_END_VERSION - (not self.is_implicit)
        request = EndTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            committed=committed,
        )
        answer = retried(
            lambda: self.raw.ask(request, version, EndTxnResponse), lambda one: one.error_code
        )
        if not answer.error_code:
            self.is_open = False
            self._added.clear()
            if version >= BUMPING_END_VERSION:
                self._become(answer.producer_id, answer.producer_epoch)
        return answer

    def _become(self, producer_id: int, epoch: int) -> None:
        self.producer_id, self.epoch = producer_id, epoch
        self._sequences.clear()
