"""What a consumer is promised: whole batches, limits, sessions, and errors at once."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from kbroker.storage.batch import ControlType, control_key, end_transaction_value
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.log_config import LogConfig
from kbroker.storage.origin import Origin
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.fetch import ForgottenTopic
from tests.kbroker.broker_parts import NOW_MS
from tests.kbroker.cluster_image import NODE_ID, topic_id
from tests.sim.disk import SimDisk

from .data_path import DataPath, batch, partition_state
from .fetching import LATEST, content, fill, offsets, only, request, send, wanted

if TYPE_CHECKING:
    from pathlib import Path

    from kbroker.partitions.partition import Partition

MISSING = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.fixture
def path(tmp_path: Path) -> DataPath:
    return DataPath(tmp_path)


@pytest.mark.parametrize("version", range(4, LATEST + 1))
def test_every_version_reads(path: DataPath, version: int) -> None:
    fill(path.add("t"), 2, 3)
    answer = only(send(path, request(wanted()), version))
    assert offsets(answer) == [(0, 1), (2, 4)]
    assert (answer.error_code, answer.high_watermark, answer.last_stable_offset) == (0, 5, 5)


def test_read_committed_ends_at_the_high_watermark_before_a_later_transaction(
    path: DataPath,
) -> None:
    """What flush.messages holds back is not stable yet, be it in a transaction or before one."""
    partition = path.add("t", config=LogConfig(flush_messages=2))
    fill(partition, 1, 1)
    transaction(partition, 1, None)
    assert partition.log.first_unstable_offset(1) == 2
    answer = only(send(path, request(wanted(), isolation_level=1)))
    assert (answer.high_watermark, answer.last_stable_offset) == (1, 1)
    assert offsets(answer) == [(0, 0)]


def transaction(partition: Partition, producer_id: int, end: ControlType | None) -> None:
    """Two records of a transaction, and its marker if it has ended."""
    records = [NewRecord(NOW_MS, None, b"x"), NewRecord(NOW_MS, None, b"y")]
    data = build_batch(
        records, producer_id=producer_id, producer_epoch=0, base_sequence=0, is_transactional=True
    )
    partition.append(memoryview(bytearray(data)), NOW_MS, Origin.CLIENT)
    if end is not None:
        marker = build_batch(
            [NewRecord(NOW_MS, control_key(end), end_transaction_value(0))],
            producer_id=producer_id,
            producer_epoch=0,
            is_control=True,
            is_transactional=True,
        )
        partition.append(memoryview(bytearray(marker)), NOW_MS, Origin.COORDINATOR)


@pytest.mark.parametrize("crashed", [False, True])
def test_transactions_in_a_log_are_told_of(path: DataPath, crashed: bool) -> None:
    partition = path.add("t")
    transaction(partition, 1, ControlType.COMMIT)
    transaction(partition, 2, ControlType.ABORT)
    if crashed:
        path = DataPath(path.directory)
        partition = path.add("t")
    asked = request(wanted())
    asked.isolation_level = 1
    answer = only(send(path, asked))
    assert answer.last_stable_offset == 6
    assert offsets(answer) == [(0, 1), (2, 2), (3, 4), (5, 5)]
    aborted = [(one.producer_id, one.first_offset) for one in answer.aborted_transactions or []]
    assert aborted == [(2, 3)]
    transaction(partition, 3, None)
    answer = only(send(path, asked))
    assert (answer.last_stable_offset, answer.high_watermark) == (6, 8)
    assert offsets(answer)[-1] == (5, 5)


@pytest.mark.parametrize(("offset", "first"), [(0, 0), (1, 0), (2, 2), (3, 2), (4, 2), (5, 5)])
def test_an_offset_inside_a_batch_gets_the_whole_batch(
    path: DataPath, offset: int, first: int
) -> None:
    fill(path.add("t"), 2, 3, 1)
    assert offsets(only(send(path, request(wanted(offset)))))[0][0] == first


def test_the_first_batch_comes_whole_though_it_is_over_every_limit(path: DataPath) -> None:
    fill(path.add("t"), 10, 10)
    answer = only(send(path, request(wanted(bytes_max=1), max_bytes=1)))
    assert offsets(answer) == [(0, 9)]


def test_limits_hold_for_all_partitions_but_the_first_with_data(path: DataPath) -> None:
    fill(path.add("t", 0), 10)
    fill(path.add("t", 1), 10)
    response = send(path, request(wanted(index=0), wanted(index=1), max_bytes=100))
    sizes = [len(content(p)) for p in response.responses[0].partitions]
    assert sizes[0] > 100
    assert sizes[1] == 0


@pytest.mark.parametrize(
    ("offset", "code"),
    [(-1, ErrorCode.OFFSET_OUT_OF_RANGE), (6, ErrorCode.OFFSET_OUT_OF_RANGE), (5, ErrorCode.NONE)],
)
def test_offsets_outside_the_log_are_an_error(path: DataPath, offset: int, code: ErrorCode) -> None:
    fill(path.add("t"), 5)
    answer = only(send(path, request(wanted(offset), wait_ms=0)))
    assert answer.error_code == code
    assert answer.high_watermark == (5 if code is ErrorCode.NONE else -1)


@pytest.mark.parametrize(
    ("known_epoch", "code"),
    [
        (-1, ErrorCode.NONE),
        (-2, ErrorCode.NONE),
        (5, ErrorCode.NONE),
        (4, ErrorCode.FENCED_LEADER_EPOCH),
        (6, ErrorCode.UNKNOWN_LEADER_EPOCH),
    ],
)
def test_the_leader_epoch_fences(path: DataPath, known_epoch: int, code: ErrorCode) -> None:
    fill(path.add("t", leader_epoch=5), 1)
    assert only(send(path, request(wanted(leader_epoch=known_epoch)))).error_code == code


@pytest.mark.parametrize(
    ("version", "topic", "index", "code"),
    [
        (12, "no", 0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (13, "no", 0, ErrorCode.UNKNOWN_TOPIC_ID),
        (13, "t", 7, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ],
)
def test_an_unknown_partition_completes_the_fetch_at_once(
    path: DataPath, version: int, topic: str, index: int, code: ErrorCode
) -> None:
    path.add("t")
    answer = only(send(path, request(wanted(index=index), topic=topic, wait_ms=60_000), version))
    assert answer.error_code == code


@pytest.mark.parametrize("version", [12, LATEST])
@pytest.mark.parametrize("session", [(0, -1), (0, 0)])
def test_what_is_unknown_comes_behind_what_was_read(
    path: DataPath, version: int, session: tuple[int, int]
) -> None:
    """Ids that nobody knows before partitions that are not there."""
    for name in "tu":
        fill(path.add(name), 1)
    asked = request(session=session)
    for name, *parts in (
        ("u", wanted(index=7), wanted()),
        ("none", wanted(index=1), wanted()),
        ("t", wanted(index=9), wanted(99)),
        ("nor", wanted()),
    ):
        asked.topics += request(*parts, topic=name).topics
    response = send(path, asked, version)
    unknown = ErrorCode.UNKNOWN_TOPIC_ID if version == LATEST else MISSING
    missing = [("u", 7, MISSING)]
    ids = [("none", 1, unknown), ("none", 0, unknown)]
    rest = [("t", 9, MISSING)]
    nor = [("nor", 0, unknown)]
    assert [
        (topic.topic or name_of(topic.topic_id), part.partition_index, part.error_code)
        for topic in response.responses
        for part in topic.partitions
    ] == [
        ("u", 0, 0),
        ("t", 0, ErrorCode.OFFSET_OUT_OF_RANGE),
        *([*ids, *nor, *missing, *rest] if version == LATEST else [*missing, *ids, *rest, *nor]),
    ]


def name_of(known: bytes) -> str:
    return known.strip(b"\1").decode()


def test_a_topic_made_again_under_its_name_is_told_by_its_id(path: DataPath) -> None:
    partition = path.add("t")
    session = send(path, request(wanted(), session=(0, 0))).session_id
    partition.topic_id = b"n" * 16
    answer = only(send(path, request(session=(session, 1), wait_ms=60_000)))
    assert answer.error_code == ErrorCode.INCONSISTENT_TOPIC_ID


@pytest.mark.parametrize("replica_id", [0, 7])
def test_a_follower_that_is_no_replica_is_refused(path: DataPath, replica_id: int) -> None:
    path.add("t")
    answer = only(send(path, request(wanted(), replica_id=replica_id)))
    assert answer.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER


def test_the_leader_does_not_follow_itself(path: DataPath) -> None:
    partition = path.add("t")
    answer = only(send(path, request(wanted(), replica_id=partition.node_id)))
    assert answer.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER


@pytest.mark.parametrize("replica_id", [0, 7])
def test_a_follower_knows_where_the_leaders_are(path: DataPath, replica_id: int) -> None:
    path.add("t")
    assert send(path, request(wanted(), replica_id=replica_id)).node_endpoints == []


@pytest.mark.parametrize(("replica_id", "has_session"), [(-1, False), (0, True)])
def test_a_followers_session_takes_a_consumers_place(
    path: DataPath, replica_id: int, has_session: bool
) -> None:
    path.cluster.add_broker(0)
    path.add("t", replicas=(NODE_ID, 0))
    slots = path.services.config.max_incremental_fetch_session_cache_slots
    for _ in range(slots):
        assert send(path, request(wanted(), session=(0, 0))).session_id
    response = send(path, request(wanted(), session=(0, 0), replica_id=replica_id))
    assert only(response).error_code == 0
    assert bool(response.session_id) == has_session


@pytest.mark.parametrize("isolation_level", [-1, 2])
def test_an_isolation_level_that_is_none_is_refused(path: DataPath, isolation_level: int) -> None:
    path.add("t")
    with pytest.raises(RequestError) as refused:
        send(path, request(wanted(), isolation_level=isolation_level))
    assert refused.value.code == ErrorCode.INVALID_REQUEST


def test_what_is_not_there_has_no_aborted_transactions(path: DataPath) -> None:
    path.add("t", leader=2)
    missing = only(send(path, request(wanted(index=5))))
    elsewhere = only(send(path, request(wanted())))
    assert (missing.aborted_transactions, elsewhere.aborted_transactions) == ([], None)


@pytest.mark.parametrize(("leader", "hosts"), [(2, ["host2"]), (0, ["host0"]), (-1, [])])
def test_another_leader_is_named(path: DataPath, leader: int, hosts: list[str]) -> None:
    path.cluster.add_broker(0)
    path.add("t", leader=leader, leader_epoch=8)
    response = send(path, request(wanted()))
    answer = only(response)
    assert answer.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert (answer.current_leader.leader_id, answer.current_leader.leader_epoch) == (leader, 8)
    assert [n.host for n in response.node_endpoints] == hosts


def test_a_log_that_diverged_is_told_where(path: DataPath) -> None:
    partition = path.add("t", leader_epoch=3)
    fill(partition, 4)
    partition.apply(partition_state(1, leader_epoch=6))
    fill(partition, 2)
    answer = only(send(path, request(wanted(5, last_fetched_epoch=4), wait_ms=60_000)))
    assert (answer.diverging_epoch.epoch, answer.diverging_epoch.end_offset) == (3, 4)
    assert content(answer) == b""
    assert offsets(only(send(path, request(wanted(4, last_fetched_epoch=6)))))[0] == (4, 5)


# --- sessions


def test_a_session_answers_only_what_changed(path: DataPath) -> None:
    partitions = [path.add("t", i) for i in range(3)]
    first = send(path, request(*(wanted(index=i) for i in range(3)), session=(0, 0)))
    assert first.session_id > 0
    assert len(first.responses[0].partitions) == 3
    assert send(path, request(session=(first.session_id, 1))).responses == []
    fill(partitions[1], 2)
    second = send(path, request(session=(first.session_id, 2)))
    assert [(p.partition_index, p.high_watermark) for p in second.responses[0].partitions] == [
        (1, 2)
    ]
    third = send(path, request(wanted(2, index=1), session=(first.session_id, 3)))
    assert third.responses == []


def test_a_partition_with_data_goes_to_the_end_of_the_line(path: DataPath) -> None:
    for i in range(2):
        fill(path.add("t", i), 10)
    first = send(path, request(wanted(index=0), wanted(index=1), session=(0, 0), max_bytes=1))
    session = first.session_id
    second = send(path, request(session=(session, 1), max_bytes=1))
    third = send(path, request(session=(session, 2), max_bytes=1))
    with_data = [
        [p.partition_index for t in r.responses for p in t.partitions if content(p)]
        for r in (second, third)
    ]
    assert sorted(with_data) == [[0], [1]]


def test_an_error_is_told_in_every_answer_of_a_session(path: DataPath) -> None:
    fill(path.add("t"), 1)
    session = send(path, request(wanted(99), session=(0, 0))).session_id
    for epoch in (1, 2):
        answer = only(send(path, request(session=(session, epoch), wait_ms=60_000)))
        assert answer.error_code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_a_forgotten_partition_is_read_no_more(path: DataPath) -> None:
    for i in range(2):
        fill(path.add("t", i), 1)
    session = send(path, request(wanted(index=0), wanted(index=1), session=(0, 0))).session_id
    again = request(session=(session, 1))
    again.forgotten_topics_data = [
        ForgottenTopic(topic="t", topic_id=topic_id("t"), partitions=[0])
    ]
    answers = send(path, again).responses[0].partitions
    assert [p.partition_index for p in answers] == [1]


def test_a_session_that_is_not_there_is_an_error(path: DataPath) -> None:
    path.add("t")
    response = send(path, request(session=(77, 1)))
    assert response.error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    session = send(path, request(wanted(), session=(0, 0))).session_id
    response = send(path, request(session=(session, 9)))
    assert response.error_code == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    response = send(path, request(session=(session, 1)), 12)
    assert response.error_code == ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR


def test_read_committed_says_that_nothing_was_aborted(path: DataPath) -> None:
    fill(path.add("t"), 1)
    answer = only(send(path, request(wanted(), isolation_level=1)))
    assert (answer.aborted_transactions, offsets(answer)) == ([], [(0, 0)])
    assert only(send(path, request(wanted()))).aborted_transactions is None


@pytest.mark.parametrize(
    ("damage", "expected"),
    [("a failing disk", ErrorCode.KAFKA_STORAGE_ERROR), ("a length", ErrorCode.CORRUPT_MESSAGE)],
)
def test_a_log_that_cannot_be_read_fails_for_itself_alone(
    damage: str, expected: ErrorCode, tmp_path: Path
) -> None:
    disk = SimDisk(random.Random(1))
    path = DataPath(tmp_path, disk)
    for index in range(2):
        path.add("t", index).append(batch(b"x"), NOW_MS, Origin.CLIENT)
        path.table.get("t", index).append(batch(b"y"), NOW_MS, Origin.CLIENT)  # type: ignore[union-attr]
    if damage == "a failing disk":
        disk.fail_next("read_at", path_part="t-0")
    else:
        disk.open(f"{tmp_path}/t-0/{0:020d}.log").write_at(8, bytes(4))
    response = send(path, request(wanted(1, index=0), wanted(1, index=1)))
    first, second = response.responses[0].partitions
    assert (first.error_code, second.error_code) == (expected, ErrorCode.NONE)
    assert offsets(second) == [(1, 1)]
    if damage == "a failing disk":
        code, again = (
            each.error_code
            for each in send(path, request(wanted(1, index=0), wanted(1, index=1)))
            .responses[0]
            .partitions
        )
        assert (code, again) == (ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NONE)
