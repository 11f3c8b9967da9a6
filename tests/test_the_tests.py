"""What no test does: swallow its own checks, or borrow from another test."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
FILES = [path for folder in ("tests", "compat") for path in sorted((ROOT / folder).rglob("*.py"))]
# What takes a check that failed along with what it is meant for.
BROAD = {"AssertionError", "Exception", "BaseException", "ExceptionGroup", "BaseExceptionGroup"}


def names_in(node: ast.expr | None) -> set[str]:
    """Of the exceptions that a handler names; a bare one takes all."""
    if node is None:
        return {"BaseException"}
    return {ast.unparse(each).rpartition(".")[2] for each in getattr(node, "elts", [node])}


def is_broad(node: ast.With | ast.AsyncWith) -> bool:
    """Of `suppress(...)` and `pytest.raises(...)`."""
    for item in node.items:
        call = item.context_expr
        if isinstance(call, ast.Call):
            name = ast.unparse(call.func).rpartition(".")[2]
            if name in ("suppress", "raises") and any(names_in(a) & BROAD for a in call.args):
                return True
    return False


def swallows(node: ast.AST) -> bool:
    if isinstance(node, (ast.Try, ast.TryStar)):
        return any(
            names_in(handler.type) & BROAD
            and not any(isinstance(each, ast.Raise) for each in handler.body)
            for handler in node.handlers
        )
    return isinstance(node, (ast.With, ast.AsyncWith)) and is_broad(node)


def swallowed(tree: ast.Module) -> Iterator[int]:
    """The lines of checks within what takes their failure."""
    for node in ast.walk(tree):
        if not swallows(node):
            continue
        for statement in node.body:  # type: ignore[attr-defined]
            for each in ast.walk(statement):
                if isinstance(each, ast.Assert):
                    yield each.lineno


def borrowed(tree: ast.Module) -> Iterator[str]:
    """The modules of tests that are imported."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name for name in names if name.startswith("test_") or ".test_" in name)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("try:\n    assert x\nexcept Exception:\n    pass\n", [2]),
        ("try:\n    assert x\nexcept:\n    pass\n", [2]),
        ("try:\n    assert x\nexcept* (OSError, AssertionError):\n    if y:\n        raise\n", [2]),
        ("try:\n    assert x\nexcept Exception:\n    raise\n", []),
        ("try:\n    assert x\nexcept OSError:\n    pass\n", []),
        ("try:\n    f()\nexcept Exception:\n    assert x\n", []),
        ("with suppress(AssertionError):\n    for y in x:\n        assert y\n", [3]),
        ("with pytest.raises(Exception, match='a'):\n    assert x\n", [2]),
        ("with contextlib.suppress(OSError):\n    assert x\n", []),
    ],
)
def test_a_check_that_is_swallowed_is_found(source: str, lines: list[int]) -> None:
    assert list(swallowed(ast.parse(source))) == lines


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from .test_x import y", ["test_x"]),
        ("from tests.a.test_x import y", ["tests.a.test_x"]),
        ("from . import test_x", ["test_x"]),
        ("import tests.test_x", ["tests.test_x"]),
        ("from kbroker.testing import broker", []),
    ],
)
def test_what_is_borrowed_from_a_test_is_found(source: str, found: list[str]) -> None:
    assert list(borrowed(ast.parse(source))) == found


def test_no_test_does_either() -> None:
    found = {}
    for path in FILES:
        tree = ast.parse(path.read_text())
        found[str(path.relative_to(ROOT))] = [*swallowed(tree), *borrowed(tree)]
    assert "tests/test_the_tests.py" in found
    assert {path: what for path, what in found.items() if what} == {}
