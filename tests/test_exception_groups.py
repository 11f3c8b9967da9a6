"""What Python before 3.11.4 does with `except*`: whatever is raised in one comes out in a group."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("kbroker", "wire", "storage", "controller")
LOGGING = {"debug", "info", "warning", "error", "exception"}


def handlers(text: str) -> list[ast.ExceptHandler]:
    tries = [each for each in ast.walk(ast.parse(text)) if isinstance(each, ast.TryStar)]
    return [handler for each in tries for handler in each.handlers]


def what_may_raise(handler: ast.ExceptHandler) -> list[str]:
    """`raise`, `assert`, and calls of anything but a logger."""
    found = []
    for node in (inner for statement in handler.body for inner in ast.walk(statement)):
        is_call = isinstance(node, ast.Call) and not (
            isinstance(node.func, ast.Attribute) and node.func.attr in LOGGING
        )
        if is_call or isinstance(node, ast.Raise | ast.Assert | ast.Await):
            found.append(ast.unparse(node))
    return found


def test_nothing_is_raised_in_an_except_star() -> None:
    sources = {
        path.relative_to(ROOT): path.read_text()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }
    seen = 0
    for path, text in sources.items():
        for handler in handlers(text):
            seen += 1
            assert not what_may_raise(handler), f"{path}:{handler.lineno}"
    assert seen, "no except* was found: is the search still right?"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("pass", []),
        ("log.info('closing %s', group)", []),
        ("raise", ["raise"]),
        ("raise ValueError(str(group)) from None", ["raise ValueError(str(group)) from None"]),
        ("if group:\n        fail(group)", ["fail(group)"]),
        ("assert group", ["assert group"]),
    ],
)
def test_what_may_raise_is_found(body: str, found: list[str]) -> None:
    (handler,) = handlers(f"try:\n    work()\nexcept* OSError as group:\n    {body}\n")
    assert what_may_raise(handler)[: len(found)] == found
    assert bool(what_may_raise(handler)) is bool(found)
