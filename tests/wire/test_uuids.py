"""Kafka's text form of UUIDs; the pairs were made by org.apache.kafka.common.Uuid."""

from __future__ import annotations

import random

import pytest

from kbroker.wire.message import ZERO_UUID
from kbroker.wire.uuids import METADATA_TOPIC_ID, parse_uuid, random_uuid, uuid_text

PAIRS = [
    ("AAAAAAAAAAAAAAAAAAAAAA", "00" * 16),
    ("AAAAAAAAAAAAAAAAAAAAAQ", "00" * 15 + "01"),
    ("4L6g3nShT-eMCtK--X86sw", "e0bea0de74a14fe78c0ad2bef97f3ab3"),
]


@pytest.mark.parametrize(("text", "uuid"), PAIRS)
def test_text_and_bytes_name_each_other(text: str, uuid: str) -> None:
    assert uuid_text(bytes.fromhex(uuid)) == text
    assert parse_uuid(text).hex() == uuid


def test_reserved_ids() -> None:
    assert uuid_text(ZERO_UUID) == PAIRS[0][0]
    assert uuid_text(METADATA_TOPIC_ID) == PAIRS[1][0]


def test_a_cluster_id_may_have_padding_and_spare_bits() -> None:
    assert parse_uuid("4L6g3nShT-eMCtK--X86sw==") == parse_uuid("4L6g3nShT-eMCtK--X86sw")
    assert parse_uuid("MkU3OEVBNTcwNTJENDM2Qk") == b"2E78EA57052D436B"


@pytest.mark.parametrize(
    "text",
    ["", "a", "4L6g3nShT+eMCtK--X86sw", "4L6g3nShT-eMCtK--X86", "A" * 24, "ä" * 22, "A" * 22 + "="],
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a UUID"):
        parse_uuid(text)


def test_other_lengths_have_no_text() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        uuid_text(b"short")


def test_random_ids_are_of_version_4_and_no_option_of_a_tool() -> None:
    rng = random.Random(1)
    made = {random_uuid(rng) for _ in range(500)}
    assert len(made) == 500
    for uuid in made:
        assert (uuid[6] >> 4, uuid[8] >> 6) == (4, 2)
        assert not uuid_text(uuid).startswith("-")
