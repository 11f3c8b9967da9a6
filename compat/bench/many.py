"""Many partitions and topics: a start with them, and their creation."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from compat.bench import admin
from compat.bench.findings import Findings
from compat.bench.process_stats import rss_bytes

if TYPE_CHECKING:
    from compat.bench.sizes import Sizes
    from compat.brokers import BrokerProcess

SETTLE_S = 2.0
TOPIC = "bench-many"


def start(broker: BrokerProcess, sizes: Sizes, _groups: frozenset[str]) -> Findings:
    """Records in every partition, a clean stop and a start, more records, kill -9 and a start.

    A broker has started when every partition has a leader and the last one takes a record.
    """
    count = sizes.many_partitions
    topics = admin.add_partitions(broker, TOPIC, count)
    admin.produce_to_all(broker, topics)
    resident = rss_bytes(broker.pid) / 1e6
    began = time.monotonic()
    broker.stop()
    stop_s = time.monotonic() - began
    clean_s = _start(broker, topics)
    admin.produce_to_all(broker, topics)
    broker.kill()
    killed_s = _start(broker, topics)
    return Findings(
        {
            "start-10k.clean": clean_s,
            "start-10k.killed": killed_s,
            "start-10k.stop": stop_s,
            "start-10k.rss": resident,
        }
    )


def _start(broker: BrokerProcess, topics: dict[str, int]) -> float:
    began = time.monotonic()
    broker.start()
    admin.await_leaders(broker, topics)
    last = list(topics)[-1]
    admin.produce_to_all(broker, {last: topics[last]})
    return time.monotonic() - began


def create(broker: BrokerProcess, sizes: Sizes, _groups: frozenset[str]) -> Findings:
    """Topics of one partition: one request each, and then as many in one request."""
    time.sleep(SETTLE_S)
    return Findings(
        {
            "create-1000.each": _create(broker, "each", sizes.topics, 1),
            "create-1000.one": _create(broker, "together", sizes.topics, sizes.topics),
        }
    )


def _create(broker: BrokerProcess, name: str, count: int, a_request: int) -> float:
    topics = {f"{TOPIC}-{name}-{number}": 1 for number in range(count)}
    began = time.monotonic()
    admin.create_topics(broker, topics, a_request=a_request)
    admin.await_leaders(broker, topics)
    return time.monotonic() - began
