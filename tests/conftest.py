"""For all tests. None of them is about time: on a busy machine they take longer, and pass."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("kbroker", deadline=None)
settings.load_profile("kbroker")
