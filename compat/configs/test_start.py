"""Whether a start with a setting fails, as Apache Kafka's does: KafkaConfig against ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.configs.candidates import BASE, candidates
from kbroker.config.broker import BrokerConfig
from kbroker.config.errors import ConfigError
from kbroker.config.listeners import advertised_listeners

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compat.configs.kafka_configs import KafkaConfigs, KafkaKey

pytestmark = pytest.mark.ci

# What one takes and the other refuses, each on purpose; None: every value.
CHOICES: Mapping[str, tuple[str, ...] | None] = {
    # There is no authorizer, so any is refused.
    "authorizer.class.name": None,
    # There are no Java classes to look for.
    "group.consumer.assignors": None,
    "group.share.assignors": None,
    # Not set: a quorum of one.
    "controller.quorum.voters": ("", " "),
    # There is no controller listener, so there need be none; a port is below 65536.
    "listeners": (
        *("PLAINTEXT://:9092", "PLAINTEXT://a:1", "PLAINTEXT://a:65536,CONTROLLER://b:2"),
    ),
    "controller.listener.names": ("CONTROLLER,X",),
    # No host, and no number of connections.
    "max.connections.per.ip.overrides": (":5", "a:-1"),
    # No address to tell a client.
    "advertised.listeners": ("PLAINTEXT://[::]:1",),
}
# Of these only whether they are refused is compared: Apache Kafka's exceptions from within
# (`begin 0, end -1, length 1`), or what is not built, is said in own words.
OWN_WORDS = {
    *("node.id", "process.roles", "controller.quorum.voters", "controller.listener.names"),
    *("listeners", "advertised.listeners", "listener.security.protocol.map"),
    *("max.connections.per.ip.overrides", "inter.broker.listener.name", "log.cleaner.threads"),
    *("early.start.listeners",),
}


def starts(settings: Mapping[str, str]) -> str | None:
    """What our start says before it opens anything; None: it starts."""
    try:
        advertised_listeners(BrokerConfig(settings))
    except ConfigError as error:
        return str(error)
    return None


def test_a_start_fails_for_the_same_values(
    kafka: KafkaConfigs, kafka_keys: Mapping[str, Mapping[str, KafkaKey]]
) -> None:
    differences: list[str] = []
    chosen = set()
    for name, theirs in kafka_keys["BROKER"].items():
        if theirs.type == "CLASS":
            continue
        for text in candidates(name, theirs):
            settings = {**BASE, name: text}
            answer, said = starts(settings), kafka.start(settings)
            if said is not None:
                said = said.removeprefix("requirement failed: ")
            differs = answer != said
            if name in OWN_WORDS:
                differs = (answer is None) != (said is None)
            allowed = CHOICES.get(name, ())
            if differs and (allowed is None or text in allowed):
                chosen.add(name)
            elif differs:
                differences.append(f"{name}={text!r}: {answer!r} for {said!r}")
    assert not differences, "\n".join(differences)
    assert chosen == set(CHOICES)
