"""Variable-length integers: 7 bits a byte, low bits first, as in Kafka's ByteUtils."""

from __future__ import annotations

from typing import Final

from .errors import ProtocolError

Buffer = bytes | bytearray | memoryview

# The encoding of each number below 128, the common case: indexing beats a call.
ONE_BYTE: Final = tuple(bytes((value,)) for value in range(128))


def encode_unsigned(value: int) -> bytes:
    """`value` must be in 0..2**32-1; up to 5 bytes."""
    if value < 128:
        return ONE_BYTE[value]
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def decode_unsigned(buffer: Buffer, position: int) -> tuple[int, int]:
    """(value, next position). ProtocolError if it is cut short or longer than 32 bits."""
    try:
        value = buffer[position]
        if value < 128:
            return value, position + 1
        return continue_unsigned(buffer, position + 1, value)
    except IndexError:
        raise ProtocolError(f"varint at {position} is cut short") from None


def continue_unsigned(buffer: Buffer, position: int, first: int) -> tuple[int, int]:
    """The rest of a varint whose first byte, over 127, stood before `position`.

    IndexError where the buffer ends. Bits above the 32nd are an error, where Kafka loses them.
    """
    value = first & 127
    for shift in (7, 14, 21, 28):
        byte = buffer[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value > 0xFFFFFFFF:
                break
            return value, position
    raise ProtocolError(f"varint before {position} is longer than 32 bits")


def encode_signed(value: int) -> bytes:
    """Zigzag, for -2**31..2**31-1."""
    return encode_unsigned((value << 1 ^ value >> 31) & 0xFFFFFFFF)


def decode_signed(buffer: Buffer, position: int) -> tuple[int, int]:
    """(value, next position) of a zigzag varint. ProtocolError as `decode_unsigned`."""
    value, position = decode_unsigned(buffer, position)
    return value >> 1 ^ -(value & 1), position
