"""What a producer is promised, and told when it cannot be had."""

from __future__ import annotations

import gc
import inspect
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

from kbroker.handlers import produce
from kbroker.requests.services import CloseConnection
from kbroker.storage.flush import begin_flush, finish_flush
from kbroker.storage.log_config import LogConfig
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from tests.kbroker.broker_parts import NOW_MS
from tests.kbroker.cluster_image import topic_id

from .data_path import DataPath, batch, partition_state

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from kbroker.wire.message import Blob

LATEST = 13


@pytest.fixture
def path(tmp_path: Path) -> DataPath:
    return DataPath(tmp_path)


def request(
    records: Blob | None,
    *,
    topic: str = "t",
    index: int = 0,
    acks: int = 1,
    transactional_id: str | None = None,
) -> ProduceRequest:
    return ProduceRequest(
        acks=acks,
        timeout_ms=1000,
        transactional_id=transactional_id,
        topic_data=[
            TopicProduceData(
                name=topic,
                topic_id=topic_id(topic),
                partition_data=[PartitionProduceData(index=index, records=records)],
            )
        ],
    )


def send(
    path: DataPath, wanted: ProduceRequest, version: int = LATEST, client_id: str = "test"
) -> PartitionProduceResponse:
    result = produce.handle(wanted, path.context(0, version, client_id))
    assert isinstance(result, ProduceResponse)
    return result.responses[0].partition_responses[0]


def test_offsets_are_dense_and_start_at_0(path: DataPath) -> None:
    path.add("t")
    offsets = [send(path, request(batch(b"a", b"b", b"c"))).base_offset for _ in range(3)]
    assert offsets == [0, 3, 6]


@pytest.mark.parametrize("version", range(3, LATEST + 1))
def test_every_version_appends(path: DataPath, version: int) -> None:
    partition = path.add("t")
    answer = send(path, request(batch(b"a")), version)
    assert (answer.error_code, answer.base_offset, answer.log_start_offset) == (0, 0, 0)
    assert partition.log_end_offset == partition.high_watermark == 1


