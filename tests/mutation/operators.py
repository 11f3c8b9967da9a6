"""Which edits are made: Cosmic Ray's operators, and one of ours that takes a statement away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import parso
from cosmic_ray.plugins import get_operator

if TYPE_CHECKING:
    from collections.abc import Iterator

Node: TypeAlias = Any  # parso does not say which of its nodes have children, names, values
Position = tuple[tuple[int, int], tuple[int, int]]

_ORDERS = ("Eq", "NotEq", "Lt", "LtE", "Gt", "GtE")
# Of the many replacements of an arithmetic operator, one each: most others end in a TypeError.
_ARITHMETIC = (
    ("Add", "Sub"),
    ("Sub", "Add"),
    ("Mul", "FloorDiv"),
    ("Div", "Mul"),
    ("FloorDiv", "Mul"),
    ("Mod", "Mul"),
    ("LShift", "RShift"),
    ("RShift", "LShift"),
    ("BitAnd", "BitOr"),
    ("BitOr", "BitAnd"),
    ("BitXor", "BitAnd"),
)
_COSMIC_RAY = (
    *(f"ReplaceComparisonOperator_{a}_{b}" for a in _ORDERS for b in _ORDERS if a != b),
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_IsNot_Is",
    *(f"ReplaceBinaryOperator_{a}_{b}" for a, b in _ARITHMETIC),
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_USub_UAdd",
    "ReplaceUnaryOperator_Invert_UAdd",
    "AddNot",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ExceptionReplacer",
    "NumberReplacer",
    "ZeroIterationForLoop",
)


class Operator(Protocol):
    """What Cosmic Ray asks of an operator."""

    def mutation_positions(self, node: Node) -> Iterator[Position]:
        """The places at which the operator can change `node`."""
        ...

    def mutate(self, node: Node, index: int) -> Node:
        """`node`, changed at the place with that number."""
        ...


class DeleteStatement:
    """Puts `pass` in the place of a call whose value nobody uses, or of an assignment to an
    attribute or an item. These are the effects of a state machine: a timer that is not cancelled,
    a failure that is not recorded.
    """

    def mutation_positions(self, node: Node) -> Iterator[Position]:
        if node.type == "simple_stmt" and _is_effect(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Node, index: int) -> Node:
        statement = node.children[0]
        prefix = statement.get_first_leaf().prefix
        node.children[0] = parso.parse(f"{prefix}pass")
        return node


def _is_effect(statement: Node) -> bool:
    if statement.type == "atom_expr":
        last = statement.children[-1]  # `f(x)`, or a name: `await stopped`
        return last.type == "trailer" and bool(last.children[0].value == "(")
    if statement.type == "expr_stmt":
        target = statement.children[0]
        return bool(target.type == "atom_expr" and statement.children[1].type != "annassign")
    return False


def all_operators() -> dict[str, Operator]:
    """Every operator by its name, in a fixed order."""
    operators: dict[str, Operator] = {name: get_operator(f"core/{name}")() for name in _COSMIC_RAY}
    operators["DeleteStatement"] = DeleteStatement()
    return operators
