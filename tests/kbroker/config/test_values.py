"""Text to value and back, by Java's rules; the sentences of what cannot be."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.config.errors import ConfigError
from kbroker.config.values import ConfigType, parse, text_of

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)


@pytest.mark.parametrize(
    ("config_type", "text", "value"),
    [
        (ConfigType.INT, " 5 ", 5),
        (ConfigType.INT, "+5", 5),
        (ConfigType.INT, "-2147483648", -(1 << 31)),
        (ConfigType.LONG, "9223372036854775807", (1 << 63) - 1),
        (ConfigType.DOUBLE, "0.5", 0.5),
        (ConfigType.DOUBLE, "1e3", 1000.0),
        (ConfigType.DOUBLE, "2d", 2.0),
        (ConfigType.DOUBLE, "Infinity", math.inf),
        (ConfigType.BOOLEAN, "TRUE", True),
        (ConfigType.BOOLEAN, "false ", False),
        (ConfigType.STRING, " a b\t", "a b"),
        (ConfigType.LIST, "", ()),
        (ConfigType.LIST, " a , b,a ", ("a", "b", "a")),
        (ConfigType.LIST, "a,,", ("a", "", "")),
        (ConfigType.INT, "\u0665", 5),
        (ConfigType.DOUBLE, "0x1p-3", 0.125),
        (ConfigType.DOUBLE, "-0x1p9999f", -math.inf),
        (ConfigType.CLASS, "org.Foo", "org.Foo"),
        (ConfigType.PASSWORD, "secret", "secret"),
    ],
)
def test_text_is_read_as_java_reads_it(config_type: ConfigType, text: str, value: object) -> None:
    assert parse("k", config_type, text) == value


@pytest.mark.parametrize(
    ("config_type", "text", "sentence"),
    [
        (ConfigType.INT, "x", "Invalid value x for configuration k: Not a number of type INT"),
        (ConfigType.INT, "", "Invalid value  for configuration k: Not a number of type INT"),
        (ConfigType.INT, "1_0", "Invalid value 1_0 for configuration k: Not a number of type INT"),
        (
            ConfigType.INT,
            "2147483648",
            "Invalid value 2147483648 for configuration k: Not a number of type INT",
        ),
        (
            ConfigType.SHORT,
            "70000",
            "Invalid value 70000 for configuration k: Not a number of type SHORT",
        ),
        (
            ConfigType.LONG,
            "1.5",
            "Invalid value 1.5 for configuration k: Not a number of type LONG",
        ),
        (
            ConfigType.DOUBLE,
            "nan",
            "Invalid value nan for configuration k: Not a number of type DOUBLE",
        ),
        (
            ConfigType.BOOLEAN,
            "yes",
            "Invalid value yes for configuration k: Expected value to be either true or false",
        ),
    ],
)
def test_what_cannot_be_read_is_said_in_kafkas_words(
    config_type: ConfigType, text: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        parse("k", config_type, text)
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (1e7, "1.0E7"),
        (9999999.0, "9999999.0"),
        (1e-5, "1.0E-5"),
        (0.0001, "1.0E-4"),
        (0.001, "0.001"),
        (123456789.5, "1.234567895E8"),
        (1e21, "1.0E21"),
        (100.0, "100.0"),
        (-0.0, "-0.0"),
    ],
)
def test_doubles_are_printed_as_java_prints_them(value: float, text: str) -> None:
    assert text_of(value) == text


@given(st.floats(allow_nan=False))
def test_a_printed_double_reads_back(value: float) -> None:
    text = text_of(value)
    assert text is not None
    assert parse("k", ConfigType.DOUBLE, text) == value


@given(INT64)
def test_a_printed_long_reads_back(value: int) -> None:
    assert parse("k", ConfigType.LONG, text_of(value) or "") == value


@pytest.mark.parametrize("digits", ["9" * 5000, "-" + "9" * 5000])
def test_a_number_longer_than_python_reads_is_none(digits: str) -> None:
    for config_type in (ConfigType.SHORT, ConfigType.INT, ConfigType.LONG):
        with pytest.raises(ConfigError, match="Not a number of type"):
            parse("k", config_type, digits)


@given(st.text())
def test_any_text_is_a_value_or_a_config_error(text: str) -> None:
    for config_type in ConfigType:
        with suppress(ConfigError):
            parse("k", config_type, text)
