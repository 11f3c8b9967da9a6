"""The format of java.util.Properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.config.errors import ConfigError
from kbroker.config.properties import load_properties, parse_properties

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b", {"a": "b"}),
        ("a:b", {"a": "b"}),
        ("a b", {"a": "b"}),
        ("a = b = c", {"a": "b = c"}),
        ("  a\t:\t b  ", {"a": "b  "}),
        ("a", {"a": ""}),
        ("=b", {"": "b"}),
        ("# comment\n! comment\n\n a=1", {"a": "1"}),
        ("a=1\\\n   2", {"a": "12"}),
        ("a=1\\\\\nb=2", {"a": "1\\", "b": "2"}),
        ("a=1\\\n# 2", {"a": "1# 2"}),
        ("a\\=b=c", {"a=b": "c"}),
        ("a\\ b=c", {"a b": "c"}),
        ("a=\\u00e9\\t\\q", {"a": "é\tq"}),
        ("a=\\ud83d\\ude00", {"a": "😀"}),
        ("a=1\na=2", {"a": "2"}),
        ("a=1\r\nb=2\rc=3", {"a": "1", "b": "2", "c": "3"}),
        ("a=1\\", {"a": "1"}),
        ("\\\n\\\na=1", {"a": "1"}),
        ("truth = Beauty", {"truth": "Beauty"}),
    ],
)
def test_lines_are_read_as_java_reads_them(text: str, expected: dict[str, str]) -> None:
    assert parse_properties(text) == expected


def test_a_malformed_escape_is_named() -> None:
    with pytest.raises(ConfigError, match=r"Malformed \\uxxxx escape"):
        parse_properties("a=\\u12g4")


def escaped(text: str, *, key: bool) -> str:
    """As Properties.store writes it."""
    out = []
    for position, character in enumerate(text):
        if character in "=:#!\\" or (character == " " and (key or position == 0)):
            out.append("\\" + character)
        elif character in "\t\n\r\f":
            out.append("\\" + {"\t": "t", "\n": "n", "\r": "r", "\f": "f"}[character])
        elif not " " <= character <= "~":
            units = character.encode("utf-16-be")
            out += [f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2)]
        else:
            out.append(character)
    return "".join(out)


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_what_java_stores_is_what_we_read(properties: dict[str, str]) -> None:
    text = "\n".join(
        f"{escaped(key, key=True)}={escaped(value, key=False)}" for key, value in properties.items()
    )
    assert parse_properties(text) == properties


@given(st.text(alphabet="ab=:# !\\\n\r\tu0"))
def test_any_text_is_properties_or_a_config_error(text: str) -> None:
    try:
        parse_properties(text)
    except ConfigError:
        assert "\\u" in text


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Cannot read .*nope: No such file or directory\."):
        load_properties(str(tmp_path / "nope"))


def test_a_file_is_read_as_latin_1_whatever_its_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "server.properties"
    file.write_bytes(b"# caf\xe9\r\na=\xe9\\u20ac\r\nb=1,\\\r\n  2\rc=3")
    assert load_properties(str(file)) == {"a": "\xe9\u20ac", "b": "1,2", "c": "3"}
