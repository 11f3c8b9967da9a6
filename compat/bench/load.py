"""What is done to a broker while it is measured: Java's producer-perf and our two small clients."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compat import apache
from compat.bench.process_stats import cpu_s
from compat.brokers import REPOSITORY
from compat.raw import RawClient

if TYPE_CHECKING:
    from compat.bench.findings import Point
    from compat.brokers import BrokerProcess

_PERF_SUMMARY = re.compile(r"^(\d+) records sent, ([\d.]+) records/sec", re.MULTILINE)
_LEADER_TIMEOUT_S = 30
_RUN_TIMEOUT_S = 1800


@dataclass(frozen=True, slots=True)
class Work:
    """What went through the broker, how long that took, and what it cost the broker."""

    records: int
    value_bytes: int
    elapsed_s: float
    broker_cpu_s: float

    @property
    def mb_per_s(self) -> float:
        return self.value_bytes / 1e6 / self.elapsed_s

    @property
    def cpu_s_per_gb(self) -> float:
        return self.broker_cpu_s / (self.value_bytes / 1e9)

    @property
    def records_per_cpu_s(self) -> float:
        return self.records / self.broker_cpu_s


def producer_perf(
    broker: BrokerProcess, topic: str, records: int, record_bytes: int, **config: str
) -> Work:
    """Java's producer-perf at full speed, acks=1; `config` keys have _ for Kafka's dots."""
    properties = {"acks": "1"} | {key.replace("_", "."): value for key, value in config.items()}
    command = apache.tool_command(
        "producer-perf",
        *("--bootstrap-server", broker.bootstrap, "--topic", topic),
        *("--num-records", str(records), "--record-size", str(record_bytes)),
        *("--throughput", "-1", "--command-property"),
        *(f"{key}={value}" for key, value in properties.items()),
    )
    before_s = cpu_s(broker.pid)
    output = _output(command)
    used_s = cpu_s(broker.pid) - before_s
    summaries = _PERF_SUMMARY.findall(output)
    # A record that failed shows as a stack trace, and the last line counts those sent all the same.
    if not summaries or int(summaries[-1][0]) != records or "Exception" in output:
        raise ValueError(f"producer-perf said:\n{output}")
    return Work(records, records * record_bytes, records / float(summaries[-1][1]), used_s)


def consume(broker: BrokerProcess, topic: str, partitions: int, records: int) -> Work:
    """librdkafka in a process of its own, from the beginning of the topic."""
    before_s = cpu_s(broker.pid)
    report = _python("compat.bench.consume", broker.bootstrap, topic, partitions, records)
    used_s = cpu_s(broker.pid) - before_s
    return Work(int(report["records"]), int(report["bytes"]), report["seconds"], used_s)


def single(
    broker: BrokerProcess, topic: str, first: int, warm_up: int, measured: int
) -> tuple[float, list[Point]]:
    """One record at a time in a process of its own: ms of the first ones, the others' times."""
    arguments = (broker.host, broker.port, topic, first, warm_up, measured)
    report = _python("compat.bench.single", *arguments)
    return report["first_ms"], [(percent, ms) for percent, ms in report["distribution"]]


def create_topic(broker: BrokerProcess, topic: str) -> None:
    """Have the topic made by auto-creation, which any broker has, and wait for its leader."""
    name = topic.encode()
    header = struct.pack(">hhih5s", 3, 4, 1, 5, b"bench")  # Metadata v4
    frame = header + struct.pack(">ih", 1, len(name)) + name + b"\x01"
    deadline = time.monotonic() + _LEADER_TIMEOUT_S
    # What follows the name of a topic that can be used: not internal, at least one partition.
    with RawClient(broker.host, broker.port) as client:
        while True:
            response = client.exchange(frame)
            after = response.rfind(name) + len(name)
            error = struct.unpack_from(">h", response, response.rfind(name) - 4)[0]
            _, count = struct.unpack_from(">bi", response, after)
            if not error and count > 0:
                partitions_error, _, leader = struct.unpack_from(">hii", response, after + 5)
                if not partitions_error and leader >= 0:
                    return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{topic} has no leader after {_LEADER_TIMEOUT_S} s")
            time.sleep(0.02)


def _python(module: str, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", module, *(str(argument) for argument in arguments)]
    report: dict[str, Any] = json.loads(_output(command))
    return report


def _output(command: list[str]) -> str:
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=_RUN_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
