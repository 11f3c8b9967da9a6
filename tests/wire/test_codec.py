"""Every class at every version: what is encoded is decoded again, and both codecs agree."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.wire import codec, reference
from kbroker.wire.errors import ProtocolError
from kbroker.wire.schema import fields_of

from .random_messages import all_versions, random_message, random_value

if TYPE_CHECKING:
    from kbroker.wire.message import Message

EVERY_VERSION = pytest.mark.parametrize(
    ("cls", "version"),
    [pytest.param(cls, version, id=f"{cls.__name__}-{version}") for cls, version in all_versions()],
)


@EVERY_VERSION
@settings(max_examples=4, deadline=None, database=None)
@given(seed=st.integers(0, 2**32))
def test_a_message_comes_back_and_the_codecs_agree(
    cls: type[Message], version: int, seed: int
) -> None:
    message = random_message(cls, version, random.Random(seed))
    encoded = codec.encode(message, version)
    assert encoded == reference.encode(message, version)
    assert codec.decode(cls, version, encoded) == message
    assert reference.decode(cls, version, encoded) == message


@EVERY_VERSION
def test_a_message_cut_short_is_malformed(cls: type[Message], version: int) -> None:
    rng = random.Random(1)
    encoded = codec.encode(random_message(cls, version, rng), version)
    # All of a short message; of a long one the head, the tail and some places between.
    ends = range(len(encoded))
    for end in ends if len(encoded) < 60 else (*ends[:20], *rng.sample(ends, 20), *ends[-20:]):
        with pytest.raises(ProtocolError):
            codec.decode(cls, version, encoded[:end])
        with pytest.raises(ProtocolError):
            reference.decode(cls, version, encoded[:end])


@EVERY_VERSION
def test_bytes_that_follow_are_malformed(cls: type[Message], version: int) -> None:
    encoded = codec.encode(random_message(cls, version, random.Random(2)), version)
    for decode in (codec.decode, reference.decode):
        with pytest.raises(ProtocolError):
            decode(cls, version, encoded + b"\0")


@EVERY_VERSION
def test_damaged_bytes_are_malformed_or_another_message(cls: type[Message], version: int) -> None:
    """Never another exception, and both codecs say the same."""
    rng = random.Random(3)
    for _ in range(6):
        damaged = bytearray(codec.encode(random_message(cls, version, rng), version))
        for _ in range(rng.randint(1, 3)):
            if damaged:
                value = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
                damaged[rng.randrange(len(damaged))] = value
        assert _outcome(codec.decode, cls, version, bytes(damaged)) == _outcome(
            reference.decode, cls, version, bytes(damaged)
        )


@EVERY_VERSION
def test_ignorable_fields_of_other_versions_are_left_out(cls: type[Message], version: int) -> None:
    rng = random.Random(4)
    message = random_message(cls, version, rng)
    encoded = codec.encode(message, version)
    for field in fields_of(cls):
        if version not in field.versions and field.ignorable:
            setattr(message, field.name, random_value(field, field.versions.first, rng))
    assert codec.encode(message, version) == encoded == reference.encode(message, version)


def _outcome(decode: object, cls: type[Message], version: int, data: bytes) -> object:
    assert callable(decode)
    try:
        message = decode(cls, version, data)
    except ProtocolError:
        return ProtocolError
    # Encoded again, since a damaged float may be NaN, which equals nothing.
    return reference.encode(message, version)
