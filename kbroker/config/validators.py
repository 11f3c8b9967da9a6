"""What values a key accepts: one function for each rule, with the messages of Kafka's ConfigDef.

A validator gets the key's name and its parsed value. It raises ConfigError or returns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .errors import ConfigError, invalid_value
from .values import LONG_MAX, Value, java_integer, shown_in_error

PORT_MAX = 65_535

Check = Callable[[str, Value], None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A check, and what Kafka's documentation says of the values it lets through."""

    check: Check
    text: str

    def __call__(self, name: str, value: Value) -> None:
        self.check(name, value)


_REPLICAS = r"([0-9]+:[0-9]+)?"
_HOST_PORT = r"(?:[0-9a-zA-Z\-%._]*://)?\[?([0-9a-zA-Z\-%._:]*)\]?:([0-9]+)"  # Utils.getHost
# Compiled when first used, as every pattern of this package: a start needs none of them.
_DURATION = (
    r"([-+]?)P(?:([-+]?[0-9]+)D)?"
    r"(T(?:([-+]?[0-9]+)H)?(?:([-+]?[0-9]+)M)?(?:([-+]?[0-9]+)(?:[.,]([0-9]{0,9}))?S)?)?"
)


def rule(text: str) -> Callable[[Check], Rule]:
    return lambda check: Rule(check, text)


def at_least(minimum: int) -> Rule:
    def check(name: str, value: Value) -> None:
        if value is None:
            raise invalid_value(name, "null", "Value must be non-null")
        assert isinstance(value, (int, float))
        if value < minimum:
            shown = shown_in_error(value)
            raise invalid_value(name, shown, f"Value must be at least {minimum}")

    return Rule(check, f"[{minimum},...]")


def between(minimum: float, maximum: float) -> Rule:
    def check(name: str, value: Value) -> None:
        if value is None:
            raise invalid_value(name, "null", "Value must be non-null")
        assert isinstance(value, (int, float))
        shown = shown_in_error(value)
        if value < minimum:
            raise invalid_value(name, shown, f"Value must be at least {minimum}")
        if value > maximum:
            raise invalid_value(name, shown, f"Value must be no more than {maximum}")

    return Rule(check, f"[{minimum},...,{maximum}]")


def one_of(*allowed: str) -> Rule:
    def check(name: str, value: Value) -> None:
        if value not in allowed:
            reason = "String must be one of: " + ", ".join(allowed)
            raise invalid_value(name, shown_in_error(value), reason)

    return Rule(check, f"[{', '.join(allowed)}]")


