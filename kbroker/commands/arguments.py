"""What the sub-commands share: a parser whose errors are sentences, and the forms of arguments."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable

PORT_MAX = 65535


class UserError(Exception):
    """What the user can put right: one sentence, shown without a traceback; status 1."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises UserError, and takes no abbreviations."""

    def __init__(self, *, prog: str | None = None, description: str | None = None) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        sentence = message[:1].upper() + message[1:]
        raise UserError(f"{sentence} ({self.prog} --help shows the options).")


class TopicArgument(NamedTuple):
    """NAME[:PARTITIONS[:KEY=VALUE,...]]; partitions None: the broker's num.partitions."""

    name: str
    partitions: int | None
    configs: dict[str, str]


def parse_topic(text: str) -> TopicArgument:
    name, _, rest = text.partition(":")
    count, _, settings = rest.partition(":")
    if not name:
        raise UserError(f"--topic {text}: a topic needs a name, as in NAME:PARTITIONS.")
    partitions = None
    if count:
        if not (count.isascii() and count.isdigit() and int(count) > 0):
            raise UserError(f"--topic {text}: {count!r} is no number of partitions.")
        partitions = int(count)
    return TopicArgument(name, partitions, parse_configs(settings, f"--topic {text}"))


def parse_configs(text: str, where: str) -> dict[str, str]:
    """KEY=VALUE,...; what has no `=` continues the value before it, as in cleanup.policy=a,b."""
    configs: dict[str, str] = {}
    last = None
    for part in text.split(",") if text else []:
        key, equals, value = part.partition("=")
        if equals and key:
            configs[key] = value
            last = key
        elif last is not None and not equals:
            configs[last] += "," + part
        else:
            raise UserError(f"{where}: {part!r} is not of the form KEY=VALUE.")
    return configs


def parse_settings(pairs: Iterable[str], option: str) -> dict[str, str]:
    """KEY=VALUE of a repeated option."""
    settings: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UserError(f"{option} {pair}: it must be KEY=VALUE.")
        settings[key.strip()] = value
    return settings


def parse_address(text: str, option: str) -> tuple[str, int]:
    """HOST:PORT, [IPV6]:PORT, or :PORT for every interface."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise UserError(f"{option} {text}: write an IPv6 address in brackets, as in [::1]:9092.")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > PORT_MAX:
        raise UserError(f"{option} {text}: it must be HOST:PORT.")
    return host, int(port)


def address_text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