@pytest.mark.parametrize(
    ("version", "topic", "index", "code"),
    [
        (12, "other", 0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (12, "t", 9, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (13, "other", 0, ErrorCode.UNKNOWN_TOPIC_ID),
        (13, "t", 9, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ],
)
def test_an_unknown_partition_is_told_by_name_or_by_id(
    path: DataPath, version: int, topic: str, index: int, code: ErrorCode
) -> None:
    path.add("t")
    answer = send(path, request(batch(b"a"), topic=topic, index=index), version)
    assert (answer.error_code, answer.base_offset) == (code, -1)


def damaged(position: int, value: int) -> memoryview:
    view = batch(b"abc")
    view[position] = value
    return view


@pytest.mark.parametrize(
    ("records", "version", "code"),
    [
        (None, 9, ErrorCode.INVALID_RECORD),
        (memoryview(bytearray(0)), 9, ErrorCode.INVALID_RECORD),
        (memoryview(bytearray(16)), 9, ErrorCode.INVALID_RECORD),
        (memoryview(bytearray(60)), 9, ErrorCode.CORRUPT_MESSAGE),
        (damaged(16, 1), 9, ErrorCode.INVALID_RECORD),
        (damaged(16, 3), 9, ErrorCode.CORRUPT_MESSAGE),
        (damaged(16, 255), 9, ErrorCode.CORRUPT_MESSAGE),
        (damaged(65, 99), 9, ErrorCode.CORRUPT_MESSAGE),
        (batch(b"abc")[:-1], 9, ErrorCode.INVALID_RECORD),
        (memoryview(bytearray(bytes(batch(b"a")) * 2)), 9, ErrorCode.INVALID_RECORD),
        (damaged(22, 4), 6, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
    ],
    ids=[
        "null",
        "empty",
        "short",
        "zeroes",
        "magic 1",
        "magic 3",
        "magic -1",
        "crc",
        "truncated",
        "two batches",
        "zstd before v7",
    ],
)
def test_a_bad_batch_is_refused_and_nothing_is_written(
    path: DataPath, records: memoryview | None, version: int, code: ErrorCode
) -> None:
    partition = path.add("t")
    assert send(path, request(records), version).error_code == code
    assert partition.log.size == 0


@pytest.mark.parametrize(
    ("records", "message", "log_start_offset"),
    [
        (
            memoryview(bytearray(60)),
            "Record size 0 is less than the minimum record overhead (14)",
            -1,
        ),
        (damaged(16, 3), "Invalid magic found in record: 3", -1),
        (batch(b"abc")[:-1], None, -1),
        (damaged(7, 5), None, 0),
    ],
    ids=["zeroes", "magic 3", "truncated", "base offset 5"],
)
def test_only_bytes_that_cannot_be_walked_are_refused_with_a_reason(
    path: DataPath, records: memoryview, message: str | None, log_start_offset: int
) -> None:
    path.add("t")
    answer = send(path, request(records))
    assert (answer.error_message, answer.log_start_offset) == (message, log_start_offset)


def test_of_a_partition_that_is_there_twice_the_last_counts(path: DataPath) -> None:
    partition = path.add("t")
    wanted = request(batch(b"first"))
    wanted.topic_data[0].partition_data.append(PartitionProduceData(index=0, records=batch(b"b")))
    result = produce.handle(wanted, path.context(0, LATEST))
    assert isinstance(result, ProduceResponse)
    assert [p.base_offset for p in result.responses[0].partition_responses] == [0]
    assert partition.log.size == len(batch(b"b"))


@pytest.mark.parametrize("version", [12, LATEST])
@pytest.mark.parametrize(
    ("asked", "answers", "appended"),
    [
        ([("t", 0, b"a"), ("t", 0, b"last")], {"t": {0: 0}}, {("t", 0): b"last"}),
        ([("t", 0, b"a"), ("t", 1, b"bb")], {"t": {0: 0, 1: 0}}, {("t", 0): b"a", ("t", 1): b"bb"}),
        (
            [("t", 0, b"a"), ("u", 0, b"bb"), ("t", 0, b"last")],
            {"t": {0: 0}, "u": {0: 0}},
            {("t", 0): b"last", ("u", 0): b"bb"},
        ),
        (
            [("t", 7, b"a"), ("t", 0, b"bb"), ("t", 7, b"a")],
            {"t": {7: -1, 0: 0}},
            {("t", 0): b"bb"},
        ),
    ],
    ids=["a partition", "two partitions", "around another topic", "a missing partition"],
)
def test_a_topic_that_is_there_twice_is_one(
    path: DataPath,
    version: int,
    asked: list[tuple[str, int, bytes]],
    answers: dict[str, dict[int, int]],
    appended: dict[tuple[str, int], bytes],
) -> None:
    partitions = {(name, index): path.add(name, index) for name in "tu" for index in (0, 1)}
    whole = ProduceRequest(acks=1, timeout_ms=1000)
    for name, index, value in asked:
        whole.topic_data += request(batch(value), topic=name, index=index).topic_data
    result = produce.handle(whole, path.context(0, version))
    assert isinstance(result, ProduceResponse)
    assert len(result.responses) == len(answers)
    for topic in result.responses:
        found = {p.index: p.base_offset for p in topic.partition_responses}
        assert found == answers[topic.name]
        assert len(topic.partition_responses) == len(found)
    for key, partition in partitions.items():
        size = len(batch(appended[key])) if key in appended else 0
        assert (key, partition.log.size) == (key, size)


def test_a_topic_without_partitions_is_not_answered(path: DataPath) -> None:
    path.add("t")
    wanted = request(None)
    wanted.topic_data[0].partition_data.clear()
    result = produce.handle(wanted, path.context(0, LATEST))
    assert isinstance(result, ProduceResponse)
    assert result.responses == []


@pytest.mark.parametrize("rest", [b"", b"\0" * 5, bytes(batch(b"next"))[:-1]])
def test_less_than_a_batch_after_the_batch_is_left_out(path: DataPath, rest: bytes) -> None:
    partition = path.add("t")
    one = bytes(batch(b"a"))
    assert send(path, request(memoryview(bytearray(one + rest)))).error_code == 0
    assert partition.log.size == len(one)


def test_a_batch_over_max_message_bytes_is_refused(path: DataPath) -> None:
    path.add("t", config=LogConfig(max_message_bytes=200))
    assert send(path, request(batch(b"x" * 300))).error_code == ErrorCode.MESSAGE_TOO_LARGE
    assert send(path, request(batch(b"x" * 50))).error_code == 0


def test_a_record_without_key_on_a_compacted_topic_is_named(path: DataPath) -> None:
    path.add("t", config=LogConfig(cleanup_policy=frozenset(("compact",))))
    answer = send(path, request(batch(b"a", b"b")))
    assert answer.error_code == ErrorCode.INVALID_RECORD
    assert [e.batch_index for e in answer.record_errors] == [0, 1]
    assert answer.error_message


def test_log_append_time_is_answered(path: DataPath) -> None:
    path.add("t", config=LogConfig(message_timestamp_type="LogAppendTime"))
    assert send(path, request(batch(b"a", timestamp=5))).log_append_time_ms == NOW_MS
    path.add("u")
    assert send(path, request(batch(b"a"), topic="u")).log_append_time_ms == -1


@pytest.mark.parametrize("acks", [2, -2, 100])
def test_acks_that_do_not_exist_are_refused(path: DataPath, acks: int) -> None:
    partition = path.add("t")
    answer = send(path, request(batch(b"a"), acks=acks))
    assert answer.error_code == ErrorCode.INVALID_REQUIRED_ACKS
    assert partition.log.size == 0


def test_internal_topics_take_no_records_from_clients(path: DataPath) -> None:
    path.add("__consumer_offsets")
    wanted = request(batch(b"a"), topic="__consumer_offsets")
    assert send(path, wanted).error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    assert send(path, wanted, client_id="__admin_client").error_code == 0


def test_transactional_batches_are_refused_while_there_are_no_transactions(path: DataPath) -> None:
    path.add("t")
    view = batch(b"a", producer=(1, 0, 0))
    view[22] |= 0x10
    answer = send(path, request(view))
    assert answer.error_code == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    answer = send(path, request(view, transactional_id="tx"))
    assert answer.error_code == ErrorCode.INVALID_TXN_STATE


def test_five_batches_are_remembered_and_a_duplicate_gets_its_first_offset(path: DataPath) -> None:
    path.add("t")
    batches = [bytes(batch(b"x", b"y", producer=(7, 0, 2 * i))) for i in range(6)]
    for i, each in enumerate(batches):
        assert send(path, request(memoryview(bytearray(each)))).base_offset == 2 * i
    for i in range(1, 6):
        answer = send(path, request(memoryview(bytearray(batches[i]))))
        assert (answer.error_code, answer.base_offset) == (0, 2 * i)
    answer = send(path, request(memoryview(bytearray(batches[0]))))
    assert answer.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_gap_in_sequences_and_an_old_epoch_are_refused(path: DataPath) -> None:
    path.add("t")
    assert send(path, request(batch(b"a", producer=(7, 3, 40)))).error_code == 0
    answer = send(path, request(batch(b"b", producer=(7, 3, 42))))
    assert answer.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    answer = send(path, request(batch(b"b", producer=(7, 2, 41))))
    assert answer.error_code == ErrorCode.INVALID_PRODUCER_EPOCH
    assert send(path, request(batch(b"b", producer=(7, 4, 0)))).error_code == 0


def test_another_leader_is_named(path: DataPath) -> None:
    path.add("t", leader=2, replicas=(1, 2), leader_epoch=8)
    result = produce.handle(request(batch(b"a")), path.context(0, LATEST))
    assert isinstance(result, ProduceResponse)
    answer = result.responses[0].partition_responses[0]
    assert answer.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert (answer.current_leader.leader_id, answer.current_leader.leader_epoch) == (2, 8)
    assert [(n.node_id, n.host) for n in result.node_endpoints] == [(2, "host2")]


def test_acks_0_is_silent_and_closes_the_connection_when_it_fails(path: DataPath) -> None:
    partition = path.add("t")
    assert produce.handle(request(batch(b"a"), acks=0), path.context(0, 9)) is None
    assert partition.log_end_offset == 1
    with pytest.raises(CloseConnection):
        produce.handle(request(None, acks=0), path.context(0, 9))


def waiting(path: DataPath, wanted: ProduceRequest) -> Coroutine[object, object, ProduceResponse]:
    result = produce.handle(wanted, path.context(0, LATEST))
    assert inspect.iscoroutine(result)
    return cast("Coroutine[object, object, ProduceResponse]", result)


@pytest.mark.parametrize("acks", [1, -1])
async def test_with_flush_messages_1_the_answer_waits_for_the_flush(
    path: DataPath, acks: int
) -> None:
    partition = path.add("t", config=LogConfig(flush_messages=1))
    first = waiting(path, request(batch(b"a", b"b"), acks=acks))
    second = waiting(path, request(batch(b"c"), acks=acks))
    assert partition.high_watermark == 0
    answers: list[int] = []

    async def collect(pending: Coroutine[object, object, ProduceResponse]) -> None:
        answers.append((await pending).responses[0].partition_responses[0].base_offset)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect, first)
        nursery.start_soon(collect, second)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == []
        plan = begin_flush(partition.log)
        plan.run()
        finish_flush(partition.log, plan)
        partition.flushed(plan.end_offset)
    assert sorted(answers) == [0, 2]
    assert partition.high_watermark == 3


async def test_what_does_not_commit_in_time_is_told(
    path: DataPath, autojump_clock: trio.testing.MockClock
) -> None:
    path.add("t", config=LogConfig(flush_messages=1))
    started = trio.current_time()
    response = await waiting(path, request(batch(b"a"), acks=-1))
    answer = response.responses[0].partition_responses[0]
    assert (answer.error_code, answer.base_offset) == (ErrorCode.REQUEST_TIMED_OUT, -1)
    assert trio.current_time() - started == pytest.approx(1.0)


async def test_a_partition_that_goes_away_ends_the_wait(path: DataPath) -> None:
    partition = path.add("t", config=LogConfig(flush_messages=1))
    pending = waiting(path, request(batch(b"a"), acks=-1))
    partition.remove()
    response = await pending
    answer = response.responses[0].partition_responses[0]
    assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def test_who_waits_no_longer_is_forgotten(
    path: DataPath, autojump_clock: trio.testing.MockClock
) -> None:
    """The disk is stuck: clients run out of time or go away, and come again without end."""
    partition = path.add("t", config=LogConfig(flush_messages=1))
    answers: list[int] = []

    async def collect() -> None:
        response = await waiting(path, request(batch(b"stays"), acks=-1))
        answers.append(response.responses[0].partition_responses[0].base_offset)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect)
        await trio.testing.wait_all_tasks_blocked()
        before = live_events()
        for _ in range(100):
            with trio.move_on_after(0.001):  # its connection is cut
                await waiting(path, request(batch(b"a"), acks=-1))
        assert live_events() <= before + 2
        plan = begin_flush(partition.log)
        plan.run()
        finish_flush(partition.log, plan)
        partition.flushed(plan.end_offset)
    assert answers == [0]


def live_events() -> int:
    """What tasks could be waiting for."""
    gc.collect()
    return sum(isinstance(each, trio.Event) for each in gc.get_objects())


def test_min_isr_is_asked_of_acks_all_only_and_capped_at_the_replicas(path: DataPath) -> None:
    config = LogConfig(min_insync_replicas=2)
    partition = path.add("t", config=config, replicas=(1, 2))
    partition.apply(partition_state(1, (1, 2)))
    partition.isr = [1]
    assert send(path, request(batch(b"a"), acks=-1)).error_code == ErrorCode.NOT_ENOUGH_REPLICAS
    assert send(path, request(batch(b"a"), acks=1)).error_code == 0
    path.add("alone", config=config)
    assert send(path, request(batch(b"a"), topic="alone", acks=-1)).error_code == 0


async def test_what_commits_in_time_is_told_beside_what_does_not(
    path: DataPath, autojump_clock: trio.testing.MockClock
) -> None:
    partition = path.add("a", config=LogConfig(flush_messages=1))
    for topic in ("b", "c"):
        path.add(topic, config=LogConfig(flush_messages=1))
    both = request(batch(b"a"), topic="a", acks=-1)
    for topic in ("b", "c"):
        both.topic_data += request(batch(b"a"), topic=topic, acks=-1).topic_data
    pending = waiting(path, both)
    plan = begin_flush(partition.log)
    plan.run()
    finish_flush(partition.log, plan)
    partition.flushed(plan.end_offset)
    response = await pending
    assert [topic.partition_responses[0].error_code for topic in response.responses] == [
        ErrorCode.NONE,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.REQUEST_TIMED_OUT,
    ]
