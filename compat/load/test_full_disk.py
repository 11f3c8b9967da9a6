"""The one data directory fills up and is freed, on a small file system of its own.

While it is full what does not fit is refused with KAFKA_STORAGE_ERROR and everything there is read;
when there is room again writes go on by themselves, over a restart too, and Kafka's own tool finds
every batch valid. A tmpfs is mounted for it, so this needs root. (Apache Kafka itself ends when its
only directory fails.)
"""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from compat.apache import run_tool
from compat.behaviour.asking import (
    EARLIEST,
    LATEST,
    batch,
    fetch,
    fetch_request,
    list_offset,
    make_topic,
    produce,
    records_of,
)
from compat.behaviour.groups import commit, coordinate, fetch_offsets
from compat.brokers import Kbroker
from compat.load.broker_defaults import alter
from compat.raw import RawClient
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kbroker.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from kbroker.wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.full

DISK_BYTES = 64 << 20
FILLER_BYTES = 8 << 20
RECORD_BYTES = 100_000
SPARE_RECORDS = 100  # of the topic that may be deleted
SEGMENT_BYTES = "1048576"  # the least that a topic may have
TOPIC, SPARE, GROUP = "full", "spare", "readers"
FREED_TIMEOUT_S = 60.0
SETTINGS = {
    "group.initial.rebalance.delay.ms": "0",
    "log.retention.check.interval.ms": "1000",
    "log.segment.delete.delay.ms": "500",
    "offsets.topic.num.partitions": "3",
}


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kbroker]:
    if request.config.getoption("broker") != "kbroker":
        pytest.skip("Apache Kafka ends when its only directory fails")
    if os.geteuid():
        pytest.fail("a file system of its own can only be mounted by root")
    broker = Kbroker(tmp_path, SETTINGS)
    broker.data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(broker.data)]
    subprocess.run(mount, check=True)
    try:
        broker.start()
        (broker.data / "filler").write_bytes(bytes(FILLER_BYTES))
        yield broker
    finally:
        broker.kill()
        subprocess.run(["umount", str(broker.data)], check=True)


def remove_filler(broker: Kbroker, raw: RawClient) -> None:
    (broker.data / "filler").unlink()


def lower_retention(broker: Kbroker, raw: RawClient) -> None:
    alter(raw, {"log.retention.bytes": "4000000"})


def delete_records(broker: Kbroker, raw: RawClient) -> None:
    partition = DeleteRecordsPartition(partition_index=0, offset=200)
    topic = DeleteRecordsTopic(name=TOPIC, partitions=[partition])
    request = DeleteRecordsRequest(topics=[topic], timeout_ms=10_000)
    response = raw.ask(request, 2, DeleteRecordsResponse)
    assert not response.topics[0].partitions[0].error_code


def delete_topic(broker: Kbroker, raw: RawClient) -> None:
    request = DeleteTopicsRequest(topics=[DeleteTopicState(name=SPARE)], timeout_ms=10_000)
    response = raw.ask(request, 6, DeleteTopicsResponse)
    assert not response.responses[0].error_code


@pytest.mark.parametrize("free", [remove_filler, lower_retention, delete_records, delete_topic])
def test_a_full_disk_is_survived(
    broker: Kbroker, free: Callable[[Kbroker, RawClient], None]
) -> None:
    with RawClient(broker.host, broker.port) as raw:
        topic_id = make_topic(raw, TOPIC, segment_bytes=SEGMENT_BYTES)
        make_topic(raw, SPARE, segment_bytes=SEGMENT_BYTES)
        coordinate(raw, GROUP)
        assert not commit(raw, GROUP, TOPIC, 1)
        for number in range(SPARE_RECORDS):
            assert not write(raw, SPARE, number)
        written = fill(raw)
        assert written > 200
        assert read(raw, topic_id, 0, written) == list(range(written))
        small = small_writes(raw, written)
        assert committed(raw) == small
        free(broker, raw)
        await_room(raw, written)
        start = list_offset(raw, TOPIC, EARLIEST).offset
        end = list_offset(raw, TOPIC, LATEST).offset
        assert read(raw, topic_id, start, end) == list(range(start, end))
        assert not commit(raw, GROUP, TOPIC, end)
        assert not create_topic(raw, "afterwards")
    assert broker.stop() == 0, broker.log_tail()
    judge_files(broker)
    broker.start()
    with RawClient(broker.host, broker.port) as raw:
        coordinate(raw, GROUP)
        assert committed(raw) == end
        assert read(raw, topic_id, start, end) == list(range(start, end))
        assert not write(raw, TOPIC, end)
        assert not write(raw, "afterwards", 0)
    assert broker.stop() == 0, broker.log_tail()


def write(raw: RawClient, topic: str, number: int) -> int:
    """One record with its number in front; the error code."""
    value = b"%016d" % number + os.urandom(RECORD_BYTES)
    return produce(raw, topic, batch(value)).error_code


def fill(raw: RawClient) -> int:
    """Write until nothing more fits; how many records fit."""
    for number in range(DISK_BYTES // RECORD_BYTES + 1):
        error = write(raw, TOPIC, number)
        if error:
            assert ErrorCode(error) is ErrorCode.KAFKA_STORAGE_ERROR
            return number
    raise AssertionError("the disk is not full")


def small_writes(raw: RawClient, end: int) -> int:
    """Commit until that does not fit either, or often; the last offset that was committed."""
    for number in range(2, end):
        if commit(raw, GROUP, TOPIC, number):
            return number - 1
    return end - 1


def committed(raw: RawClient) -> int:
    found = fetch_offsets(raw, GROUP, {TOPIC: [0]})
    return found.topics[0].partitions[0].committed_offset


def await_room(raw: RawClient, number: int) -> None:
    """Until the record that did not fit is written."""
    deadline = time.monotonic() + FREED_TIMEOUT_S
    while error := write(raw, TOPIC, number):
        assert ErrorCode(error) is ErrorCode.KAFKA_STORAGE_ERROR
        assert time.monotonic() < deadline, "no room after it was freed"
        time.sleep(0.2)


def create_topic(raw: RawClient, name: str) -> int:
    topic = CreatableTopic(name=name, num_partitions=1, replication_factor=1)
    response = raw.ask(CreateTopicsRequest(topics=[topic]), 7, CreateTopicsResponse)
    return response.topics[0].error_code


def read(raw: RawClient, topic_id: bytes, start: int, end: int) -> list[int]:
    """The numbers of the records in [start, end)."""
    numbers: list[int] = []
    while start + len(numbers) < end:
        request = fetch_request(topic_id, start + len(numbers))
        found = records_of(fetch(raw, request))
        assert found, f"nothing at {start + len(numbers)}, before {end}"
        for record in found:
            assert record.value is not None
            numbers.append(int(bytes(record.value[:16])))
    return numbers


def judge_files(broker: Kbroker) -> None:
    """Kafka's tool reads every segment to its end, and the metadata."""
    logs = sorted(broker.data.glob(f"{TOPIC}-0/*.log")) + sorted(broker.data.glob("__con*/*.log"))
    output = run_tool("dump-log", "--deep-iteration", "--files", ",".join(map(str, logs)))
    assert "isvalid: true" in output
    assert "isvalid: false" not in output
    metadata = sorted(broker.data.glob("__cluster_metadata-0/*.log"))
    output = run_tool(
        "dump-log", "--cluster-metadata-decoder", "--files", ",".join(map(str, metadata))
    )
    assert "isvalid: false" not in output
    assert '"name":"afterwards"' in output
