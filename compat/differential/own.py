"""An Apache Kafka of one's own, for as long as it takes to record it."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from compat.brokers import Address, ApacheKafka

from .playing import Side
from .recording import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def apache_kafka(address: str | None) -> Iterator[Side]:
    """The broker of that address; without one, an Apache Kafka that is gone afterwards."""
    if address:
        broker = Address.parse(address)
        yield Side.of(broker.host, broker.port)
        return
    with tempfile.TemporaryDirectory(prefix="kafka-") as folder:
        process = ApacheKafka(Path(folder), SETTINGS)
        process.start()
        try:
            yield Side.of(process.host, process.port)
        finally:
            process.wipe()
