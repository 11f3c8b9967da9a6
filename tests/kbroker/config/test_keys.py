"""Every key is Kafka's: names, types, defaults and update modes, release by release."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from kbroker.config.broker import BROKER_KEYS, BrokerConfig, broker_keys
from kbroker.config.client_metrics import CLIENT_METRICS_KEYS
from kbroker.config.errors import ConfigError
from kbroker.config.topic import GROUP_KEYS, TOPIC_KEYS, TopicConfig, group_keys, topic_keys
from kbroker.config.values import text_of
from kbroker.releases.release import RELEASES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kbroker.config.key import Key
    from kbroker.config.values import Value
    from kbroker.releases.release import ConfiguredResource, Release

RESOURCES: tuple[ConfiguredResource, ...] = ("BROKER", "TOPIC", "GROUP", "CLIENT_METRICS")
KEYS: Mapping[str, Mapping[str, Key[Value]]] = {
    "BROKER": BROKER_KEYS,
    "TOPIC": TOPIC_KEYS,
    "GROUP": GROUP_KEYS,
    "CLIENT_METRICS": CLIENT_METRICS_KEYS,
}
ALL_KEYS = [(resource, key) for resource, keys in KEYS.items() for key in keys.values()]
WITH_DEFAULT = [(resource, key) for resource, key in ALL_KEYS if key.default is not None]
WITH_SYNONYMS = [(resource, key) for resource, key in ALL_KEYS if key.synonyms]


@pytest.mark.parametrize("release", RELEASES.values(), ids=str)
def test_the_keys_of_a_release_are_kafkas(release: Release) -> None:
    known: Mapping[str, Mapping[str, Key[Value]]] = {
        "BROKER": broker_keys(release),
        "TOPIC": topic_keys(release),
        "GROUP": group_keys(release),
        "CLIENT_METRICS": CLIENT_METRICS_KEYS,
    }
    assert {resource: set(keys) for resource, keys in known.items()} == {
        resource: set(release.keys(resource)) for resource in RESOURCES
    }


@pytest.mark.parametrize("release", RELEASES.values(), ids=str)
@pytest.mark.parametrize("resource", RESOURCES)
def test_what_a_release_says_of_a_key_is_so(release: Release, resource: ConfiguredResource) -> None:
    for name in release.keys(resource):
        key, theirs = KEYS[resource][name], release.key(resource, name)
        valid = None if key.validator is None else key.validator.text
        assert (key.type.name, valid, key.internal) == theirs[:1] + theirs[2:3] + theirs[4:5], name
        if theirs.default is not None:
            assert text_of(key.default) == theirs.default, name
        if resource == "BROKER":
            assert key.scope.value == theirs.mode, name
            shown = BrokerConfig(release=release).synonyms(name, match_listener=False)
            assert shown == theirs.synonyms, name
        else:
            assert tuple(each.name for each in key.synonyms) == theirs.synonyms, name


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
