"""Why a broker cannot start or go on, as a sentence for whoever started it."""

from __future__ import annotations


class BrokerStopped(Exception):
    """The broker could not go on; the text is one sentence for whoever started it."""


class StartupError(BrokerStopped):
    """It cannot even start."""
