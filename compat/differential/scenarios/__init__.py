"""What is asked: a module for each family of APIs, a function for each scenario.

A scenario talks to one broker through a `Peer`, and is written once for both. What it prepares it
prepares `quietly`; everything else is a step that is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.differential.peer import Peer
    from kbroker.wire.message import Message


@dataclass(frozen=True)
class Scenario:
    """`requests` are the APIs without which it makes no sense. `in_turn`: not on both at once,
    for what a broker has only one of, should it be compared with itself. `alone`: after all others,
    for what others would see.
    """

    name: str
    requests: tuple[type[Message], ...]
    play: Callable[[Peer], None]
    in_turn: bool = False
    alone: bool = False


def scenario(
    *requests: type[Message], in_turn: bool = False, alone: bool = False
) -> Callable[[Callable[[Peer], None]], Scenario]:
    """Marks a function as a scenario that needs these APIs; its name is the module's and
    its own."""

    def made(play: Callable[[Peer], None]) -> Scenario:
        module = play.__module__.rpartition(".")[2]
        return Scenario(f"{module}.{play.__name__}", requests, play, in_turn, alone)

    return made


def all_scenarios() -> list[Scenario]:
    """Those of every module here, in the order of the modules and in theirs."""
    import pkgutil
    from importlib import import_module

    found: list[Scenario] = []
    for module in pkgutil.iter_modules(__path__):
        members = vars(import_module(f"{__name__}.{module.name}")).values()
        found += (member for member in members if isinstance(member, Scenario))
    return found
