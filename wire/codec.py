"""Converts bytes to messages and back, with functions that are made for one (class, version).

    request = decode(ProduceRequest, 9, view)      bad bytes: ProtocolError, and nothing else
    chunks = encode_chunks(response, 9)            records stay separate chunks

The functions are made on first use. A connection asks for `decoder` and `chunk_encoder` once and
keeps them.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .errors import EncodeError, ProtocolError
from .limits import NO_LIMITS
from .message import Message
from .schema import check_version

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .limits import Limits
    from .message import Blob
    from .varint import Buffer

M = TypeVar("M", bound=Message)


def decode(cls: type[M], version: int, buffer: Buffer, position: int = 0) -> M:
    """A message that fills the buffer from `position` to its end.

    Records are memoryviews of the buffer, all else is copied. ProtocolError for malformed bytes,
    ValueError for a version the class does not have.
    """
    return decoder(cls, version)(buffer, position)


def encode(message: Message, version: int) -> bytes:
    """EncodeError for what the version cannot say; records must be bytes-like."""
    return b"".join(cast("list[bytes]", chunk_encoder(type(message), version)(message)))


def encode_chunks(message: Message, version: int) -> list[bytes | Blob]:
    """The pieces that follow each other on the wire. The first is bytes; records are passed on."""
    return chunk_encoder(type(message), version)(message)


def decoder(
    cls: type[M], version: int, exact: bool = True, limits: Limits = NO_LIMITS
) -> Callable[[Buffer, int], M]:
    """`decode` for one class and version, within `limits`.

    Not `exact`: what follows the message is left alone.
    """
    made: Callable[[Buffer, int], M] = _decoder(cast("Hashable", cls), version, exact, limits)
    return made


def chunk_encoder(cls: type[M], version: int) -> Callable[[M], list[bytes | Blob]]:
    """`encode_chunks` for one class and version."""
    made: Callable[[M], list[bytes | Blob]] = _chunk_encoder(cast("Hashable", cls), version)
    return made


@cache
def _decoder(cls: type[Message], version: int, exact: bool, limits: Limits) -> Any:
    from .compile_decoder import decoder_source, has_records

    check_version(cls, version)
    source = decoder_source(cls, version, exact, limits)
    read = source.function("decode", f"<{cls.__name__} {version} decoder>")
    wanted = memoryview if has_records(cls) else bytes

    def decode(buffer: Buffer, position: int = 0) -> Message:
        try:
            message: Message = read(buffer if type(buffer) is wanted else wanted(buffer), position)
        except (struct.error, IndexError) as error:
            raise ProtocolError(f"{cls.__name__} version {version} is cut short") from error
        except UnicodeDecodeError as error:
            raise ProtocolError(f"{cls.__name__} version {version}: {error}") from error
        return message

    return decode


@cache
def _chunk_encoder(cls: type[Message], version: int) -> Any:
    from .compile_encoder import encoder_source

    check_version(cls, version)
    write = encoder_source(cls, version).function("encode", f"<{cls.__name__} {version} encoder>")

    def encode_chunks(message: Message) -> list[bytes | Blob]:
        try:
            chunks: list[bytes | Blob] = write(message)
        except (struct.error, UnicodeEncodeError, TypeError, AttributeError) as error:
            raise EncodeError(f"{cls.__name__} version {version}: {error}") from error
        return chunks

    return encode_chunks
