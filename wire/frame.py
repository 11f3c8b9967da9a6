"""Request and response headers (RequestHeader v1 and v2, ResponseHeader v0 and v1).

The version of a header follows from the API and its version. Flexible versions have a tagged
section, but the response to ApiVersions has none: older clients must be able to read it (KIP-511).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from .api_keys import API_TABLE, ApiKey
from .errors import ProtocolError
from .tags import skip_tags
from .varint import continue_unsigned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .varint import Buffer

_FIRST_FLEXIBLE: Final[Mapping[int, int]] = {
    key: api.first_flexible_version
    for key, api in API_TABLE.items()
    if api.first_flexible_version is not None
}
_NEVER: Final = 1 << 16  # no API version is as high

_HEADER: Final = struct.Struct(">hhih")  # key, version, correlation id, length of the client id
_CORRELATION_ID: Final = struct.Struct(">i")

_new = object.__new__
_unpack = _HEADER.unpack_from


class RequestHeader:
    """What stands before a request's body, which starts at `body_position`."""

    __slots__ = ("api_key", "api_version", "body_position", "client_id", "correlation_id")

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body_position: int

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"RequestHeader({fields})"


def parse_request_header(view: Buffer) -> RequestHeader:
    """The header of a frame (without its size). ProtocolError if it is malformed.

    A key or version that we do not know is no error here: ApiVersions of the future has to be
    answered. Of a key that we do not know, the header is read as version 1.
    """
    try:
        api_key, api_version, correlation_id, length = _unpack(view, 0)
        header = _new(RequestHeader)
        header.api_key = api_key
        header.api_version = api_version
        header.correlation_id = correlation_id
        position = 10
        if length >= 0:
            end = position + length
            if end > len(view):
                raise ProtocolError(f"client id of {length} bytes in a frame of {len(view)}")
            # Kafka minds neither a client id that is not UTF-8 nor one of any negative length.
            header.client_id = str(view[position:end], "utf-8", "replace")
            position = end
        else:
            header.client_id = None
        if api_version >= _FIRST_FLEXIBLE.get(api_key, _NEVER):
            tags = view[position]
            position += 1
            if tags:
                position = _skip_tags(view, position, tags)
        header.body_position = position
        return header
    except (struct.error, IndexError) as error:
        raise ProtocolError(f"request header is cut short at {len(view)} bytes") from error


def request_header(
    api_key: int, api_version: int, correlation_id: int, client_id: str | None
) -> bytes:
    """The header a client sends."""
    text = None if client_id is None else client_id.encode()
    length = -1 if text is None else len(text)
    head = _HEADER.pack(api_key, api_version, correlation_id, length) + (text or b"")
    return head + b"\0" if api_version >= _FIRST_FLEXIBLE.get(api_key, _NEVER) else head


def response_header(api_key: int, api_version: int, correlation_id: int) -> bytes:
    return _CORRELATION_ID.pack(correlation_id) + response_header_suffix(api_key, api_version)


def response_header_suffix(api_key: int, api_version: int) -> bytes:
    """What follows the correlation id in a response's header."""
    if api_key == ApiKey.API_VERSIONS or api_version < _FIRST_FLEXIBLE.get(api_key, _NEVER):
        return b""
    return b"\0"


def parse_response_header(api_key: int, api_version: int, view: Buffer) -> tuple[int, int]:
    """(correlation id, where the body starts). ProtocolError if it is malformed."""
    try:
        correlation_id: int = _CORRELATION_ID.unpack_from(view, 0)[0]
        position = _CORRELATION_ID.size
        if response_header_suffix(api_key, api_version):
            tags = view[position]
            position += 1
            if tags:
                position = _skip_tags(view, position, tags)
        return correlation_id, position
    except (struct.error, IndexError) as error:
        raise ProtocolError(f"response header is cut short at {len(view)} bytes") from error


def _skip_tags(view: Buffer, position: int, first: int) -> int:
    """The position after a tagged section that is not empty; `first` is its count's first byte."""
    count = first
    if first > 127:
        count, position = continue_unsigned(view, position, first)
    return skip_tags(view, position, count, len(view))
