"""Kafka's variable-length integers inside records: zigzag, seven bits per byte, low bits first.

An int32 takes at most five bytes, an int64 at most ten. Bits of the last byte beyond 32 or 64 are
ignored, as in Kafka (ByteUtils).
"""

from __future__ import annotations

VARINT_BYTES_MAX = 5
VARLONG_BYTES_MAX = 10
_INT32_BITS = (1 << 32) - 1
_INT64_BITS = (1 << 64) - 1


def append_varint(out: bytearray, value: int) -> None:
    """Append `value` (int32 or int64) as a zigzag varint."""
    value = value << 1 if value >= 0 else (-value << 1) - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def varint_size(value: int) -> int:
    """Bytes that `value` takes as a zigzag varint."""
    value = value << 1 if value >= 0 else (-value << 1) - 1
    return (value.bit_length() + 6) // 7 or 1


def read_varint(
    data: bytes | memoryview, position: int, bytes_max: int = VARINT_BYTES_MAX
) -> tuple[int, int]:
    """The zigzag varint at `position`, and the position after it.

    IndexError where the data ends inside it; ValueError where it is longer than `bytes_max`.
    """
    byte = data[position]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), position + 1
    value = byte & 0x7F
    byte = data[position + 1]
    if byte < 0x80:
        value |= byte << 7
        return (value >> 1) ^ -(value & 1), position + 2
    value |= (byte & 0x7F) << 7
    shift = 14
    for at in range(position + 2, position + bytes_max):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            value &= _INT32_BITS if bytes_max == VARINT_BYTES_MAX else _INT64_BITS
            return (value >> 1) ^ -(value & 1), at + 1
        shift += 7
    raise ValueError(f"varint longer than {bytes_max} bytes")
