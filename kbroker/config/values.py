"""The two forms of a value: its text in a properties file, and the Python value.

Parsing and printing follow ConfigDef.parseType and convertToString, with Java's rules for numbers.
Lists are tuples of str, classes and passwords are str, None is Kafka's null.
"""

from __future__ import annotations

import re
import sys
from enum import IntEnum

from .errors import invalid_value

Value = bool | int | float | str | tuple[str, ...] | None

INT_MAX = (1 << 31) - 1
LONG_MAX = (1 << 63) - 1
ARRAY_MAX = INT_MAX - 8  # how many bytes an array of Java may have
DOUBLE_MAX = sys.float_info.max

_JAVA_BLANKS = "".join(map(chr, range(33)))  # what String.trim() removes
_PATTERN_BLANKS = " \t\n\x0b\f\r"  # \s of a Java pattern
_DOUBLE = r"[+-]?(?:NaN|Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fFdD]?)"
_HEX_DOUBLE = r"([+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+)[fFdD]?"
_DOUBLE_PLAIN_MIN = 1e-3  # Double.toString switches to an exponent outside of this range
_DOUBLE_PLAIN_END = 1e7


class ConfigType(IntEnum):
    """A key's type, with DescribeConfigs' codes (DescribeConfigsResponse.ConfigType)."""

    UNKNOWN = 0
    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


_BITS = {ConfigType.SHORT: 15, ConfigType.INT: 31, ConfigType.LONG: 63}


def parse(name: str, config_type: ConfigType, text: str) -> Value:
    """The value of `text`; ConfigError names the key, the text and the reason."""
    trimmed = text.strip(_JAVA_BLANKS)
    match config_type:
        case ConfigType.INT | ConfigType.LONG | ConfigType.SHORT:
            number = java_integer(trimmed, _BITS[config_type])
            if number is None:
                raise invalid_value(name, text, f"Not a number of type {config_type.name}")
            return number
        case ConfigType.DOUBLE:
            if re.fullmatch(_DOUBLE, trimmed):
                return float(trimmed.rstrip("fFdD") if trimmed[-1] in "fFdD" else trimmed)
            hexadecimal = re.fullmatch(_HEX_DOUBLE, trimmed)
            if hexadecimal is not None:
                return _hex_double(hexadecimal[1])
            raise invalid_value(name, text, "Not a number of type DOUBLE")
        case ConfigType.BOOLEAN:
            lowered = trimmed.lower()
            if lowered not in ("true", "false"):
                raise invalid_value(name, text, "Expected value to be either true or false")
            return lowered == "true"
        case ConfigType.LIST:
            if not trimmed:
                return ()
            return tuple(entry.strip(_PATTERN_BLANKS) for entry in trimmed.split(","))
        case _:
            return trimmed


def java_integer(text: str, bits: int = _BITS[ConfigType.INT]) -> int | None:
    """What Java's parseInt (or parseLong: 63 bits) reads; None where it throws."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits.isdecimal():  # of any script, as in Java
        return None
    try:
        number = int(text)
    except ValueError:
        return None  # more digits than Python reads
    return number if -(1 << bits) <= number < 1 << bits else None


def _hex_double(text: str) -> float:
    try:
        return float.fromhex(text)
    except OverflowError:
        return float("-inf" if text.startswith("-") else "inf")


def text_of(value: Value) -> str | None:
    """The value as DescribeConfigs and a properties file show it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else _double_text(value)


def shown_in_error(value: Value) -> str:
    """The value as Java's string concatenation shows it in a message."""
    if isinstance(value, tuple):
        return "[" + ", ".join(value) + "]"
    return text_of(value) or ("null" if value is None else "")


def _double_text(value: float) -> str:
    """Java's Double.toString."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or _DOUBLE_PLAIN_MIN <= abs(value) < _DOUBLE_PLAIN_END:
        return repr(value)
    mantissa, _, exponent = f"{value!r}".partition("e")
    if not exponent:  # repr keeps plain digits up to 1e16 and down to 1e-4
        mantissa, _, exponent = _scientific(value).partition("e")
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}E{int(exponent)}"


def _scientific(value: float) -> str:
    """The shortest digits that read back as `value`, in scientific notation."""
    digits = len(repr(abs(value)).replace(".", "").strip("0")) or 1
    return f"{value:.{max(digits - 1, 1)}e}"
