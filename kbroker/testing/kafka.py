"""The object that a test gets for its broker."""

from __future__ import annotations

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


class Kafka:
    """A running broker, as a test sees it."""

    __slots__ = ("bootstrap", "host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.bootstrap = f"{host}:{port}"  # what clients call bootstrap.servers

    def __repr__(self) -> str:
        return f"Kafka({self.bootstrap!r})"


class BrokerFailed(Exception):
    """The broker did not start, or failed while it ran; the cause or the note says why."""


def cannot_start(error: BaseException | None) -> str:
    return f"The broker cannot start: {error}"


def has_failed(error: BaseException) -> str:
    return f"The broker failed: {error}"
