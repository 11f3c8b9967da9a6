"""Where two answers differ, field by field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .tree import Tree

ABSENT = "(absent)"
UNHEARD = "(not answered)"  # the path of a step that neither side answered


@dataclass(frozen=True)
class Difference:
    """One field of one step. `path` is empty where the answers are of different kinds, and UNHEARD
    where there are none.
    """

    scenario: str
    step: str
    api: str
    version: int
    path: str
    left: Tree
    right: Tree


def unequal(left: Tree, right: Tree, path: str = "") -> Iterator[tuple[str, Tree, Tree]]:
    """(path, left, right) of each field that differs."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in [*left, *(key for key in right if key not in left)]:
            below = f"{path}.{key}" if path else str(key)
            yield from unequal(left.get(key, ABSENT), right.get(key, ABSENT), below)
    elif isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            yield path, left, right
            return
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from unequal(one, other, f"{path}[{index}]")
    elif left != right or type(left) is not type(right):
        yield path, left, right
