"""The listeners of a broker: read from its configuration, checked and bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.config import ConfigError
from kbroker.config.listeners import advertised_listeners, client_listeners
from kbroker.server.binding import ListenerSettings

from .errors import StartupError

if TYPE_CHECKING:
    from kbroker.config import BrokerConfig
    from kbroker.server.binding import BoundListeners


def listeners(config: BrokerConfig) -> list[ListenerSettings]:
    """Those that clients can use. StartupError for listeners that cannot be served."""
    try:
        advertised = advertised_listeners(config)
        return [
            ListenerSettings(
                each.name,
                each.host,
                each.port,
                (advertised[each.name].host, advertised[each.name].port)
                if each.name in advertised
                else None,
            )
            for each in client_listeners(config)
        ]
    except ConfigError as error:
        raise StartupError(str(error)) from error


def bind(bound: BoundListeners, listener: ListenerSettings) -> tuple[str, int]:
    """The host and port that it got. StartupError."""
    try:
        return bound.bind(listener)
    except OSError as error:
        raise StartupError(
            f"cannot listen on {listener.host or '*'}:{listener.port}: {error.strerror or error}."
        ) from error
