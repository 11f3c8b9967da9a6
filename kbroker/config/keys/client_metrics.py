"""The keys of a client metrics subscription."""

from __future__ import annotations

from kbroker.config.key import INT, LIST, Key, Keyed, Strings
from kbroker.config.validators import list_of


class ClientMetricsKeys(Keyed):
    """The keys of a client metrics subscription."""

    interval_ms = Key("interval.ms", INT, 300_000)
    match = Key[Strings]("match", LIST, (), list_of(empty=True))
    metrics = Key[Strings]("metrics", LIST, (), list_of(empty=True))
