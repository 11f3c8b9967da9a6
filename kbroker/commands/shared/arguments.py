"""The parser of all sub-commands, whose errors are sentences, and the types of their arguments."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PORT_MAX = 65535
PARTITION_COUNT_MAX = 2**31 - 1  # what the protocol can say
PARTITION_MAX = 1_000_000  # far more than a topic can have, and a range is a list in memory


class UserError(Exception):
    """What the user can put right: one sentence, shown without a traceback; status 1."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises UserError, and takes no abbreviations."""

    def __init__(
        self,
        *,
        prog: str | None = None,
        description: str | None = None,
        epilog: str | None = None,
    ) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        sentence = message[:1].upper() + message[1:]
        raise UserError(f"{sentence}. Run {self.prog} --help to see the options.")


Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_actions(parser: argparse.ArgumentParser, dest: str = "action") -> Actions:
    """For commands that are a noun: what follows it is a verb."""
    return parser.add_subparsers(dest=dest, metavar="ACTION", required=True)


def add_action(
    actions: Actions, name: str, help_text: str, example: str = ""
) -> argparse.ArgumentParser:
    """A verb; `help_text` is a clause without a full stop."""
    description = help_text[:1].upper() + help_text[1:] + "."
    epilog = f"example:\n  {example}" if example else None
    return actions.add_parser(name, description=description, help=help_text, epilog=epilog)


def whole_number(text: str, maximum: int) -> int | None:
    """What the digits say; None where there are others, or where it is more."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    # Python reads no number of thousands of digits.
    number = int(digits) if len(digits) <= len(str(maximum)) else maximum + 1
    return number if number <= maximum else None


def at_least(minimum: int) -> Callable[[str], int]:
    """For `type=`: a whole number, not below the minimum."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if number < minimum:
            raise argparse.ArgumentTypeError(f"{number} is too small: the minimum is {minimum}")
        return number

    return parse


def seconds(text: str) -> float:
    """For `type=`: a finite number of seconds, not below 0."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


class PartitionsArgument(NamedTuple):
    """TOPIC[:PARTITIONS]; None: all of them."""

    topic: str
    partitions: tuple[int, ...] | None


def parse_partitions(text: str, option: str) -> PartitionsArgument:
    """TOPIC, or TOPIC:0,2,4-6."""
    topic, colon, listed = text.partition(":")
    if not topic:
        raise UserError(
            f"{option} {text}: expected TOPIC or TOPIC:PARTITIONS, such as orders:0,2-4."
        )
    if not colon:
        return PartitionsArgument(topic, None)
    partitions: list[int] = []
    for part in listed.split(","):
        begin, dash, end = part.partition("-")
        first = whole_number(begin, PARTITION_MAX)
        last = whole_number(end, PARTITION_MAX) if dash else first
        if first is None or last is None or first > last:
            raise UserError(
                f"{option} {text}: {part!r} is not a partition number or a range such as 2-4."
            )
        partitions += range(first, last + 1)
    return PartitionsArgument(topic, tuple(dict.fromkeys(partitions)))


class TopicArgument(NamedTuple):
    """NAME[:PARTITIONS[:KEY=VALUE,...]]; partitions None: the broker's num.partitions."""

    name: str
    partitions: int | None
    configs: dict[str, str]


def parse_topic(text: str, where: str = "--topic") -> TopicArgument:
    where = f"{where} {text}".lstrip()
    name, _, rest = text.partition(":")
    count, _, settings = rest.partition(":")
    if not name:
        raise UserError(f"{where}: the topic name is missing. Expected NAME:PARTITIONS.")
    partitions = None
    if count:
        partitions = whole_number(count, PARTITION_COUNT_MAX)
        if not partitions:
            raise UserError(f"{where}: {count!r} is not a valid number of partitions.")
    return TopicArgument(name, partitions, parse_configs(settings, where))


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
            raise UserError(f"{option} {pair}: expected KEY=VALUE.")
        settings[key.strip()] = value
    return settings


def parse_address(text: str, option: str) -> tuple[str, int]:
    """HOST:PORT, [IPV6]:PORT, or :PORT for every interface."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise UserError(f"{option} {text}: an IPv6 address must be in brackets, as in [::1]:9092.")
    number = whole_number(port, PORT_MAX) if colon else None
    if number is None:
        raise UserError(f"{option} {text}: expected HOST:PORT.")
    return host, number


def address_text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
