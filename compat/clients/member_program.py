"""One member of a consumer group on a Python client, as a process that can be killed.

    python -m compat.clients.member_program CLIENT BOOTSTRAP GROUP TOPIC ASSIGNOR MS [INSTANCE]

MS is the session timeout. What happens comes out in lines of JSON (see compat/clients/member.py).
The member commits after every poll and leaves the group on SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_HEARTBEAT_MS = 300


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    bootstrap: str
    group: str
    topic: str
    assignor: str
    session_timeout_ms: int
    instance: str | None


class _Stop(Exception):
    """SIGTERM came."""


def main() -> None:
    client, bootstrap, group, topic, assignor, session_ms, *instance = sys.argv[1:]
    options = Options(
        bootstrap, group, topic, assignor, int(session_ms), instance[0] if instance else None
    )
    run: Callable[[Options], None] = {
        "kafka-python": _kafka_python,
        "aiokafka": lambda chosen: asyncio.run(_aiokafka(chosen)),
        "librdkafka": _librdkafka,
    }[client]
    try:
        run(options)
    except Exception as error:  # the edge: the parent reads what went wrong
        _say("error", message=f"{type(error).__name__}: {error}")
        raise
    _say("closed")


def _say(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def _say_partitions(event: str, partitions: Iterable[Any]) -> None:
    _say(event, partitions=sorted(one.partition for one in partitions))


def _say_records(messages: Iterable[tuple[int, int]]) -> None:
    """From pairs of partition and offset."""
    ranges: dict[int, list[int]] = {}
    for partition, offset in messages:
        ranges.setdefault(partition, [offset, offset])[1] = offset
    for partition, (first, last) in ranges.items():
        _say("records", partition=partition, first=first, last=last)


def _stop_on_sigterm() -> None:
    def stop(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Stop

    signal.signal(signal.SIGTERM, stop)


def _kafka_python(options: Options) -> None:
    from kafka import ConsumerRebalanceListener, KafkaConsumer
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
    from kafka.coordinator.assignors.range import RangePartitionAssignor
    from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
    from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
    from kafka.errors import CommitFailedError, RebalanceInProgressError

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
        def on_partitions_assigned(self, assigned: Any) -> None:
            _say_partitions("assigned", assigned)

        def on_partitions_revoked(self, revoked: Any) -> None:
            _say_partitions("revoked", revoked)

        def on_partitions_lost(self, lost: Any) -> None:
            _say_partitions("lost", lost)

    assignors = {
        "range": RangePartitionAssignor,
        "roundrobin": RoundRobinPartitionAssignor,
        "sticky": StickyPartitionAssignor,
        "cooperative-sticky": CooperativeStickyAssignor,
    }
    consumer = KafkaConsumer(
        bootstrap_servers=options.bootstrap,
        group_id=options.group,
        group_instance_id=options.instance,
        partition_assignment_strategy=[assignors[options.assignor]],
        session_timeout_ms=options.session_timeout_ms,
        heartbeat_interval_ms=_HEARTBEAT_MS,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    consumer.subscribe([options.topic], listener=Listener())
    # kafka-python 3.0.12 joins again at once if the topic's metadata comes after its first join,
    # and may then forget a join, its assignment and its heartbeats. So let the metadata come first,
    # and after the subscription: what came before that it does not join for.
    consumer.partitions_for_topic(options.topic)
    stopping = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True

    # Not by an exception, which could come in the middle of the client's own bookkeeping.
    signal.signal(signal.SIGTERM, stop)
    while not stopping:
        polled = consumer.poll(timeout_ms=100)
        if polled:
            _say_records((m.partition, m.offset) for some in polled.values() for m in some)
            try:
                consumer.commit()
            except (CommitFailedError, RebalanceInProgressError) as error:
                _say("commit-failed", message=type(error).__name__)
    consumer.close()


async def _aiokafka(options: Options) -> None:
    from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
    from aiokafka.coordinator.assignors.range import RangePartitionAssignor
    from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
    from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
    from aiokafka.errors import CommitFailedError, IllegalStateError, RebalanceInProgressError

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
        def on_partitions_assigned(self, assigned: Any) -> None:
            _say_partitions("assigned", assigned)

        def on_partitions_revoked(self, revoked: Any) -> None:
            _say_partitions("revoked", revoked)

    assignors = {
        "range": RangePartitionAssignor,
        "roundrobin": RoundRobinPartitionAssignor,
        "sticky": StickyPartitionAssignor,
    }
    consumer = AIOKafkaConsumer(
        bootstrap_servers=options.bootstrap,
        group_id=options.group,
        group_instance_id=options.instance,
        partition_assignment_strategy=[assignors[options.assignor]],
        session_timeout_ms=options.session_timeout_ms,
        heartbeat_interval_ms=_HEARTBEAT_MS,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    consumer.subscribe([options.topic], listener=Listener())
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await consumer.start()
    while not stopping.is_set():
        polled = await consumer.getmany(timeout_ms=100)
        if polled:
            _say_records((m.partition, m.offset) for some in polled.values() for m in some)
            try:
                await consumer.commit()
            except (CommitFailedError, IllegalStateError, RebalanceInProgressError) as error:
                _say("commit-failed", message=type(error).__name__)
    await consumer.stop()


def _librdkafka(options: Options) -> None:
    from confluent_kafka import Consumer, KafkaError, KafkaException

    config: dict[str, Any] = {
        "bootstrap.servers": options.bootstrap,
        "group.id": options.group,
        "partition.assignment.strategy": options.assignor,
        "session.timeout.ms": options.session_timeout_ms,
        "heartbeat.interval.ms": _HEARTBEAT_MS,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    if options.instance is not None:
        config["group.instance.id"] = options.instance
    consumer = Consumer(config)
    consumer.subscribe(
        [options.topic],
        on_assign=lambda _consumer, partitions: _say_partitions("assigned", partitions),
        on_revoke=lambda _consumer, partitions: _say_partitions("revoked", partitions),
        on_lost=lambda _consumer, partitions: _say_partitions("lost", partitions),
    )
    _stop_on_sigterm()
    during_rebalance = {
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError._NO_OFFSET,
        KafkaError._ASSIGNMENT_LOST,
    }
    try:
        while True:
            messages = consumer.consume(500, timeout=0.1)
            for message in messages:
                error = message.error()
                if error is not None:
                    raise KafkaException(error)
            if messages:
                _say_records((m.partition() or 0, m.offset() or 0) for m in messages)
                try:
                    consumer.commit(asynchronous=False)
                except KafkaException as error:
                    if error.args[0].code() not in during_rebalance:
                        raise
                    _say("commit-failed", message=error.args[0].name())
    except _Stop:
        pass
    consumer.close()


if __name__ == "__main__":
    main()
