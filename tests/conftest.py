"""For all tests. None of them is about time: on a busy machine they take longer, and pass."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings

settings.register_profile("kbroker", deadline=None)
settings.load_profile("kbroker")


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """What a shell starts in the background ignores SIGINT, and all that it starts does too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
