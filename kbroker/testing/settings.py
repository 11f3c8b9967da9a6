"""Turns what a test asks for into the settings of its broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.commands.run import DEFAULTS
from kbroker.commands.shared.local import broker_settings, listener

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kbroker.node.settings import BrokerSettings


def settings_of(topics: Sequence[str], settings: Mapping[str, str]) -> BrokerSettings:
    """UserError for what cannot be."""
    keys = {**DEFAULTS, **settings, "listeners": listener("127.0.0.1", 0)}
    return broker_settings(keys, None, topics)
