"""Kafka's configuration classes, and its keys, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compat import apache
from compat.configs.kafka_configs import KafkaConfigs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.configs.kafka_configs import KafkaKey


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaConfigs]:
    sources = (Path(__file__).parent / "java").glob("*.java")
    classes = apache.compile_java(sources, tmp_path_factory.mktemp("configs"))
    command = apache.java_command("Configs", flags=apache.SHORT_RUN, classes=classes)
    with KafkaConfigs(command) as configs:
        yield configs


@pytest.fixture(scope="session")
def kafka_keys(kafka: KafkaConfigs) -> dict[str, dict[str, KafkaKey]]:
    return kafka.keys()
