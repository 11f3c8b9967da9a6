"""A broker for a test in any style: a process of its own, which ends when the block ends.

    with broker(topics=("orders:3",)) as kafka:
        producer = SomeProducer(bootstrap_servers=kafka.bootstrap)

The port is a free one, so many brokers may run at once. What the test patches (clocks, sockets, the
file system) or does in its threads does not affect the broker. With `in_process` the broker is a
thread of the test's process, and shares all of that.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .kafka import BrokerFailed, Kafka
from .process import BrokerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["BrokerFailed", "Kafka", "broker"]


@contextmanager
def broker(
    topics: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    *,
    in_process: bool = False,
) -> Iterator[Kafka]:
    """A fresh broker. `topics`: NAME[:PARTITIONS[:KEY=VALUE,...]]; `settings`: server.properties.

    BrokerFailed where it cannot start, at the end where it failed meanwhile. What it logs is logged
    in the test's process as well: at once with `in_process`, else when a phase of the test ends.
    """
    keys = settings or {}
    if in_process:
        # Imported here: it brings Trio, which a process with gevent's patches cannot import.
        from .thread import BrokerThread

        running: BrokerThread | BrokerProcess = BrokerThread(topics, keys)
    else:
        running = BrokerProcess(topics, keys)
    kafka = running.start()
    try:
        yield kafka
    finally:
        running.stop()
