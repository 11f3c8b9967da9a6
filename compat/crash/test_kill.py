"""The broker is killed with SIGKILL at random moments under load and started again.

In the end every acknowledged record is there, in its place and in order, and an idempotent
producer's records are there once each. A killed process leaves the page cache behind, so this asks
nothing of fsync: it is what an ack means.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from compat.brokers import REPOSITORY
from compat.clients.conftest import create_topic
from compat.clients.librdkafka import Librdkafka

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import BrokerProcess
    from compat.conftest import NewBroker

PARTITIONS = 3
KILLS_CI = 5
KILLS_FULL = 100
WRITER_EXIT_TIMEOUT_S = 120
ACKED_MIN = 100  # less says nothing


class Writer:
    """A producing process, and what the broker has acknowledged to it."""

    def __init__(self, bootstrap: str, topic: str, mode: str) -> None:
        self.topic = topic
        self.acked: list[tuple[int, int, int]] = []  # partition, offset, value; in ack order
        self.errors: list[str] = []
        self.sent = -1
        command = [sys.executable, "-m", "compat.crash.writers", bootstrap, topic]
        self._process = subprocess.Popen(
            [*command, str(PARTITIONS), mode], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Let it deliver what is under way, and end."""
        self._process.terminate()
        self._process.wait(WRITER_EXIT_TIMEOUT_S)
        self._thread.join()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                kind, *rest = line.split()
                if kind == "sent":
                    self.sent = int(rest[0])
                elif kind == "error":
                    self.errors.append(line.strip())
                else:
                    self.acked.append((int(kind), int(rest[0]), int(rest[1])))


@pytest.mark.parametrize(
    "kills_default",
    [
        pytest.param(KILLS_CI, marks=pytest.mark.ci),
        pytest.param(KILLS_FULL, marks=pytest.mark.full),
    ],
)
def test_what_was_acknowledged_survives_kill_9(
    request: pytest.FixtureRequest, new_broker: NewBroker, kills_default: int
) -> None:
    kills = request.config.getoption("kills") or kills_default
    seed = int(os.environ.get("COMPAT_SEED", time.time_ns() % 1_000_000))
    print(f"COMPAT_SEED={seed}")
    rng = random.Random(seed)
    # Small segments and time spent in recovery, rolls and snapshots: kills hit those too.
    broker = new_broker({"log.segment.bytes": str(1 << 20)})
    writers = []
    try:
        for mode in ("idempotent", "plain"):
            create_topic(broker.bootstrap, mode, PARTITIONS)
            writers.append(Writer(broker.bootstrap, mode, mode))
        for _ in range(kills):
            kill_under_load(broker, writers, rng)
        await_that(lambda: all(len(writer.acked) > ACKED_MIN for writer in writers))
        for writer in writers:
            writer.finish()
    finally:
        for writer in writers:
            writer.kill()
    idempotent, plain = writers
    assert not idempotent.errors, idempotent.errors[:5]
    check(broker, idempotent, once=True)
    check(broker, plain, once=False)
    broker.restart()
    check(broker, idempotent, once=True)


def kill_under_load(broker: BrokerProcess, writers: list[Writer], rng: random.Random) -> None:
    """Wait until acks come again, and a random time more; then kill and start."""
    before = [len(writer.acked) for writer in writers]
    await_that(lambda: all(len(w.acked) > n for w, n in zip(writers, before, strict=True)))
    time.sleep(rng.uniform(0, 0.6))
    broker.kill()
    if rng.random() < 0.2:  # also in the midst of its start
        thread = threading.Thread(target=kill_soon, args=(broker, rng.uniform(0, 0.5)))
        thread.start()
        try:
            broker.start()
        except Exception as error:  # what a start says that was killed
            print(f"killed while it started: {type(error).__name__}")
        thread.join()
        broker.kill()
    broker.start()


def await_that(acknowledged: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not acknowledged():
        assert time.monotonic() < deadline, "no acknowledgement since the last start"
        time.sleep(0.005)


def kill_soon(broker: BrokerProcess, after_s: float) -> None:
    time.sleep(after_s)
    broker.kill()


def check(broker: BrokerProcess, writer: Writer, *, once: bool) -> None:
    """Read the topic from its beginning and hold it against the acks."""
    client = Librdkafka()
    ends = [client.offset_range(broker.bootstrap, writer.topic, p)[1] for p in range(PARTITIONS)]
    fetched = client.read(broker.bootstrap, {writer.topic: sum(ends)})[writer.topic]
    values: list[list[int]] = [[] for _ in range(PARTITIONS)]
    for one in fetched:
        read = values[one.record.partition]
        assert one.offset == len(read), "offsets are dense"
        read.append(int(one.record.value or b""))
    assert len(writer.acked) > ACKED_MIN
    for partition, offset, value in writer.acked:
        found = values[partition][offset] if offset < ends[partition] else None
        assert found == value, f"{writer.topic}-{partition} at {offset}: {found}, acked {value}"
    for partition, stored in enumerate(values):
        assert all(value % PARTITIONS == partition for value in stored)
        if once:
            assert stored == list(range(partition, writer.sent, PARTITIONS))
        else:
            # No retries and one request at a time: nothing twice, nothing out of order.
            assert stored == sorted(set(stored))
    print(f"{writer.topic}: {len(writer.acked)} acknowledged, {sum(ends)} stored")
