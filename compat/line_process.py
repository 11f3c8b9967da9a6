"""A program that stays and answers a line with a line: Kafka's Java classes, mostly."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Self, cast

if TYPE_CHECKING:
    from types import TracebackType
    from typing import IO


class LineProcess:
    """Use as a context manager: the program ends when its input does."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=20)

    def ask_line(self, question: str) -> str:
        """The answer with its line end; empty if the program has ended."""
        stdin, stdout = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)
        stdin.write(question + "\n")
        stdin.flush()
        return stdout.readline()
