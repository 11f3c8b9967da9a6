"""Java's .properties format, as java.util.Properties.load reads it.

A comment starts with # or !. A key ends at the first unescaped =, : or blank. A backslash at the
end of a line continues it. \\t \\n \\r \\f \\uXXXX are escapes; any other backslash is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLANKS = " \t\f"
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def parse_properties(text: str) -> dict[str, str]:
    """Keys and values; the last of a repeated key counts; ConfigError for a bad escape."""
    return dict(_split(line) for line in _logical_lines(text))


def load_properties(path: str) -> dict[str, str]:
    """The file's keys and values; ConfigError says why it cannot be read.

    It is read as ISO 8859-1, as Kafka does: what else there is stands in \\uXXXX escapes.
    """
    try:
        with open(path, encoding="iso-8859-1", newline="") as file:
            return parse_properties(file.read())
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from error


def _logical_lines(text: str) -> Iterator[str]:
    """Lines with their continuations joined; no blank ones, no comments."""
    joined = ""
    for natural in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        line = natural.lstrip(_BLANKS)
        # A continuation of nothing is a line of its own.
        if not joined and (not line or line[0] in "#!"):
            continue
        backslashes = len(line) - len(line.rstrip("\\"))
        continues = backslashes % 2 == 1
        joined += line[:-1] if continues else line
        if not continues:
            if joined:
                yield joined
            joined = ""
    if joined:
        yield joined


def _split(line: str) -> tuple[str, str]:
    end = 0
    while end < len(line) and line[end] not in "=:" and line[end] not in _BLANKS:
        end += 2 if line[end] == "\\" else 1
    value = line[end:].lstrip(_BLANKS)
    if value[:1] in ("=", ":"):
        value = value[1:].lstrip(_BLANKS)
    return _unescape(line[:end]), _unescape(value)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    out: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character != "\\" or position == len(text):
            # A lone backslash at the end of the text escapes nothing and is dropped.
            out.append(character if character != "\\" else "")
            continue
        character = text[position]
        position += 1
        if character == "u":
            digits = text[position : position + 4]
            if len(digits) != 4 or not all(d in "0123456789abcdefABCDEF" for d in digits):
                raise ConfigError(f"Malformed \\uxxxx escape in the properties: \\u{digits}.")
            out.append(chr(int(digits, 16)))
            position += 4
        else:
            out.append(_ESCAPES.get(character, character))
    # A pair of \\u escapes may be the two halves of one character.
    return "".join(out).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
