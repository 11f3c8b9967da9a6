"""Listeners taken apart, and what cannot be one."""

from __future__ import annotations

import pytest

from kbroker.config import BrokerConfig, ConfigError
from kbroker.config.listeners import Endpoint, advertised_listeners, client_listeners


@pytest.mark.parametrize(
    ("settings", "endpoints"),
    [
        ({}, [("PLAINTEXT", "", 9092)]),
        ({"listeners": "PLAINTEXT://127.0.0.1:0"}, [("PLAINTEXT", "127.0.0.1", 0)]),
        ({"listeners": "plaintext://[::1]:9092"}, [("PLAINTEXT", "::1", 9092)]),
        (
            {"listeners": "PLAINTEXT://a:1,CONTROLLER://a:2"},
            [("PLAINTEXT", "a", 1)],
        ),
        (
            {
                "listeners": "IN://a:1,OUT://b:2",
                "listener.security.protocol.map": "IN:PLAINTEXT,OUT:PLAINTEXT",
            },
            [("IN", "a", 1), ("OUT", "b", 2)],
        ),
    ],
)
def test_client_listeners(settings: dict[str, str], endpoints: list[tuple[str, str, int]]) -> None:
    assert client_listeners(BrokerConfig(settings)) == tuple(
        Endpoint(name, "PLAINTEXT", host, port) for name, host, port in endpoints
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"listeners": "PLAINTEXT://a"}, "Unable to parse PLAINTEXT://a to a broker endpoint"),
        ({"listeners": "a:9092"}, "Unable to parse a:9092 to a broker endpoint"),
        ({"listeners": "FOO://a:1"}, "No security protocol defined for listener FOO"),
        ({"listeners": "SSL://a:1"}, "Listener SSL uses SSL, which is not supported yet"),
        ({"listeners": "CONTROLLER://a:1"}, "There must be at least one broker advertised"),
        (
            {"listeners": "PLAINTEXT://a:1,PLAINTEXT://a:2"},
            "Each listener must have a different name",
        ),
        (
            {"listeners": "PLAINTEXT://a:1,CONTROLLER://a:1"},
            "Each listener must have a different port",
        ),
        (
            {"listener.security.protocol.map": "PLAINTEXT"},
            "is not a pair of the form listener:protocol",
        ),
    ],
)
def test_a_listener_that_cannot_be_is_one_sentence(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence.replace("(", r"\(")):
        client_listeners(BrokerConfig(settings))


def test_nothing_advertised_means_the_address_that_was_dialled() -> None:
    assert advertised_listeners(BrokerConfig()) == {}


def test_advertised_listeners_by_name() -> None:
    config = BrokerConfig({"advertised.listeners": "PLAINTEXT://kafka.example:9000"})
    assert advertised_listeners(config)["PLAINTEXT"].port == 9000


@pytest.mark.parametrize(
    ("advertised", "sentence"),
    [
        ("PLAINTEXT://0.0.0.0:1", "nonroutable meta-address 0.0.0.0"),
        ("SSL://a:1", "inter.broker.listener.name must be a listener name defined in advertised"),
        (
            "PLAINTEXT://a:1,SSL://a:1",
            "listener names must be equal to or a subset of the ones defined",
        ),
    ],
)
def test_what_cannot_be_advertised(advertised: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        advertised_listeners(BrokerConfig({"advertised.listeners": advertised}))
