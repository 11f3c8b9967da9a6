"""What the client raises: always a sentence that a person can act on."""

from __future__ import annotations

from kbroker.wire.errors import ErrorCode


class ClientError(Exception):
    """The operation failed for good; `str(error)` says why in one sentence."""


class Disconnected(ClientError):
    """The connection broke, or cannot be had: worth another try, perhaps with another broker."""


class BrokerError(ClientError):
    """A broker answered with an error code."""

    def __init__(self, what: str, code: ErrorCode, message: str | None = None) -> None:
        reason = (message or code.message or code.name).rstrip(".")
        super().__init__(f"{what}: {reason} ({code.name}).")
        self.code = code


def check(code: int, what: str, message: str | None = None) -> None:
    """BrokerError unless the code is 0."""
    if code != ErrorCode.NONE:
        raise BrokerError(what, error_code(code), message)


def error_code(code: int) -> ErrorCode:
    """A code that this version does not know counts as UNKNOWN_SERVER_ERROR, as in Kafka."""
    try:
        return ErrorCode(code)
    except ValueError:
        return ErrorCode.UNKNOWN_SERVER_ERROR


def is_retriable(error: ClientError) -> bool:
    return isinstance(error, Disconnected) or (
        isinstance(error, BrokerError) and error.code.retriable
    )


def is_loading(error: ClientError) -> bool:
    """Whether a coordinator is there and loads its groups first."""
    return isinstance(error, BrokerError) and error.code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
