"""Two log directories: moves under load, whose files Apache Kafka reads; and both brokers in turn
on the same two.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from compat.apache import run_tool
from compat.behaviour.asking import await_leaders, make_topic
from compat.brokers import ApacheKafka, Kbroker
from compat.clients.conftest import create_topic
from compat.clients.librdkafka import Librdkafka
from compat.clients.records import assert_same, sample_records
from compat.log_dirs import TwoDirectories, alter, await_that, lies, produce_one
from compat.raw import RawClient
from kbroker.wire.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from compat.brokers import BrokerProcess
    from compat.clients.records import Record

pytestmark = pytest.mark.full

PARTITIONS = 2
MOVES = 20
SEGMENT_BYTES = 1 << 20
KINDS: tuple[type[BrokerProcess], ...] = (Kbroker, ApacheKafka)
FULL_MB = 6


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TwoDirectories]:
    made = TwoDirectories(Kbroker, tmp_path, **{"log.segment.delete.delay.ms": "1000"})
    made.broker.start()
    try:
        yield made
    finally:
        made.broker.wipe()


class Writer:
    """An idempotent producer with acks=all, in a thread; records of a partition count from 0."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 2}
        )
        self._topic = topic
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.acknowledged = [0] * PARTITIONS
        self.failed: list[str] = []

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
        assert self._producer.flush(60) == 0

    def _write(self) -> None:
        count = 0
        while not self._stop.is_set():
            for partition in range(PARTITIONS):
                value = b"%d" % count + bytes(500)
                self._producer.produce(
                    self._topic, value, partition=partition, on_delivery=self._delivered
                )
            count += 1
            self._producer.poll(0.002)

    def _delivered(self, error: object, message: object) -> None:
        if error is None:
            self.acknowledged[message.partition()] += 1  # type: ignore[attr-defined]
        else:
            self.failed.append(str(error))


def test_nothing_is_lost_over_twenty_moves_under_load(two: TwoDirectories) -> None:
    broker = two.broker
    with RawClient(broker.host, broker.port) as raw:
        make_topic(raw, "moves", PARTITIONS, segment_bytes=str(SEGMENT_BYTES))
        with Writer(broker.bootstrap, "moves") as writer:
            for _ in range(MOVES):
                targets = [two.other(next(iter(lies(raw, "moves", i)))) for i in range(PARTITIONS)]
                for index, target in enumerate(targets):
                    assert alter(raw, target, "moves", index) is ErrorCode.NONE
                for index, target in enumerate(targets):
                    await_that(partial(is_only_in, raw, "moves", index, target))
        assert not writer.failed
        assert min(writer.acknowledged) > 100
    for partition, count in enumerate(writer.acknowledged):
        found = numbers(broker, "moves", partition, count)
        assert found == list(range(count)), "lost, doubled or out of order"
    broker.stop()
    files = [
        str(path)
        for directory in (two.first, two.second)
        for path in sorted((broker.folder / directory).glob("moves-*/*.log"))
    ]
    assert files
    output = run_tool("dump-log", "--deep-iteration", "--files", ",".join(files))
    assert output.count("isvalid: true") == output.count("isvalid:") > 0
    assert "mismatch" not in output


def test_kafkas_own_tools_move_a_partition(two: TwoDirectories, tmp_path: Path) -> None:
    broker = two.broker
    with RawClient(broker.host, broker.port) as raw:
        make_topic(raw, "tools", 1)
        for offset in range(50):
            assert produce_one(raw, "tools", 0, bytes(1000)) == (ErrorCode.NONE, offset)
        for turn in range(2):
            (home,) = lies(raw, "tools", 0)
            plan = tmp_path / f"plan-{turn}.json"
            wanted = {
                "topic": "tools",
                "partition": 0,
                "replicas": [1],
                "log_dirs": [two.other(home)],
            }
            plan.write_text(json.dumps({"version": 1, "partitions": [wanted]}))
            base = (
                "--bootstrap-server",
                broker.bootstrap,
                "--reassignment-json-file",
                str(plan),
            )
            throttle = ("--replica-alter-log-dirs-throttle", "10000000")
            output = run_tool("reassign-partitions", *base, "--execute", *throttle)
            assert f"log directory to {two.other(home)} for replica tools-0" in output
            await_that(partial(is_only_in, raw, "tools", 0, two.other(home)))
            output = run_tool("reassign-partitions", *base, "--verify")
            assert "completed successfully" in output or "complete" in output
            described = run_tool(
                "log-dirs",
                "--bootstrap-server",
                broker.bootstrap,
                "--describe",
                "--topic-list",
                "tools",
            )
            answer = json.loads(next(x for x in described.splitlines() if x.startswith("{")))
            held = {
                each["logDir"]: [p["isFuture"] for p in each["partitions"]]
                for each in answer["brokers"][0]["logDirs"]
            }
            assert held == {two.other(home): [False], home: []}


