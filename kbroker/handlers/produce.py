"""Produce (key 0), v3-13: appends one batch to each partition.

The answer is sent when as many replicas as `acks` says have the batch. With acks=0 there is no
answer, and the connection is closed if the append fails, so that the producer learns of it. Batches
are appended in the order of the requests of a connection. A request that waits for the high
watermark or for a flush does not hold up those behind it.

v0-2 are advertised though they are refused, as in Apache Kafka: old versions of librdkafka believe
otherwise that the broker knows no compression (KAFKA-18659).
v7 zstd (KIP-110) - v8 record errors (KIP-467) - v10 leader hints (KIP-951) - v13 topic ids
(KIP-516)
"""

from __future__ import annotations

from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING

import trio

from kbroker.controller.topic_names import INTERNAL_TOPICS
from kbroker.errors import code_of, refusal
from kbroker.requests.parts import NAME, TOPIC_ID, each_once
from kbroker.requests.services import CloseConnection
from kbroker.storage.batch import (
    ATTRIBUTES_AT,
    CODEC_MASK,
    HEADER,
    LOG_OVERHEAD,
    MAGIC,
    TRANSACTIONAL_MASK,
)
from kbroker.storage.compression import Codec
from kbroker.storage.errors import (
    CorruptBatch,
    DiskError,
    InvalidRecord,
    RecordBatchTooLarge,
    RecordTooLarge,
    StorageError,
)
from kbroker.storage.formats import FRAME
from kbroker.storage.legacy import LENGTH_MIN
from kbroker.storage.origin import Origin
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.produce import (
    BatchIndexAndErrorMessage,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from kbroker.partitions.partition import Partition
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.produce import PartitionProduceData, TopicProduceData

ACKS_ALL, ACKS_LEADER, ACKS_NONE = -1, 1, 0
ADMIN_CLIENT_ID = (
    "__admin_client"  # Kafka's AdminUtils.ADMIN_CLIENT_ID may write to internal topics
)
ZSTD_MIN_VERSION = 7
TOPIC_IDS_VERSION = 13
PARTITION_DATA = attrgetter("partition_data")

_ZSTD = Codec.ZSTD.value
_BATCH_LENGTH = Struct(">8xi")
_BATCH_HEAD = Struct(">8xi4xb")  # length, magic
_ATTRIBUTES = Struct(">h")

Waiting = list[tuple["Partition", int, PartitionProduceResponse]]


def handle(
    request: ProduceRequest, ctx: RequestContext
) -> ProduceResponse | Coroutine[object, object, ProduceResponse | None] | None:
    acks = request.acks
    by_id = ctx.api_version >= TOPIC_IDS_VERSION
    partitions = ctx.services.partitions
    now_ms = ctx.services.clock.wall_ms()
    response = ProduceResponse()
    waiting: Waiting = []
    failed = False
    topics = request.topic_data
    if len(topics) > 1:
        topics = each_once(topics, TOPIC_ID if by_id else NAME, PARTITION_DATA)
    for topic in topics:
        if not topic.partition_data:
            continue
        answers: list[PartitionProduceResponse] = []
        response.responses.append(
            TopicProduceResponse(
                name=topic.name, topic_id=topic.topic_id, partition_responses=answers
            )
        )
        wanted_partitions: Iterable[PartitionProduceData] = topic.partition_data
        if len(topic.partition_data) > 1:
            # Of a partition that is there twice, Kafka knows the last.
            wanted_partitions = {one.index: one for one in topic.partition_data}.values()
        for wanted in wanted_partitions:
            index = wanted.index
            partition = None
            try:
                partition = (
                    partitions.get_by_id(topic.topic_id, index)
                    if by_id
                    else partitions.get(topic.name, index)
                )
                if partition is None:
                    raise RequestError(_why_missing(topic, index, ctx))
                records = _checked(wanted.records, partition, request, ctx)
                info = partition.append(records, now_ms, Origin.CLIENT)
                answer = PartitionProduceResponse(
                    index=index,
                    base_offset=info.first_offset,
                    log_append_time_ms=info.append_time_ms,
                    log_start_offset=info.log_start_offset,
                )
                if (acks == ACKS_ALL or partition.flushing) and not partition.is_committed(
                    info.last_offset
                ):
                    waiting.append((partition, info.last_offset, answer))
            except RequestError as error:
                failed = True
                told = error.message if error.code == ErrorCode.CORRUPT_MESSAGE else None
                answer = _failure(index, error.code, told)
                if partition is not None and error.code == ErrorCode.NOT_LEADER_OR_FOLLOWER:
                    _hint_leader(partition, answer, response, ctx)
            except StorageError as error:
                failed = True
                assert partition is not None
                answer = _refused(partition, index, error)
            except Exception as error:
                failed = True
                where = f"{topic.name or topic.topic_id.hex()}-{index}"
                answer = _failure(index, refusal(error, f"Produce to {where}").code)
            answers.append(answer)
    if acks == ACKS_NONE:
        if failed:
            raise CloseConnection(f"a Produce with acks=0 failed: {_first_error(response).name}")
        return None
    if waiting:
        return _wait(response, waiting, request.timeout_ms)
    return response


def refuse(
    request: ProduceRequest, version: int, code: ErrorCode, message: str | None
) -> ProduceResponse | None:
    if request.acks == 0:
        return None
    return ProduceResponse(
        responses=[
            TopicProduceResponse(
                name=topic.name,
                topic_id=topic.topic_id,
                partition_responses=[
                    _failure(p.index, code, message) for p in topic.partition_data
                ],
            )
            for topic in request.topic_data
        ]
    )


def _why_missing(topic: TopicProduceData, index: int, ctx: RequestContext) -> ErrorCode:
    name = topic.name
    if ctx.api_version >= TOPIC_IDS_VERSION:
        known = ctx.services.image.topics_by_id.get(topic.topic_id)
        if known is None:
            return ErrorCode.UNKNOWN_TOPIC_ID
        name = known.name
    return ctx.services.partitions.why_missing(name, index)


def _checked(
    records: object, partition: Partition, request: ProduceRequest, ctx: RequestContext
) -> memoryview:
    """The records, if this broker may append them; what Kafka checks before it looks at the log."""
    partition.check_leader(-1)
    if not ACKS_ALL <= request.acks <= ACKS_LEADER:
        raise RequestError(ErrorCode.INVALID_REQUIRED_ACKS)
    if partition.topic in INTERNAL_TOPICS and ctx.client_id != ADMIN_CLIENT_ID:
        raise RequestError(ErrorCode.INVALID_TOPIC_EXCEPTION)
    # What is wrong here Kafka answers without a reason, but for bytes that it cannot walk.
    if not isinstance(records, memoryview) or len(records) < FRAME:
        raise RequestError(ErrorCode.INVALID_RECORD)
    length, magic = _BATCH_HEAD.unpack_from(records)
    if length < LENGTH_MIN:
        raise RequestError(
            ErrorCode.CORRUPT_MESSAGE,
            f"Record size {length} is less than the minimum record overhead ({LENGTH_MIN})",
        )
    if not 0 <= magic <= MAGIC:
        raise RequestError(ErrorCode.CORRUPT_MESSAGE, f"Invalid magic found in record: {magic}")
    size = length + LOG_OVERHEAD
    if size > len(records) or magic != MAGIC:
        raise RequestError(ErrorCode.INVALID_RECORD)
    if size < HEADER:
        raise CorruptBatch(f"a record batch of {size} bytes")
    (attributes,) = _ATTRIBUTES.unpack_from(records, ATTRIBUTES_AT)
    if size < len(records):
        if _has_batch(records[size:]):
            raise RequestError(ErrorCode.INVALID_RECORD)
        records = records[:size]
    if attributes & CODEC_MASK == _ZSTD and ctx.api_version < ZSTD_MIN_VERSION:
        raise RequestError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
    if attributes & TRANSACTIONAL_MASK:
        # There is no transaction that this partition could be part of (KIP-890 verification).
        raise RequestError(
            ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            if request.transactional_id is None
            else ErrorCode.INVALID_TXN_STATE
        )
    if request.acks == ACKS_ALL:
        partition.check_min_isr()
    return records


def _has_batch(rest: memoryview) -> bool:
    """Whether a whole batch follows; what is less Kafka leaves out (ByteBufferLogInputStream)."""
    return len(rest) >= FRAME and _BATCH_LENGTH.unpack_from(rest)[0] + LOG_OVERHEAD <= len(rest)


async def _wait(response: ProduceResponse, waiting: Waiting, timeout_ms: int) -> ProduceResponse:
    """Fill in REQUEST_TIMED_OUT or what went wrong for those that do not commit in time. They are
    waited for one after the other, so some may have committed behind the one that did not.
    """
    with trio.move_on_after(max(0, timeout_ms) / 1000):
        while waiting:
            partition, last_offset, answer = waiting[-1]
            try:
                await partition.wait_committed(last_offset)
            except Exception as error:
                where = f"{partition.topic}-{partition.index}"
                _fail(answer, refusal(error, f"Produce to {where}").code)
            waiting.pop()
    for partition, last_offset, answer in waiting:
        if not partition.is_committed(last_offset):
            _fail(answer, ErrorCode.REQUEST_TIMED_OUT)
    return response


def _fail(answer: PartitionProduceResponse, code: ErrorCode) -> None:
    answer.error_code = code
    answer.base_offset = answer.log_append_time_ms = answer.log_start_offset = -1


def _failure(index: int, code: ErrorCode, message: str | None = None) -> PartitionProduceResponse:
    return PartitionProduceResponse(
        index=index,
        error_code=code,
        error_message=message,
        base_offset=-1,
        log_append_time_ms=-1,
        log_start_offset=-1,
    )


def _refused(partition: Partition, index: int, error: StorageError) -> PartitionProduceResponse:
    answer = _failure(index, code_of(error))
    if not isinstance(error, (DiskError, RecordTooLarge, RecordBatchTooLarge, CorruptBatch)):
        # Kafka tells the log start offset only for what it refused after a look into the batch.
        answer.log_start_offset = partition.log_start_offset
    if isinstance(error, InvalidRecord) and error.record_errors:
        # Kafka says what is wrong with records, not what is wrong with a batch.
        answer.error_message = str(error)
        answer.record_errors = [
            BatchIndexAndErrorMessage(
                batch_index=e.batch_index, batch_index_error_message=e.message
            )
            for e in error.record_errors
        ]
    return answer


def _hint_leader(
    partition: Partition,
    answer: PartitionProduceResponse,
    response: ProduceResponse,
    ctx: RequestContext,
) -> None:
    """Who leads instead (KIP-951)."""
    if ctx.api_version < 10:
        return
    answer.current_leader = LeaderIdAndEpoch(
        leader_id=partition.leader_id, leader_epoch=partition.leader_epoch
    )
    endpoint = ctx.services.endpoint(partition.leader_id, ctx.connection)
    if endpoint is not None and all(
        n.node_id != partition.leader_id for n in response.node_endpoints
    ):
        host, port, rack = endpoint
        response.node_endpoints.append(
            NodeEndpoint(node_id=partition.leader_id, host=host, port=port, rack=rack)
        )


def _first_error(response: ProduceResponse) -> ErrorCode:
    return next(
        ErrorCode(p.error_code)
        for topic in response.responses
        for p in topic.partition_responses
        if p.error_code
    )