def one_of_any_case(*allowed: str) -> Rule:
    def check(name: str, value: Value) -> None:
        if not isinstance(value, str) or value.upper() not in allowed:
            reason = "String must be one of (case insensitive): " + ", ".join(allowed)
            raise invalid_value(name, shown_in_error(value), reason)

    return Rule(check, f"(case insensitive) [{', '.join(allowed)}]")


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, of the allowed values where there are any (ConfigDef.ValidList)."""

    allowed: tuple[str, ...] = ()
    empty: bool = False
    null: bool = False

    @property
    def text(self) -> str:
        return f"[{', '.join(self.allowed)}]" if self.allowed else ""

    def __call__(self, name: str, value: Value) -> None:
        if value is None:
            if not self.null:
                raise ConfigError(f"Configuration '{name}' values must not be null.")
            return
        assert isinstance(value, tuple)
        if not value and not self.empty:
            valid = f"[{', '.join(self.allowed)}]" if self.allowed else "any non-empty value"
            raise ConfigError(
                f"Configuration '{name}' must not be empty. Valid values include: {valid}"
            )
        one = one_of(*self.allowed) if self.allowed else None
        for entry in value:
            if not entry:
                raise ConfigError(f"Configuration '{name}' values must not be empty.")
            if one is not None:
                one(name, entry)


Validator = Rule | ListOf


def list_of(*allowed: str, empty: bool = False, null: bool = False) -> ListOf:
    return ListOf(allowed, empty, null)


@rule("non-null string")
def non_null(name: str, value: Value) -> None:
    if value is None:
        raise invalid_value(name, "null", "entry must be non null")


@rule("non-empty string")
def non_empty(name: str, value: Value) -> None:
    if value == "":
        raise invalid_value(name, "", "String must be non-empty")


@rule("[1,...,9] or -1")
def gzip_level(name: str, value: Value) -> None:
    if not isinstance(value, int) or not (1 <= value <= 9 or value == -1):
        raise invalid_value(
            name, shown_in_error(value), "Value must be between 1 and 9 or equal to -1"
        )


@rule("[partitionId]:[brokerId],[partitionId]:[brokerId],...")
def throttled_replicas(name: str, value: Value) -> None:
    """`*`, or partition:broker pairs (ThrottledReplicaListValidator)."""
    assert isinstance(value, tuple)
    if value == ("*",) or all(re.fullmatch(_REPLICAS, entry) for entry in value):
        return
    reason = (
        f"{name} must be the literal '*' or a list of replicas in the following format: "
        "[partitionId]:[brokerId],[partitionId]:[brokerId],..."
    )
    raise invalid_value(name, shown_in_error(value), reason)


@rule("[latest, earliest, by_duration:PnDTnHnMn.nS]")
def share_offset_reset(name: str, value: Value) -> None:
    """earliest, latest or by_duration:<ISO 8601 duration, not negative>."""
    assert isinstance(value, str)
    if value in ("latest", "earliest") or (
        value.startswith("by_duration:") and _is_duration(value.removeprefix("by_duration:"))
    ):
        return
    reason = (
        f"Invalid value `{value}` for configuration {name}. The value must be either 'earliest', "
        "'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
    )
    raise invalid_value(name, value, reason)


def _is_duration(text: str) -> bool:
    """Whether java.time.Duration reads `text`, and not as a negative one."""
    match = re.fullmatch(_DURATION, text, re.IGNORECASE)
    if match is None or match[3] in ("T", "t") or not any(match.group(2, 4, 5, 6)):
        return False
    total = 0
    for part, seconds in zip(match.group(2, 4, 5, 6), (86_400, 3600, 60, 1), strict=True):
        number = java_integer(part or "0", 63)
        if number is None:
            return False
        total += number * seconds
        if not (_is_long(number * seconds) and _is_long(total)):
            return False
    nanos = int(f"{match[7] or 0:0<9}") * (-1 if (match[6] or "").startswith("-") else 1)
    total = total * 1_000_000_000 + nanos
    return (-total if match[1] == "-" else total) >= 0


def _is_long(number: int) -> bool:
    return -LONG_MAX - 1 <= number <= LONG_MAX


@rule("non-empty list")
def quorum_voters(name: str, value: Value) -> None:
    """id@host:port entries (QuorumConfig.parseVoterConnections)."""
    assert isinstance(value, tuple)
    for entry in value:
        form = " Each entry should be in the form `{id}@{host}:{port}`."
        parts = entry.rstrip("@").split("@")
        if len(parts) != 2:
            raise ConfigError(f"Invalid configuration value for {name}.{form}")
        if java_integer(parts[0]) is None:
            raise ConfigError(f"Failed to parse voter ID as an integer from {parts[0]}")
        if not _is_endpoint(parts[1]):
            raise ConfigError(
                f"Failed to parse host name from entry {entry} for the configuration {name}.{form}"
            )


@rule("non-empty list")
def quorum_servers(name: str, value: Value) -> None:
    """host:port entries (QuorumConfig.parseBootstrapServers)."""
    assert isinstance(value, tuple)
    for entry in value:
        if not _is_endpoint(entry):
            raise ConfigError(
                f"Failed to parse host name from {entry} for the configuration {name}."
                ' Each entry should be in the form "{host}:{port}"'
            )


def _is_endpoint(text: str) -> bool:
    """Whether there are a host, which may be empty, and a port; ConfigError for a port too high."""
    match = re.fullmatch(_HOST_PORT, text)
    if match is None:
        return False
    port = java_integer(match[2])
    if port is None or port > PORT_MAX:
        raise ConfigError(f"port out of range:{match[2]}")
    return True
