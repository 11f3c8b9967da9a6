"""The response that refuses a whole request (Kafka's AbstractRequest.getErrorResponse).

Dispatch sends it for an error that a handler, or a hook of `Broker.intercept`, raises. The function
that makes it is in the API's row. It is the `refuse` of the handler's module if the response has an
error code for each part of the request, and else the `refuse` of this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.api_keys import API_TABLE

if TYPE_CHECKING:
    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.message import Message


def refuse(request: Message, version: int, code: ErrorCode, message: str | None) -> Message:
    """The response to `request` with the code, and the message where the response has one."""
    assert request.API_KEY is not None
    response = API_TABLE[request.API_KEY].response()
    response.error_code = code  # type: ignore[attr-defined]
    if message is not None and "error_message" in response.__slots__:
        response.error_message = message  # type: ignore[attr-defined]
    return response
