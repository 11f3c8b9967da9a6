"""Parses and prints times and durations."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from .arguments import UserError

TIME_FORMS = (
    "an ISO 8601 time (local if it has no zone), milliseconds since 1970, 10m for ten "
    "minutes ago, or now"
)
TIME_MS_MAX = (1 << 63) - 1

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
# Java's Duration.parse, which Kafka's --by-duration takes; weeks are ours.
_ISO_DURATION = re.compile(
    r"(-)?P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?"
)
_ISO_UNITS_MS = (604_800_000, 86_400_000, 3_600_000, 60_000, 1000)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def parse_time_ms(text: str, option: str, now: int | None = None) -> int:
    """Milliseconds since 1970, from 0 to TIME_MS_MAX. UserError."""
    current = now_ms() if now is None else now
    try:
        time_ms = _time_ms(text, current)
    except (ValueError, OverflowError):
        raise UserError(
            f"{option} {text}: expected a time such as 2026-01-31T12:00:00, milliseconds since "
            "1970, or a duration such as 10m for ten minutes ago."
        ) from None
    if time_ms < 0:
        raise UserError(f"{option} {text}: the time must not be before 1970.")
    if time_ms > TIME_MS_MAX:
        raise UserError(f"{option} {text}: the time must be at most {TIME_MS_MAX} ms after 1970.")
    return time_ms


def _time_ms(text: str, now: int) -> int:
    """ValueError, OverflowError."""
    if text == "now":
        return now
    if text.isascii() and text.isdigit():
        return int(text)
    ago = _duration_ms(text)
    if ago is not None:
        return now - ago
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def parse_duration_ms(text: str, option: str) -> int:
    """10m, 1.5h, or ISO 8601 as PT10M. UserError."""
    try:
        found = _duration_ms(text)
    except OverflowError:
        found = None
    if found is None:
        raise UserError(f"{option} {text}: expected a duration such as 10m or P1DT2H.")
    return found


def _duration_ms(text: str) -> int | None:
    """None where it is no duration. OverflowError."""
    match = _DURATION.fullmatch(text)
    if match is not None:
        return int(float(match[1]) * _UNITS_MS[match[2]])
    match = _ISO_DURATION.fullmatch(text)
    if match is None or not any(match.groups()[1:]):
        return None
    parts = zip(match.groups()[1:], _ISO_UNITS_MS, strict=True)
    total = int(sum(float(part) * unit for part, unit in parts if part))
    return -total if match[1] else total


def time_text(timestamp_ms: int) -> str:
    """ISO 8601 in UTC; a number where there is no such year."""
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return str(timestamp_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
