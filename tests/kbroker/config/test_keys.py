"""Every key is Kafka 4.3.0's: names, types, defaults and update modes, from kafka_keys.tsv."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbroker.config.broker import BROKER_KEYS, BrokerConfig
from kbroker.config.client_metrics import CLIENT_METRICS_KEYS
from kbroker.config.errors import ConfigError
from kbroker.config.topic import GROUP_KEYS, TOPIC_KEYS, TopicConfig
from kbroker.config.values import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kbroker.config.key import Key
    from kbroker.config.values import Value

KEYS: Mapping[str, Mapping[str, Key[Value]]] = {
    "BROKER": BROKER_KEYS,
    "TOPIC": TOPIC_KEYS,
    "GROUP": GROUP_KEYS,
    "CLIENT_METRICS": CLIENT_METRICS_KEYS,
}
ALL_KEYS = [(resource, key) for resource, keys in KEYS.items() for key in keys.values()]
WITH_DEFAULT = [(resource, key) for resource, key in ALL_KEYS if key.default is not None]
WITH_SYNONYMS = [(resource, key) for resource, key in ALL_KEYS if key.synonyms]


def kafka_rows() -> list[list[str]]:
    text = (Path(__file__).parent / "kafka_keys.tsv").read_text()
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return [row + [""] * (6 - len(row)) for row in rows]


def test_the_keys_are_kafkas() -> None:
    ours = {(resource, key.name) for resource, key in ALL_KEYS}
    assert ours == {(row[0], row[1]) for row in kafka_rows()}


@pytest.mark.parametrize("resource", KEYS)
def test_types_defaults_and_update_modes_are_kafkas(resource: str) -> None:
    for _, name, type_name, default, mode, internal in (
        row for row in kafka_rows() if row[0] == resource
    ):
        key = KEYS[resource][name]
        assert key.type.name == type_name, name
        assert key.internal == (internal == "internal"), name
        if default != "required":
            assert text_of(key.default) == (None if default == "null" else default), name
        if resource == "BROKER":
            assert key.scope.value == mode, name


def test_a_default_is_valid() -> None:
    checked = 0
    for _, key in ALL_KEYS:
        if key.validator is not None:
            key.validator(key.name, key.default)  # raises
            checked += 1
    assert checked > 100


@pytest.mark.parametrize(("resource", "key"), WITH_DEFAULT, ids=lambda v: getattr(v, "name", v))
def test_a_default_comes_back_from_its_text(resource: str, key: Key[Value]) -> None:
    text = text_of(key.default)
    assert text is not None
    assert key.parse(text) == key.default


def test_the_attribute_of_a_key_is_its_name_with_underscores() -> None:
    assert re.search(r"[^a-z0-9.]", "".join(BROKER_KEYS) + "".join(TOPIC_KEYS)) is None
    for name in BROKER_KEYS:
        assert getattr(BrokerConfig, name.replace(".", "_")).name == name
    for name in TOPIC_KEYS:
        assert getattr(TopicConfig, name.replace(".", "_")).name == name


@pytest.mark.parametrize(("resource", "key"), WITH_SYNONYMS, ids=lambda v: getattr(v, "name", v))
def test_synonyms_are_broker_keys(resource: str, key: Key[Value]) -> None:
    for synonym in key.synonyms:
        assert synonym.name in BROKER_KEYS


def test_a_documentation_is_one_sentence_of_our_own() -> None:
    for _, key in ALL_KEYS:
        if key.has_effect:
            assert key.doc.endswith("."), key.name
            assert len(key.doc) < 120, key.name


def test_repeated_entries_of_a_list_count_once() -> None:
    assert TOPIC_KEYS["cleanup.policy"].parse("delete,compact, delete") == ("delete", "compact")


def test_an_empty_entry_of_a_list_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'config\.providers' values must not be empty"):
        BROKER_KEYS["config.providers"].parse("a,,b")


DIGITS = "9" * 5000  # more than int() takes


@pytest.mark.parametrize(
    "text",
    [DIGITS, f"a:{DIGITS}", f"PLAINTEXT://a:{DIGITS}", f"1@a:{DIGITS}", f"by_duration:P{DIGITS}D"],
)
def test_numbers_of_any_length_are_read_or_refused(text: str) -> None:
    for resource, key in ALL_KEYS:
        try:
            value = key.parse(text)
            if resource == "BROKER":
                BrokerConfig({key.name: text})
        except ConfigError:
            continue
        assert isinstance(value, str | tuple | float | None), key.name
