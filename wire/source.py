"""A function's source text while it is generated, and the names that it may use."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Source:
    """Lines with an indent, fresh variable names, and the globals the text refers to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, object] = {}
        self.indent = 0
        self._fresh = 0

    def line(self, text: str) -> None:
        self.lines.append("    " * self.indent + text)

    @contextmanager
    def block(self) -> Iterator[None]:
        self.indent += 1
        yield
        self.indent -= 1

    def fresh(self, letter: str) -> str:
        self._fresh += 1
        return f"{letter}{self._fresh}"

    def name(self, name: str, value: object) -> str:
        known = self.names.setdefault(name, value)
        assert known is value, name
        return name

    def struct(self, method: str, form: str) -> str:
        """The name of a Struct's bound `pack` or `unpack_from`."""
        name = f"{method}_{form[1:].replace('?', 'bool')}"
        if name not in self.names:
            self.names[name] = getattr(struct.Struct(form), method)
        return name

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def function(self, name: str, filename: str) -> Any:
        """Compiles the text and returns the function it defines."""
        scope = dict(self.names)
        exec(compile(self.text, filename, "exec"), scope)
        return scope[name]
