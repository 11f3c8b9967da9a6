"""The settings of a log that nobody has set."""

from __future__ import annotations

from dataclasses import fields

import pytest

from kbroker.config.broker import BROKER_KEYS
from kbroker.config.topic import TOPIC_KEYS
from kbroker.storage.log_config import LogConfig


@pytest.mark.parametrize("name", [field.name for field in fields(LogConfig)])
def test_a_default_is_that_of_its_key(name: str) -> None:
    key = name.replace("_", ".")
    keys = BROKER_KEYS if key == "producer.id.expiration.ms" else TOPIC_KEYS
    value = getattr(LogConfig(), name)
    assert (tuple(value) if name == "cleanup_policy" else value) == keys[key].default
