"""A member of a consumer group in a process of its own, whatever client it runs on.

The process prints a line of JSON for each event: `assigned`, `revoked` and `lost` with partitions,
`records` with a partition, its first and last offset, `commit-failed`, `error` and `closed`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from compat import apache
from compat.brokers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SESSION_TIMEOUT_MS = 6_000  # the least that a broker allows by default
_EXIT_TIMEOUT_S = 120
_JAVA_PACKAGE = "org.apache.kafka.clients.consumer"
_JAVA_ASSIGNORS = {
    "range": f"{_JAVA_PACKAGE}.RangeAssignor",
    "roundrobin": f"{_JAVA_PACKAGE}.RoundRobinAssignor",
    "sticky": f"{_JAVA_PACKAGE}.StickyAssignor",
    "cooperative-sticky": f"{_JAVA_PACKAGE}.CooperativeStickyAssignor",
}

# Every assignor that each client has.
ASSIGNORS = (
    ("kafka-python", "range"),
    ("kafka-python", "roundrobin"),
    ("kafka-python", "sticky"),
    ("kafka-python", "cooperative-sticky"),
    ("aiokafka", "range"),
    ("aiokafka", "roundrobin"),
    ("aiokafka", "sticky"),
    ("librdkafka", "range"),
    ("librdkafka", "roundrobin"),
    ("librdkafka", "cooperative-sticky"),
    ("java", "range"),
    ("java", "roundrobin"),
    ("java", "sticky"),
    ("java", "cooperative-sticky"),
)


class Member:
    """The process, and what it has said so far."""

    def __init__(
        self,
        client: str,
        bootstrap: str,
        group: str,
        topic: str,
        *,
        java_classes: Path,
        assignor: str = "range",
        instance: str | None = None,
        session_timeout_ms: int = SESSION_TIMEOUT_MS,
    ) -> None:
        self.client = client
        self.ended = False  # by us
        self.events: list[dict[str, Any]] = []
        self.assignment: frozenset[int] = frozenset()
        if client == "java":
            config = [
                f"partition.assignment.strategy={_JAVA_ASSIGNORS[assignor]}",
                f"session.timeout.ms={session_timeout_ms}",
                "heartbeat.interval.ms=300",
            ]
            if instance is not None:
                config.append(f"group.instance.id={instance}")
            command = apache.java_command(
                *("Member", bootstrap, group, topic, *config),
                flags=apache.SHORT_RUN,
                classes=java_classes,
            )
        else:
            command = [sys.executable, "-m", "compat.clients.member_program", client, bootstrap]
            command += [group, topic, assignor, str(session_timeout_ms)]
            command += [] if instance is None else [instance]
        self._process = subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._errors: list[str] = []
        self._threads = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """(partition, offset) of every record it has seen, in order, repeats included."""
        return [
            (event["partition"], offset)
            for event in self.events
            if event["event"] == "records"
            for offset in range(event["first"], event["last"] + 1)
        ]

    def said(self, *kinds: str) -> list[dict[str, Any]]:
        """Its events of these kinds."""
        return [event for event in self.events if event["event"] in kinds]

    def stop(self) -> None:
        """Leave the group (a static member does not) and end."""
        self.ended = True
        self._process.terminate()
        self._wait()

    def kill(self) -> None:
        """End without a word to the broker."""
        self.ended = True
        self._process.kill()
        self._wait()

    def check(self) -> None:
        """Raises AssertionError, with its standard error, if it has ended by itself."""
        status = self._process.poll()
        assert self.ended or status is None, (
            f"{self.client} ended with {status}:\n{''.join(self._errors)}"
        )

    def _wait(self) -> None:
        self._process.wait(_EXIT_TIMEOUT_S)
        for thread in self._threads:
            thread.join(_EXIT_TIMEOUT_S)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _read_events(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.startswith("{"):
                continue
            event = json.loads(line)
            match event["event"]:
                case "assigned":
                    self.assignment |= frozenset(event["partitions"])
                case "revoked" | "lost":
                    self.assignment -= frozenset(event["partitions"])
            self.events.append(event)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self._errors.extend(self._process.stderr)


def await_that(
    condition: Callable[[], bool], members: list[Member], timeout_s: float = 120
) -> None:
    """Wait until it holds; raises AssertionError with every member's events if it never does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        for member in members:
            member.check()
        if time.monotonic() > deadline:
            events = "\n".join(f"{member.client}: {member.events}" for member in members)
            raise AssertionError(f"not so after {timeout_s} s:\n{events}")
        time.sleep(0.05)


def shared_out(members: list[Member], partitions: int) -> bool:
    """Whether each partition has one owner and each member a part."""
    parts = [member.assignment for member in members]
    return (
        all(parts)
        and sum(len(part) for part in parts) == partitions
        and frozenset[int]().union(*parts) == frozenset(range(partitions))
    )
