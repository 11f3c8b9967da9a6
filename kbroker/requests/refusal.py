"""The answer that refuses a whole request: Kafka's AbstractRequest.getErrorResponse.

Dispatch gives it for what a handler did not foresee, and for the errors that a handler or an
intercepting hook raises. It gets from the API's row the function that makes it: `refuse` of the
handler's module where the response has an error for each thing that was asked for, and the
`refuse` of this module where the response has one error code for all.
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
