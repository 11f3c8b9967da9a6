"""Errors that stop a broker, each with a sentence for the person who started it."""

from __future__ import annotations


class BrokerStopped(Exception):
    """The broker could not go on; the text is one sentence for whoever started it."""


class StartupError(BrokerStopped):
    """It cannot even start."""