@pytest.mark.parametrize("first", KINDS, ids=lambda kind: kind.name)
def test_the_other_broker_goes_on_with_both_directories(
    tmp_path: Path, first: type[BrokerProcess]
) -> None:
    second = KINDS[1 - KINDS.index(first)]
    client = Librdkafka()
    sent: dict[str, list[Record]] = {}
    for turn, kind in enumerate((first, second, first)):
        two = TwoDirectories(kind, tmp_path)
        broker = two.broker
        try:
            broker.start()
            with RawClient(broker.host, broker.port) as raw:
                for topic in sent:
                    await_leaders(raw, topic, PARTITIONS)
                for topic, records in sent.items():
                    found = client.read(broker.bootstrap, {topic: len(records)})[topic]
                    assert_same(records, found)
                topic = create_topic(broker.bootstrap, f"turn-{turn}", PARTITIONS)
                sent[topic] = []
                for each, records in sent.items():
                    more = sample_records(PARTITIONS)
                    client.produce(broker.bootstrap, each, more, idempotent=True)
                    records += more
                # What the other one wrote moves too.
                moved = next(iter(sent))
                (home,) = lies(raw, moved, 0)
                assert alter(raw, two.other(home), moved, 0) is ErrorCode.NONE
                await_that(partial(is_only_in, raw, moved, 0, two.other(home)))
            broker.stop()
        finally:
            broker.kill()
    shutil.rmtree(tmp_path)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few MB. It takes root to mount one."""
    path = tmp_path / "second"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={FULL_MB}m", "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"a small file system cannot be mounted (it takes root): {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_file_system_refuses_what_does_not_fit_and_recovers(
    small: Path, tmp_path: Path
) -> None:
    settings = {
        "log.index.size.max.bytes": "4096",
        "offsets.topic.num.partitions": "2",
        "log.segment.delete.delay.ms": "100",
    }
    two = TwoDirectories(Kbroker, tmp_path, **settings)
    broker = two.broker
    ballast = small / "ballast"
    written: dict[int, list[int]] = {0: [], 1: []}
    broker.start()
    try:
        with RawClient(broker.host, broker.port) as raw:
            make_topic(raw, "full", 2, segment_bytes=str(1 << 20))
            full = next(i for i in range(2) if lies(raw, "full", i) == {two.second: False})
            refused = 0
            for i in range(2 * FULL_MB * 100):
                for index in range(2):
                    value = b"%d" % i + bytes(10_000)
                    error, _ = produce_one(raw, "full", index, value)
                    if error is ErrorCode.NONE:
                        written[index].append(i)
                    else:
                        assert (error, index) == (ErrorCode.KAFKA_STORAGE_ERROR, full)
                        refused += 1
            assert refused > 100
            assert len(written[1 - full]) == 2 * FULL_MB * 100
            # Larger than what fits: the move waits, and is taken back.
            assert alter(raw, two.second, "full", 1 - full) is ErrorCode.NONE
            assert alter(raw, two.first, "full", 1 - full) is ErrorCode.NONE
            assert read_back(broker, written) == written
            # Room by moving away from it.
            assert alter(raw, two.first, "full", full) is ErrorCode.NONE
            await_that(partial(is_only_in, raw, "full", full, two.first))
            assert produce_one(raw, "full", full, b"-1")[0] is ErrorCode.NONE
            written[full].append(-1)
            assert read_back(broker, written) == written
            await_that(lambda: not list(small.glob("*-delete")))
        ballast.write_bytes(b"")
        fill_up(ballast)
        with RawClient(broker.host, broker.port) as raw:
            assert alter(raw, two.second, "full", full) in (
                ErrorCode.NONE,
                ErrorCode.KAFKA_STORAGE_ERROR,
            )
            assert produce_one(raw, "full", full, b"-2")[0] is ErrorCode.NONE
            written[full].append(-2)
            alter(raw, two.first, "full", full)
        ballast.unlink()
        assert broker.stop() == 0
        broker.start()
        assert read_back(broker, written) == written
        broker.stop()
    finally:
        broker.kill()


def fill_up(ballast: Path) -> None:
    """Take every byte that is left."""
    with ballast.open("ab", buffering=0) as file:
        try:
            while os.write(file.fileno(), bytes(4096)):
                pass
        except OSError:
            return


def read_back(broker: BrokerProcess, written: dict[int, list[int]]) -> dict[int, list[int]]:
    return {index: numbers(broker, "full", index, len(values)) for index, values in written.items()}


def numbers(broker: BrokerProcess, topic: str, index: int, count: int) -> list[int]:
    """What the first so many records of a partition begin with; there must not be more."""
    client = Librdkafka()
    assert client.offset_range(broker.bootstrap, topic, index) == (0, count)
    found = client.read_from(broker.bootstrap, topic, index, 0, count)
    return [int((each.record.value or b"").split(b"\0", 1)[0]) for each in found]


def is_only_in(raw: RawClient, topic: str, index: int, path: str) -> bool:
    return lies(raw, topic, index) == {path: False}
