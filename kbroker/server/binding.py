"""The addresses of a broker, which are bound before anything else starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .transport import Listener, Network


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """One entry of `listeners`, with its `advertised.listeners` where there is one."""

    name: str
    host: str
    port: int
    advertised: tuple[str, int] | None  # None: the address that each client dialled


class BoundListeners:
    """Addresses that are bound, and that nobody can connect to until a `Server` listens on them.

    A port that is taken is known before a directory is opened.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._listeners: list[tuple[ListenerSettings, Listener]] = []

    def __iter__(self) -> Iterator[tuple[ListenerSettings, Listener]]:
        return iter(self._listeners)

    def bind(self, settings: ListenerSettings) -> tuple[str, int]:
        """Bind every address of the host; the host and port of the first of them. OSError."""
        listeners = self._network.bind(settings.host, settings.port)
        self._listeners += ((settings, listener) for listener in listeners)
        return listeners[0].address

    def close(self) -> None:
        """Give the addresses back. May be called again."""
        for _, listener in self._listeners:
            listener.close()
