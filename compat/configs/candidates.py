"""Values to try on a key: what its type and its validator make of their limits and of nonsense."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.configs.kafka_configs import KafkaKey

# What a start must have besides.
BASE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "controller.quorum.voters": "1@localhost:9093",
    "listeners": "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
}
_BITS = {"SHORT": 15, "INT": 31, "LONG": 63}
_NOT_NUMBERS = ("", " ", "x", "1.5", "1e3", "0x10", "1_0", "--1", "5 5", "\u00b2", "true", "null")
_ODD_NUMBERS = (" 5 ", "+5", "-0", "007", "\u0665", "\uff15")
_DOUBLES = (
    *("0.25", ".5", "5.", "1e-3", "1d", "1F", "NaN", "Infinity", "-Infinity", "+Infinity"),
    *("inf", "nan", "1e400", "-1e400", "1e-400", "0x1p-3", "0x.8p1", "0x1", "-0.0", "-.0001"),
)
_TEXTS = ("", " ", "x", "X y", "none", " padded ", "a,b", "[]", "null", "\u00e9")
_LISTS = (
    "",
    " ",
    ",",
    "a,",
    "a,,b",
    "a,a",
    " a , b ",
    "x",
    "*",
    "0:1",
    "0:1,1:2",
    "0:x",
    "*,x",
    "0:1,",
    "*,*",
)
_SPECIAL = {
    "share.auto.offset.reset": (
        *("latest", "earliest", "LATEST", "by_duration:PT1H", "by_duration:-PT1H", "by_duration:"),
        *("by_duration:P1D", "by_duration:PT", "by_duration:P1Y", "by_duration:pt1.5s"),
        *("by_duration:PT0S", "by_duration:-PT-1S", "by_duration:P1DT", "by_duration:PT-1H61M"),
        *("by_duration:PT-0.5S", "by_duration:-PT0.5S", "by_duration:PT.5S", "by_duration:PT1,5S"),
        *("by_duration:PT99999999999999999999S", "by_duration:PT9223372036854775807S"),
        *("by_duration:PT9223372036854775808S", "by_duration:P106751991167301D"),
        *("by_duration:PT0.1234567890S", "BY_DURATION:PT1S", "by_duration:PT1H30", "by_duration"),
    ),
    "controller.quorum.voters": (
        *(
            "1@h:1",
            "1@h",
            "x@h:1",
            "1@h:99999",
            "1@[::1]:5",
            "-1@h:1",
            "@h:1",
            "1@:1",
            "1@h:1,1@h:1",
        ),
        *("1@h:x", "1@h:1 ", "1 @h:1", "1@ h:1", "1@h_h:1", "1@a@b:1", "2147483648@h:1", "+1@h:1"),
    ),
    "controller.quorum.bootstrap.servers": (
        *("h:1", "h", "h:99999", "h:x", "[::1]:5", "::1:5", ":1", "h:1,h:2", "http://h:1", "h h:1"),
        *("h:-1", "h:0", "PLAINTEXT://h:1", "h_h:1", "[h]:1", "h:1 2"),
    ),
    "listeners": (
        *("PLAINTEXT://:1,CONTROLLER://:2", "PLAINTEXT://a:1", "plaintext://a:1,controller://b:2"),
        *("PLAINTEXT://a:1,CONTROLLER://a:1", "PLAINTEXT://a:1,PLAINTEXT://a:2,CONTROLLER://b:3"),
        *("PLAINTEXT://a,CONTROLLER://b:1", "FOO://a:1,CONTROLLER://b:2", "CONTROLLER://b:2"),
        *("PLAINTEXT://a:0,CONTROLLER://a:0", "PLAINTEXT://a:-1,CONTROLLER://b:2"),
        *("PLAINTEXT://a:65536,CONTROLLER://b:2", "PLAINTEXT://127.0.0.1:1,CONTROLLER://[::1]:1"),
        *("PLAINTEXT://[::1]:1,CONTROLLER://a:2", "PLAINTEXT://::1:1,CONTROLLER://a:2"),
        *("PLAINTEXT://a_b:1,CONTROLLER://a:2", "PLAINTEXT:a:1,CONTROLLER://a:2"),
        *("PLAINTEXT://h:1 ,CONTROLLER://a:2", "PLAIN-TEXT://h:1,CONTROLLER://a:2"),
        *("PLAINTEXT://h:1/x,CONTROLLER://a:2", "PLAINTEXT://a:1,CONTROLLER://b:1"),
        *("PLAINTEXT://a:1,CONTROLLER://b:2,SSL://c:1", "PLAINTEXT://h:,CONTROLLER://a:2"),
    ),
    "advertised.listeners": (
        *("PLAINTEXT://a:1", "PLAINTEXT://a:0", "PLAINTEXT://0.0.0.0:1", "PLAINTEXT://:1", "a:1"),
        *("SSL://a:1", "CONTROLLER://a:1", "PLAINTEXT://a:1,CONTROLLER://b:2", "plaintext://a:1"),
        *("PLAINTEXT://a:1,PLAINTEXT://b:1", "PLAINTEXT://[::]:1", "PLAINTEXT://a:-1"),
        *("PLAINTEXT://0.0.0.0:1,CONTROLLER://b:2", "PLAINTEXT://a:1,CONTROLLER://0.0.0.0:2"),
    ),
    "listener.security.protocol.map": (
        *("PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", "PLAINTEXT:PLAINTEXT", "PLAINTEXT", "a:b"),
        *("PLAINTEXT:PLAINTEXT,CONTROLLER:SSL", " PLAINTEXT : PLAINTEXT ,CONTROLLER:PLAINTEXT"),
        *("plaintext:plaintext,controller:plaintext", "A:PLAINTEXT,A:PLAINTEXT,PLAINTEXT:SSL"),
        *("PLAINTEXT:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", "A:B:PLAINTEXT", ","),
        *(":PLAINTEXT", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"),
    ),
    "controller.listener.names": ("CONTROLLER", "controller", "PLAINTEXT", "CONTROLLER,X", "X", ""),
    "inter.broker.listener.name": ("PLAINTEXT", "plaintext", "CONTROLLER", "X", "SSL", ""),
    "process.roles": ("broker,controller", "controller,broker", "broker", "controller", "king", ""),
    "max.connections.per.ip.overrides": (
        *(
            "127.0.0.1:5",
            "a:5,b:6",
            "a",
            "a:x",
            "a:-1",
            ":5",
            "a:5,",
            "a:5,a:6",
            "::1:5",
            " a : 5 ",
        ),
        *("[::1]:5", "a:2147483648", "no.such.host.invalid:5"),
    ),
    "metrics.recording.level": ("INFO", "DEBUG", "TRACE", "info", "nope", ""),
    "offsets.topic.compression.codec": ("0", "1", "2", "3", "4", "5", "-1"),
    "share.coordinator.state.topic.compression.codec": ("0", "4", "5", "-1"),
    "group.consumer.assignors": ("range", "uniform", "range,uniform", "range,range", "nope"),
    "group.share.assignors": ("simple", "nope", "simple,simple"),
    "early.start.listeners": ("CONTROLLER", "PLAINTEXT", "X", "controller", ""),
    "sasl.mechanism.inter.broker.protocol": ("GSSAPI", "PLAIN"),
    "principal.builder.class": (
        "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder",
    ),
    "group.coordinator.rebalance.protocols": (
        *("classic", "consumer", "classic,consumer", "consumer,streams", "CLASSIC", "share"),
        *("classic,share", "classic,consumer,share,streams", "nope"),
    ),
    "match": (
        *(
            "client_id=a.*",
            "client_id=[",
            "client_id",
            "client_id=a=b",
            "nope=a",
            " client_id = a ",
        ),
        *("client_id=a,client_id=b", "client_id=", "CLIENT_ID=a", "client_source_port=1"),
        *("client_id=a++", "client_id=\\p{Alpha}", "client_id=(?<n>a)", "client_id=(?P<n>a)"),
    ),
}


def candidates(name: str, key: KafkaKey) -> Iterator[str]:
    """Each value once."""
    yield from dict.fromkeys(_candidates(name, key))


def _candidates(name: str, key: KafkaKey) -> Iterator[str]:
    if key.default is not None:
        yield key.default
    yield from _SPECIAL.get(name, ())
    bounds = [int(n) for n in re.findall(r"(?<![\w.])-?\d+(?![\w.]*\w)", key.validator or "")]
    words = re.findall(r"[A-Za-z_][\w]*", key.validator or "")
    match key.type:
        case "INT" | "LONG" | "SHORT":
            limit = 1 << _BITS[key.type]
            near = (0, 1, -limit, limit - 1, *bounds)
            yield from (str(n + step) for n in near for step in (-1, 0, 1))
            yield from _NOT_NUMBERS + _ODD_NUMBERS
        case "DOUBLE":
            yield from (str(n + step) for n in (0, *bounds) for step in (-1, -0.001, 0, 0.001, 1))
            yield from _NOT_NUMBERS + _ODD_NUMBERS + _DOUBLES
        case "BOOLEAN":
            yield from ("true", "false", "TRUE", " False ", "tRuE", "yes", "1", "", "null", "t")
        case "LIST":
            yield from _LISTS
            yield from words
            yield ",".join(words)
            for word in words:
                yield from (
                    f"{word},{word},nope",
                    f"{word},",
                    f",{word}",
                    f"{word}, {word.upper()}",
                )
        case "STRING":
            yield from _TEXTS
            for word in words:
                yield from (word, word.lower(), word.upper(), f" {word}")
        case _:
            yield from ("", "x", "no.such.Class")
