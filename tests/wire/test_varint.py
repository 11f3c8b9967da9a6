"""Varints against the definition, at every length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.wire import varint
from kbroker.wire.errors import ProtocolError


@given(st.integers(0, 2**32 - 1))
def test_an_unsigned_number_comes_back(value: int) -> None:
    encoded = varint.encode_unsigned(value)
    assert len(encoded) == max(1, -(-value.bit_length() // 7))
    assert varint.decode_unsigned(b"." + encoded + b".", 1) == (value, 1 + len(encoded))


@given(st.integers(-(2**31), 2**31 - 1))
def test_a_signed_number_comes_back(value: int) -> None:
    encoded = varint.encode_signed(value)
    assert varint.decode_signed(encoded, 0) == (value, len(encoded))


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (16383, "ff7f"),
        (16384, "808001"),
        (2**32 - 1, "ffffffff0f"),
    ],
)
def test_the_bytes_are_kafkas(value: int, encoded: str) -> None:
    assert varint.encode_unsigned(value).hex() == encoded


@pytest.mark.parametrize(
    ("value", "encoded"), [(0, "00"), (-1, "01"), (1, "02"), (-64, "7f"), (64, "8001")]
)
def test_zigzag_keeps_small_numbers_short(value: int, encoded: str) -> None:
    assert varint.encode_signed(value).hex() == encoded


@pytest.mark.parametrize(
    "encoded", ["", "80", "ffff", "ffffffff", "ffffffff10", "8080808080", "808080808001"]
)
def test_what_is_cut_short_or_too_long_is_malformed(encoded: str) -> None:
    with pytest.raises(ProtocolError):
        varint.decode_unsigned(bytes.fromhex(encoded), 0)


def test_a_longer_way_to_write_a_number_is_read() -> None:
    """As Kafka does."""
    assert varint.decode_unsigned(b"\x81\x00", 0) == (1, 2)
