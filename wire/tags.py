"""The tagged section of flexible versions (KIP-482): a count, then tag, size and value each."""

from __future__ import annotations

from . import varint
from .errors import ProtocolError


def tag_at(buffer: varint.Buffer, position: int, last: int, end: int) -> tuple[int, int, int]:
    """(tag, where its value starts, where it ends); tags must rise."""
    tag, position = varint.decode_unsigned(buffer, position)
    size, position = varint.decode_unsigned(buffer, position)
    if tag <= last:
        raise ProtocolError(f"tag {tag} follows tag {last}")
    if position + size > end:
        raise ProtocolError(f"tag {tag} has {size} bytes, {end - position} are left")
    return tag, position, position + size


def skip_tags(buffer: varint.Buffer, position: int, count: int, end: int) -> int:
    """The position after `count` tags, none of which is known. Each takes two bytes or more."""
    tag = -1
    for _ in range(count):
        tag, _, position = tag_at(buffer, position, tag, end)
    return position
