"""How much of one message is decoded at most. Only some releases of Kafka have limits."""

from __future__ import annotations

from typing import Final, NamedTuple


class Limits(NamedTuple):
    """None: only what the bytes themselves allow."""

    elements_max: int | None = None  # of one array
    tagged_fields_max: int | None = None  # of one section, known or not; more than 127


NO_LIMITS: Final = Limits()
