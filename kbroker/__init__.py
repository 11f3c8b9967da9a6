"""A Kafka broker in Python, on Trio. Only `kbroker.testing` is public; all else is internal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """`__version__`, looked up only when it is asked for, since that takes a while.

        importlib.metadata.PackageNotFoundError in a checkout that is not installed.
        """
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return version("kbroker")
