"""One API of the protocol: key, versions, and its classes, imported when first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .message import Message


class Api:
    """A row of API_TABLE. Versions are those the definitions have, not those a broker serves."""

    __slots__ = (
        "_request",
        "_response",
        "first_flexible_version",
        "key",
        "latest_version_unstable",
        "listeners",
        "max_version",
        "min_version",
        "name",
    )

    def __init__(
        self,
        key: int,
        name: str,
        min_version: int,
        max_version: int,
        first_flexible_version: int | None,
        latest_version_unstable: bool,
        listeners: tuple[str, ...],
    ) -> None:
        self.key = key
        self.name = name
        self.min_version = min_version
        self.max_version = max_version
        self.first_flexible_version = first_flexible_version
        self.latest_version_unstable = latest_version_unstable
        self.listeners = listeners
        self._request: type[Message] | None = None
        self._response: type[Message] | None = None

    def __repr__(self) -> str:
        return f"Api({self.name}, key={self.key}, {self.min_version}-{self.max_version})"

    @property
    def request(self) -> type[Message]:
        if self._request is None:
            self._request = self._load("Request")
        return self._request

    @property
    def response(self) -> type[Message]:
        if self._response is None:
            self._response = self._load("Response")
        return self._response

    @property
    def module(self) -> str:
        """The name in snake case, which names the API's modules."""
        return "".join("_" + c.lower() if c.isupper() else c for c in self.name)[1:]

    def is_flexible(self, version: int) -> bool:
        first = self.first_flexible_version
        return first is not None and version >= first

    def _load(self, suffix: str) -> type[Message]:
        module = import_module(f".messages.{self.module}", __package__)
        loaded: type[Message] = getattr(module, self.name + suffix)
        return loaded
