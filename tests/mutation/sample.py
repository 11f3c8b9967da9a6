"""The mutants that are possible, and a seeded sample of them."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cosmic_ray.ast import get_ast
from cosmic_ray.mutating import mutate_code

from .operators import all_operators

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .operators import Node, Operator, Position

SCOPE = (
    "storage",
    "controller",
    "kbroker/partitions",
    "kbroker/log_dirs",
    "kbroker/node/publisher.py",
    "kbroker/coordinators",
    "kbroker/server",
    "kbroker/handlers/produce.py",
    "kbroker/handlers/fetch.py",
    "kbroker/handlers/list_offsets.py",
)
# What a log line says and when is not judged here, and neither is the text of an exception.
_LOG_LINE = re.compile(r"\s*([\w.]+\.)?_?log(ger)?\.(debug|info|warning|error|exception)\(")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One edit. `before` and `after` are the lines that it changes, without their indentation."""

    path: str  # of the module, from the top of the checkout
    line: int  # first and
    last_line: int  # last of what it changes
    where: str  # the class and function around it
    operator: str
    occurrence: int
    before: str
    after: str

    @property
    def key(self) -> str:
        """The same for the same edit, wherever in its file the function stands."""
        return f"{self.path}::{self.where}: {self.before} -> {self.after}"


def mutated(source: str, operator: str, occurrence: int) -> str:
    """`source` with that edit. Raises ValueError if there is none with that number."""
    code = mutate_code(source, all_operators()[operator], occurrence)
    if code is None:
        raise ValueError(f"{operator} has no occurrence {occurrence}")
    return str(code)


def modules(top: Path, scope: Iterable[str]) -> list[Path]:
    """The modules in scope, sorted. Raises FileNotFoundError for a path that is not there."""
    found: set[Path] = set()
    for name in scope:
        path = top / name
        if not path.exists():
            raise FileNotFoundError(f"{name} is not in {top}")
        found.update(path.rglob("*.py") if path.is_dir() else [path])
    return sorted(found)


def sample(top: Path, scope: Iterable[str], count: int, seed: int) -> list[Mutant]:
    """`count` mutants, each at a place of its own, chosen from all places with equal chances.

    A place with many possible edits counts once, or comparisons would crowd out all else.
    """
    places: dict[tuple[Path, Position], list[tuple[str, int, str]]] = defaultdict(list)
    for path in modules(top, scope):
        for position, operator, occurrence, where in _edits(path.read_text()):
            places[path, position].append((operator, occurrence, where))
    dice = random.Random(seed)
    shuffled = dice.sample(sorted(places), len(places))
    mutants: list[Mutant] = []
    for path, position in shuffled:
        if len(mutants) == count:
            break
        operator, occurrence, where = dice.choice(places[path, position])
        if _is_python(mutated(path.read_text(), operator, occurrence)):
            mutants.append(_mutant(top, path, position, operator, occurrence, where))
    return mutants


def _is_python(source: str) -> bool:
    """The bare `*` of a signature is no multiplication, and cannot become a division."""
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def _mutant(
    top: Path, path: Path, position: Position, operator: str, occurrence: int, where: str
) -> Mutant:
    source = path.read_text()
    before, after = source.splitlines(), mutated(source, operator, occurrence).splitlines()
    first = position[0][0] - 1
    behind = len(before) - position[1][0]
    return Mutant(
        path=str(path.relative_to(top)),
        line=position[0][0],
        last_line=position[1][0],
        where=where,
        operator=operator,
        occurrence=occurrence,
        before=" ".join(" ".join(before[first : len(before) - behind]).split()),
        after=" ".join(" ".join(after[first : len(after) - behind]).split()),
    )


def _edits(source: str) -> Iterator[tuple[Position, str, int, str]]:
    """(position, operator, occurrence, where) of every edit that is worth a test run."""
    operators = all_operators()
    counts = dict.fromkeys(operators, 0)
    yield from _walk(get_ast(source), operators, counts, "", False)


def _walk(
    node: Node, operators: dict[str, Operator], counts: dict[str, int], where: str, dead: bool
) -> Iterator[tuple[Position, str, int, str]]:
    if node.type in ("funcdef", "classdef"):
        where = f"{where}.{node.name.value}" if where else node.name.value
    dead = dead or _is_outside(node)
    for name, operator in operators.items():
        for position in operator.mutation_positions(node):
            if not dead:
                yield position, name, counts[name], where
            counts[name] += 1
    for child in getattr(node, "children", ()):
        yield from _walk(child, operators, counts, where, dead or _is_annotation(node, child))


def _is_outside(node: Node) -> bool:
    """Whether no edit inside changes what the program does.

    An assert states what is so; it is a test itself.
    """
    if node.type == "assert_stmt":
        return True
    if node.type == "if_stmt":
        return bool(node.children[1].get_code().strip() == "TYPE_CHECKING")
    return bool(node.type == "simple_stmt" and _LOG_LINE.match(node.get_code().lstrip()))


def _is_annotation(node: Node, child: Node) -> bool:
    """Annotations are never evaluated: every module imports them from __future__."""
    if node.type == "annassign":
        return child is node.children[1]
    if node.type == "tfpdef":
        return child is node.children[-1]
    return node.type == "funcdef" and child is node.annotation
