"""`max.connections.per.ip.overrides`: how many connections single hosts may have.

A host is an address or a name. Looking up a name can take long, so it happens in a thread. A new
limit for an address applies at once; one for a name applies when its addresses are known, and until
then the limits of its former addresses stay.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

import trio

from kbroker.config.connections import host_limits

from .transport import plain_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = logging.getLogger("kbroker.server")


class HostOverrides:
    """One broker's. `run` looks names up."""

    def __init__(self, look_up: Callable[[str], Iterable[str]]) -> None:
        """`look_up`: the addresses of a host; OSError if it has none. It may block."""
        self._look_up = look_up
        self._text = ""
        self._limits: dict[str, int] = {}  # by host, as it is written
        self._found: dict[str, tuple[str, ...]] = {}  # by name
        self._wanted: dict[str, None] = {}  # names to look up
        self._by_address: dict[str, int] = {}
        self._changed = trio.Event()

    def get(self, address: str, default: int) -> int:
        """The most connections from there."""
        return self._by_address.get(address, default)

    def set(self, text: str) -> None:
        """The key's value. All its names are looked up again, for they may have moved."""
        if text == self._text:
            return
        self._text = text
        self._limits = host_limits(text)
        self._wanted = {host: None for host in self._limits if _address(host) is None}
        self._found = {host: self._found[host] for host in self._wanted if host in self._found}
        self._combine()
        self._changed.set()

    async def settle(self) -> None:
        """Returns when every name of the newest value has been looked up."""
        while self._wanted:
            wanted = self._wanted
            host = next(iter(wanted))
            try:
                found = await trio.to_thread.run_sync(self._look_up, host, abandon_on_cancel=True)
            except OSError as error:
                log.warning(
                    "cannot resolve a host of max.connections.per.ip.overrides: %s: %s", host, error
                )
            else:
                self._found[host] = tuple(found)
                self._combine()
            del wanted[host]  # of the value of then: a newer one has its names looked up once more

    async def run(self) -> None:
        """Look up what changes bring, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            await self.settle()

    def _combine(self) -> None:
        """Of several that name one address the last counts."""
        self._by_address = {
            address: most
            for host, most in self._limits.items()
            for address in (_address(host) or host, *self._found.get(host, ()))
        }


def _address(host: str) -> str | None:
    """The host as peers are called, if it is an address; None: it is a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return plain_address(socket.inet_ntop(family, socket.inet_pton(family, host)))
        except OSError:
            continue
    return None
