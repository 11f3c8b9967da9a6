"""Fetch (key 1), v4-18: reads partitions from their logs, and waits for min_bytes.

A consumer gets records below the high watermark, or with read_committed below the last stable
offset. The first batch is answered whole even if it exceeds the limits (KIP-74). If one partition
has an error, the fetch is answered at once. Records are answered as ranges of files; their bytes do
not pass through this process.
v7 fetch sessions (KIP-227) - v11 rack (KIP-392) - v12 diverging epoch (KIP-595) - v13 topic ids
(KIP-516) - v15 replica state (KIP-903) - v16 leader hints (KIP-951) - v17 replica directory
(KIP-853) - v18 high watermark (KIP-1166)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from kbroker.errors import code_of, refusal
from kbroker.partitions.fetch_sessions import FetchContext, FetchPartition, FetchSession
from kbroker.storage.errors import OffsetOutOfRange, StorageError
from kbroker.storage.log_reader import aborted_transactions
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from kbroker.partitions.fetch_sessions import Key
    from kbroker.partitions.partition import Partition
    from kbroker.requests.services import RequestContext

READ_UNCOMMITTED, READ_COMMITTED = 0, 1
TOPIC_IDS_VERSION = 13
EMPTY = b""
_UNKNOWN = (ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)  # in this order


def handle(
    request: FetchRequest, ctx: RequestContext
) -> FetchResponse | Coroutine[object, object, FetchResponse]:
    if not READ_UNCOMMITTED <= request.isolation_level <= READ_COMMITTED:
        raise RequestError(
            ErrorCode.INVALID_REQUEST, f"unknown isolation level {request.isolation_level}"
        )
    by_id = ctx.api_version >= TOPIC_IDS_VERSION
    wanted = _wanted(request, ctx, by_id)
    context = ctx.services.fetch_sessions.context(
        request.session_id,
        request.session_epoch,
        wanted,
        _forgotten(request, by_id),
        uses_topic_ids=by_id,
        now_ms=ctx.services.clock.wall_ms(),
    )
    if isinstance(context, ErrorCode):
        return FetchResponse(error_code=context)
    reader = _Reader(request, ctx, context)
    reader.read()
    if (
        request.max_wait_ms <= 0
        or reader.failed
        or reader.bytes_read >= reader.bytes_min
        or not reader.waitable
        or ctx.services.stopping.is_set()
    ):
        return reader.respond(wanted)
    return _wait(reader, wanted, request.max_wait_ms)


def refuse(
    request: FetchRequest, version: int, code: ErrorCode, message: str | None
) -> FetchResponse:
    # Up to v6 the response has no error of its own, and later clients look at the partitions too.
    return FetchResponse(
        error_code=code,
        session_id=request.session_id,
        responses=[
            FetchableTopicResponse(
                topic=topic.topic,
                topic_id=topic.topic_id,
                partitions=[
                    PartitionData(
                        partition_index=p.partition,
                        error_code=code,
                        high_watermark=-1,
                        records=b"",
                    )
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
        if version < TOPIC_IDS_VERSION
        else [],
    )


async def _wait(
    reader: _Reader, wanted: dict[Key, FetchPartition], max_wait_ms: int
) -> FetchResponse:
    """Answer when enough has been appended, when a partition changes, or when the time is over."""
    deadline = trio.current_time() + max_wait_ms / 1000
    reader.has_waited = True
    waiter = _Waiter(reader.bytes_min - reader.bytes_read)
    with trio.move_on_at(deadline):
        while True:
            try:
                for partition in reader.waitable:
                    partition.add_waiter(waiter)
                await waiter.event.wait()
            finally:
                for partition in reader.waitable:
                    partition.remove_waiter(waiter)
            reader.read()
            if reader.failed or reader.bytes_read >= reader.bytes_min or waiter.changed:
                break
            waiter = _Waiter(reader.bytes_min - reader.bytes_read)
    if waiter.event.is_set():
        return reader.respond(wanted)
    reader.read()
    return reader.respond(wanted)


class _Waiter:
    """Counts what is appended to the partitions of one fetch."""

    __slots__ = ("changed", "event", "missing_bytes")

    def __init__(self, missing_bytes: int) -> None:
        self.missing_bytes = missing_bytes
        self.changed = False
        self.event = trio.Event()

    def progress(self, appended_bytes: int | None) -> None:
        if appended_bytes is None:
            self.changed = True
            self.event.set()
            return
        self.missing_bytes -= appended_bytes
        if self.missing_bytes <= 0:
            self.event.set()


class _Reader:
    """One fetch: may read several times while it waits, answers once."""

    __slots__ = (
        "answers",
        "bytes_max",
        "bytes_min",
        "bytes_read",
        "context",
        "ctx",
        "failed",
        "has_waited",
        "isolation_level",
        "replica_id",
        "waitable",
    )

    def __init__(self, request: FetchRequest, ctx: RequestContext, context: FetchContext) -> None:
        self.ctx = ctx
        self.context = context
        self.bytes_max = min(request.max_bytes, ctx.services.config.fetch_max_bytes)
        self.bytes_min = min(request.min_bytes, self.bytes_max)
        self.isolation_level = request.isolation_level
        self.replica_id = (
            request.replica_state.replica_id if ctx.api_version >= 15 else request.replica_id
        )
        self.answers: list[tuple[FetchPartition, PartitionData]] = []
        self.waitable: list[Partition] = []
        self.bytes_read = 0
        self.failed = False
        self.has_waited = False

    def read(self) -> None:
        """Read every partition anew, as far as the limits allow. What Kafka finds unknown before it
        reads comes last: ids that nobody knows, then partitions that are not there.
        """
        self.answers = []
        unknown: dict[ErrorCode, list[tuple[FetchPartition, PartitionData]]] = {}
        self.waitable = []
        self.bytes_read = 0
        self.failed = False
        left = self.bytes_max
        session = self.context.session
        for want in self.context.partitions:
            partition = None
            try:
                partition = self._partition(want)
                answer = self._read_one(partition, want, left)
            except RequestError as error:
                self.failed = True
                answer = self._failure(want, error.code, partition)
                if error.code in _UNKNOWN and not self.has_waited:
                    unknown.setdefault(error.code, []).append((want, answer))
                    continue
            except OffsetOutOfRange:
                self.failed = True
                answer = self._failure(want, ErrorCode.OFFSET_OUT_OF_RANGE, None)
            except StorageError as error:
                self.failed = True
                assert partition is not None
                partition.note_unreadable(error)
                answer = self._failure(want, code_of(error), None)
            except Exception as error:
                self.failed = True
                refused = refusal(error, f"Fetch from {want.topic}-{want.index}")
                answer = self._failure(want, refused.code, None)
            else:
                self.waitable.append(partition)
                size = len(answer.records) if answer.records is not None else 0
                if size:
                    self.bytes_read += size
                    left = max(0, left - size)
                elif (
                    session is not None
                    and want.answered_high_watermark == answer.high_watermark
                    and want.answered_log_start_offset == answer.log_start_offset
                    and answer.diverging_epoch.epoch < 0
                ):
                    continue  # the client knows all of this
                elif answer.diverging_epoch.epoch >= 0:
                    self.failed = True
            self.answers.append((want, answer))
        if unknown:
            for code in _UNKNOWN:
                self.answers += unknown.get(code, ())

    def _partition(self, want: FetchPartition) -> Partition:
        services = self.ctx.services
        if self.ctx.api_version >= TOPIC_IDS_VERSION:
            if not want.topic:
                topic = services.image.topics_by_id.get(want.topic_id)
                if topic is None:
                    raise RequestError(ErrorCode.UNKNOWN_TOPIC_ID)
                want.topic = topic.name
            partition = services.partitions.get(want.topic, want.index)
            if partition is not None and partition.topic_id != want.topic_id:
                raise RequestError(ErrorCode.INCONSISTENT_TOPIC_ID)
        else:
            partition = services.partitions.get(want.topic, want.index)
        if partition is None:
            raise RequestError(services.partitions.why_missing(want.topic, want.index))
        partition.check_leader(want.current_leader_epoch)
        follower = self.replica_id  # negative for a consumer
        if follower >= 0 and (follower == partition.node_id or follower not in partition.replicas):
            raise RequestError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        return partition

    def _read_one(self, partition: Partition, want: FetchPartition, left: int) -> PartitionData:
        log = partition.log
        answer = PartitionData(
            partition_index=want.index,
            high_watermark=partition.high_watermark,
            last_stable_offset=partition.last_stable_offset,
            log_start_offset=log.log_start_offset,
            aborted_transactions=None,
            records=EMPTY,
        )
        if want.last_fetched_epoch >= 0:
            epoch, end_offset = log.epochs.end_offset_for(
                want.last_fetched_epoch, log.log_end_offset
            )
            if epoch < 0 or end_offset < 0:
                raise RequestError(ErrorCode.OFFSET_OUT_OF_RANGE)
            if epoch < want.last_fetched_epoch or end_offset < want.fetch_offset:
                answer.diverging_epoch = EpochEndOffset(epoch=epoch, end_offset=end_offset)
                return answer
        end_offset = partition.readable_end(self.isolation_level)
        if self.isolation_level == READ_COMMITTED:
            answer.aborted_transactions = []
        if want.fetch_offset == end_offset or (
            end_offset < want.fetch_offset <= log.log_end_offset
        ):
            return answer
        found = log.read(
            want.fetch_offset,
            min(want.bytes_max, left),
            end_offset=end_offset,
            min_one=self.bytes_read == 0,
        )
        if found.records is not None:
            answer.records = found.records
            if self.isolation_level == READ_COMMITTED:
                answer.aborted_transactions = [
                    AbortedTransaction(producer_id=t.producer_id, first_offset=t.first_offset)
                    for t in aborted_transactions(
                        log.segments, want.fetch_offset, found, end_offset
                    )
                ]
        return answer

    def _failure(
        self, want: FetchPartition, code: ErrorCode, partition: Partition | None
    ) -> PartitionData:
        answer = PartitionData(
            partition_index=want.index,
            error_code=code,
            high_watermark=-1,
            # Kafka: null, but empty where it finds no partition to read. One that goes while a
            # fetch waits for it was found.
            aborted_transactions=[] if code in _UNKNOWN and not self.has_waited else None,
            records=EMPTY,
        )
        if partition is None:
            partition = self.ctx.services.partitions.get(want.topic, want.index)
        if (
            partition is not None
            and self.ctx.api_version >= 16
            and code in (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH)
        ):
            answer.current_leader = LeaderIdAndEpoch(
                leader_id=partition.leader_id, leader_epoch=partition.leader_epoch
            )
        return answer

    def respond(self, wanted: dict[Key, FetchPartition]) -> FetchResponse:
        """The answer; from here on the session counts it as given."""
        session = self.context.session
        response = FetchResponse(responses=_grouped(self.answers))
        if session is not None:
            if session.epoch != self.context.epoch:  # another request of this session overtook us
                return FetchResponse(
                    error_code=ErrorCode.INVALID_FETCH_SESSION_EPOCH, session_id=session.session_id
                )
            response.session_id = session.session_id
        by_id = self.ctx.api_version >= TOPIC_IDS_VERSION
        for want, answer in self.answers:
            want.answered_high_watermark = -1 if answer.error_code else answer.high_watermark
            want.answered_log_start_offset = answer.log_start_offset
            if session is not None and answer.records:
                _to_the_end(session, want, by_id)
        if self.context.may_create:
            response.session_id = self.ctx.services.fetch_sessions.create(
                wanted,
                is_follower=self.replica_id >= 0,
                uses_topic_ids=by_id,
                now_ms=self.ctx.services.clock.wall_ms(),
            )
        if self.failed and self.ctx.api_version >= 16 and self.replica_id < 0:
            self._add_endpoints(response)
        return response

    def _add_endpoints(self, response: FetchResponse) -> None:
        leaders = {
            answer.current_leader.leader_id
            for _, answer in self.answers
            if answer.current_leader.leader_id >= 0
        }
        for node_id in sorted(leaders):
            endpoint = self.ctx.services.endpoint(node_id, self.ctx.connection)
            if endpoint is not None:
                host, port, rack = endpoint
                response.node_endpoints.append(
                    NodeEndpoint(node_id=node_id, host=host, port=port, rack=rack)
                )


def _to_the_end(session: FetchSession, want: FetchPartition, by_id: bool) -> None:
    """Whoever had data waits its turn behind the others next time."""
    key = (want.topic_id if by_id else want.topic, want.index)
    partitions = session.partitions
    partitions[key] = partitions.pop(key)


def _wanted(request: FetchRequest, ctx: RequestContext, by_id: bool) -> dict[Key, FetchPartition]:
    topics_by_id = ctx.services.image.topics_by_id
    wanted: dict[Key, FetchPartition] = {}
    for topic in request.topics:
        name = topic.topic
        if by_id:
            known = topics_by_id.get(topic.topic_id)
            name = known.name if known is not None else ""
        for p in topic.partitions:
            wanted[(topic.topic_id if by_id else name, p.partition)] = FetchPartition(
                name,
                topic.topic_id,
                p.partition,
                p.fetch_offset,
                p.partition_max_bytes,
                max(p.current_leader_epoch, -1),  # negative is none here, not in ListOffsets
                p.last_fetched_epoch,
            )
    return wanted


def _forgotten(request: FetchRequest, by_id: bool) -> Iterable[Key]:
    for topic in request.forgotten_topics_data:
        for index in topic.partitions:
            yield (topic.topic_id if by_id else topic.topic, index)


def _grouped(answers: list[tuple[FetchPartition, PartitionData]]) -> list[FetchableTopicResponse]:
    """Runs of one topic together, in the order of the partitions (FetchResponse.of)."""
    topics: list[FetchableTopicResponse] = []
    for want, answer in answers:
        if topics and topics[-1].topic == want.topic and topics[-1].topic_id == want.topic_id:
            topics[-1].partitions.append(answer)
        else:
            topics.append(
                FetchableTopicResponse(
                    topic=want.topic, topic_id=want.topic_id, partitions=[answer]
                )
            )
    return topics
