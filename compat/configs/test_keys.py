"""Our keys against Apache Kafka's ConfigDefs: what is known of each, and which values it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat import apache
from compat.configs.candidates import candidates
from kbroker.config.broker import BrokerConfig
from kbroker.config.client_metrics import CLIENT_METRICS_KEYS
from kbroker.config.errors import ConfigError
from kbroker.config.topic import group_keys, topic_keys
from kbroker.config.values import text_of
from kbroker.releases.release import find_release

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compat.configs.kafka_configs import KafkaConfigs, KafkaKey
    from kbroker.config.key import Key
    from kbroker.config.values import Value

    KafkaKeys = Mapping[str, Mapping[str, KafkaKey]]

pytestmark = pytest.mark.ci

CONFIG = BrokerConfig(release=find_release(apache.VERSION))
OURS: Mapping[str, Mapping[str, Key[Value]]] = {
    "BROKER": CONFIG.keys,
    "TOPIC": topic_keys(CONFIG.release),
    "GROUP": group_keys(CONFIG.release),
    "CLIENT_METRICS": CLIENT_METRICS_KEYS,
}
RESOURCES = pytest.mark.parametrize("resource", OURS)


@RESOURCES
def test_the_keys_are_kafkas(kafka_keys: KafkaKeys, resource: str) -> None:
    assert set(OURS[resource]) == set(kafka_keys[resource])


@RESOURCES
def test_what_is_known_of_a_key(kafka_keys: KafkaKeys, resource: str) -> None:
    differences = []
    for name, theirs in kafka_keys[resource].items():
        ours = OURS[resource][name]
        if resource == "BROKER":
            synonyms = list(CONFIG.synonyms(name, match_listener=False))
        else:
            synonyms = [synonym.name for synonym in ours.synonyms]
        valid = None if ours.validator is None else ours.validator.text
        known = (ours.type.name, valid, ours.internal, synonyms)
        if known != (theirs.type, theirs.validator, theirs.internal, theirs.synonyms):
            differences.append(f"{name}: {known} for {theirs}")
        if not theirs.required and text_of(ours.default) != theirs.default:
            differences.append(f"{name}: default {ours.default!r} for {theirs.default!r}")
        if theirs.mode is not None and ours.scope.value != theirs.mode:
            differences.append(f"{name}: {ours.scope.value} for {theirs.mode}")
    assert not differences


@RESOURCES
def test_a_key_takes_and_refuses_the_same_values(
    kafka: KafkaConfigs, kafka_keys: KafkaKeys, resource: str
) -> None:
    """By themselves: what ConfigDef.parseType and the validator say, in the same words."""
    differences = []
    for name, theirs in kafka_keys[resource].items():
        if theirs.type == "CLASS":
            continue  # there are no Java classes here to look for
        for text in candidates(name, theirs):
            said = kafka.value(resource, name, text)
            try:
                OURS[resource][name].parse(text)
                answer = None
            except ConfigError as error:
                answer = str(error)
            if answer != said:
                differences.append(f"{name}={text!r}: {answer!r} for {said!r}")
    assert not differences, "\n".join(differences)
