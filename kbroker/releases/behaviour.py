"""Behaviour that differs between releases, and that no class of Kafka states as data.

Each difference has a name. Code asks for it by this name and never compares releases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Behaviour(NamedTuple):
    """What one release does; the defaults are the newest one's."""

    shows_bounds_of_group_keys: bool = True
    """A group's key out of bounds is refused with the numbers, not with the broker's keys."""

    refuses_repeated_entries: bool = True
    """A broker's list cannot be altered to one with an entry twice; otherwise it counts once."""


BEHAVIOUR: Final[Mapping[str, Behaviour]] = {
    "4.3": Behaviour(shows_bounds_of_group_keys=False, refuses_repeated_entries=False),
    "4.4": Behaviour(),
}
