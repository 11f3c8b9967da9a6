"""Kafka's UUIDs: 16 bytes on the wire, 22 characters of unpadded base64url in text."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

METADATA_TOPIC_ID: Final = bytes(15) + b"\x01"  # `__cluster_metadata`, Kafka's Uuid.ONE_UUID

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = str.maketrans("-_", "+/", "+/")


def uuid_text(uuid: bytes) -> str:
    """As Kafka's Uuid.toString. ValueError unless there are 16 bytes."""
    if len(uuid) != 16:
        raise ValueError(f"a UUID has 16 bytes, not {len(uuid)}")
    return b2a_base64(uuid, newline=False).translate(_TO_URL)[:22].decode()


def parse_uuid(text: str) -> bytes:
    """The 16 bytes of a text, as Kafka's Uuid.fromString. ValueError if it is not one.

    Padding may be there, and the last character's four spare bits may be set: cluster ids in the
    wild have them.
    """
    try:
        uuid = a2b_base64(text.removesuffix("==").translate(_FROM_URL) + "==", strict_mode=True)
    except ValueError as error:
        raise ValueError(f"not a UUID: {text!r}") from error
    if len(uuid) != 16:
        raise ValueError(f"not a UUID: {text!r}")
    return uuid


def random_uuid(rng: random.Random) -> bytes:
    """A version 4 UUID that is not reserved and whose text does not start with `-`.

    Kafka's Uuid.randomUuid skips those too: tools would take such a text for an option.
    """
    while True:
        value = rng.getrandbits(128)
        value = value & ~(0xF << 76) | 0x4 << 76
        value = value & ~(0x3 << 62) | 0x2 << 62
        uuid = value.to_bytes(16, "big")
        if not uuid_text(uuid).startswith("-"):
            return uuid
