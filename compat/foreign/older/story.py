"""What every older client is put through; run by that client's own Python, so without kbroker.

Each step's result, or the class of its error, goes into one JSON object on standard output.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from abc import ABC, abstractmethod
from typing import Any

WAIT_S = 40
SESSION = uuid.uuid4().hex[:8]
TIMESTAMP_MS = 1_700_000_000_000
PARTITIONS = 2


class Client(ABC):
    """One client at one release. Steps that it cannot do are not in `codecs` or raise."""

    codecs: tuple[str, ...] = ("none", "gzip", "snappy", "lz4")

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    @abstractmethod
    def create(self, topic: str) -> Any:
        """Create a topic of PARTITIONS partitions, with an admin client; what came of it."""

    @abstractmethod
    def administer(self, topic: str) -> Any:
        """What the admin client shows of the topic, and what deleting it comes to."""

    @abstractmethod
    def produce(self, topic: str, codec: str) -> list[int]:
        """Send `records()`; their offsets."""

    @abstractmethod
    def produce_idempotently(self, topic: str) -> list[int]:
        """The same, with an idempotent producer."""

    @abstractmethod
    def consume(self, topic: str, count: int) -> list[list[Any]]:
        """Partition, offset, key, value, headers, timestamp of each record, as `row` makes them."""

    @abstractmethod
    def member(self, topic: str, group: str) -> Any:
        """A consumer in the group, with `poll()`, `partitions()`, `commit()` and `close()`."""


def records() -> list[tuple[int, bytes | None, bytes | None, list[tuple[str, bytes]]]]:
    """Partition, key, value and headers."""
    shapes: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]] = [
        (b"key", b"value", []),
        (None, b"no key", []),
        (b"tombstone", None, []),
        (b"headers", b"v", [("one", b"1"), ("two", b"\x00\xff")]),
        (b"big", b"0123456789abcdef" * 1000, []),
    ]
    return [(i % PARTITIONS, *shape) for i, shape in enumerate(shapes * 4)]


def row(
    partition: int, offset: int, key: Any, value: Any, headers: Any, timestamp_ms: int
) -> list[Any]:
    """A record as JSON; a long value by its size."""
    shown = None if value is None else value.decode("latin-1")
    return [
        partition,
        offset,
        None if key is None else key.decode("latin-1"),
        shown if shown is None or len(shown) < 100 else f"{len(shown)} bytes",
        [[name, data.decode("latin-1")] for name, data in headers or ()],
        timestamp_ms - TIMESTAMP_MS,
    ]


def run(make: type[Client]) -> None:
    """Every step, in order; what one comes to does not keep the next from being tried."""
    client = make(sys.argv[1])
    story: dict[str, Any] = {}

    def step(name: str, action: Any, *arguments: Any) -> None:
        try:
            story[name] = action(*arguments)
        except Exception as error:
            story[name] = f"error: {type(error).__name__}"
            print(f"{name}: {error!r}", file=sys.stderr)

    for codec in client.codecs:
        topic = f"{codec}-{SESSION}"
        step(f"create {codec}", client.create, topic)
        step(f"produce {codec}", client.produce, topic, codec)
        step(f"consume {codec}", client.consume, topic, len(records()))
    topic = f"group-{SESSION}"
    step("create", client.create, topic)
    step("produce idempotently", client.produce_idempotently, topic)
    step("share", share, client, topic)
    step("administer", client.administer, topic)
    json.dump(story, sys.stdout)


class _Driven:
    """A member that a thread polls."""

    def __init__(self, member: Any) -> None:
        self.member = member
        self.seen: set[tuple[int, int]] = set()
        self._end = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._end.is_set():
                self.seen |= set(self.member.poll())
            self.member.commit()
            self.member.close()
        except Exception as error:
            self._error = error

    def partitions(self) -> set[int]:
        if self._error is not None:
            raise self._error
        return set(self.member.partitions())

    def end(self) -> None:
        """Commit what was read and leave."""
        self._end.set()
        self._thread.join(WAIT_S)
        if self._error is not None:
            raise self._error


def share(client: Client, topic: str) -> dict[str, Any]:
    """Two members share the topic, one leaves; a third goes on where they stopped."""
    group = f"group-{SESSION}"
    count = len(records())
    everything = set(range(PARTITIONS))
    first = _Driven(client.member(topic, group))
    await_that(lambda: first.partitions() == everything)
    await_that(lambda: len(first.seen) == count)
    second = _Driven(client.member(topic, group))
    await_that(
        lambda: (
            len(first.partitions()) == 1 and first.partitions() | second.partitions() == everything
        )
    )
    second.end()
    await_that(lambda: first.partitions() == everything)
    first.end()
    more = client.produce(topic, "none")
    third = _Driven(client.member(topic, group))
    await_that(lambda: len(third.seen) == count)
    third.end()
    return {"first": sorted(first.seen), "more": more, "third": sorted(third.seen)}


def await_that(condition: Any) -> None:
    """Raises TimeoutError if it does not come true."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)
