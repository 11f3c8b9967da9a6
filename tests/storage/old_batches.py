"""Batches of formats 0 and 1: some that Apache Kafka's MemoryRecordsBuilder wrote, and a builder.

The builder is for tests and shares nothing with the reader. GOLDEN has RECORDS at offsets 6, 7, 8.
"""

from __future__ import annotations

import struct
import zlib
from base64 import b64decode
from typing import NamedTuple

from kbroker.storage.batch import TimestampType
from kbroker.storage.compression import Codec, compress

LAST_OFFSET = 8
STAMP = 1000
RECORDS = [(None, b"value 6 " * 5), (b"key7", None), (b"key8", b"value 8 " * 5)]


class OldRecord(NamedTuple):
    """One message of formats 0 and 1; format 0 has no timestamps."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def old_message(
    magic: int, record: OldRecord, attributes: int = 0, *, offset: int | None = None
) -> bytes:
    """A message as it lies in a file."""
    body = bytes([magic, attributes])
    if magic:
        body += struct.pack(">q", record.timestamp)
    for field in (record.key, record.value):
        body += struct.pack(">i", -1 if field is None else len(field)) + (field or b"")
    message = struct.pack(">I", zlib.crc32(body)) + body
    offset = record.offset if offset is None else offset
    return struct.pack(">qi", offset, len(message)) + message


def old_set(magic: int, records: list[OldRecord], attributes: int = 0) -> bytes:
    """Messages one behind the other."""
    return b"".join(old_message(magic, record, attributes) for record in records)


def wrapped(
    magic: int,
    codec: Codec,
    records: list[OldRecord],
    *,
    append_time: int | None = None,
    key: bytes | None = None,
    lz4_header_is_wrong: bool | None = None,
) -> bytes:
    """The messages compressed in one, as producers and brokers of these formats did it."""
    base = records[0].offset if magic else 0
    inner = old_set(magic, [record._replace(offset=record.offset - base) for record in records])
    content = compress(codec, inner)
    if lz4_header_is_wrong is None:
        lz4_header_is_wrong = magic == 0
    if codec is Codec.LZ4 and lz4_header_is_wrong:
        content = content[:6] + bytes([content[6] ^ 0x55]) + content[7:]
    stamp = max(record.timestamp for record in records) if append_time is None else append_time
    attributes = codec | (0 if append_time is None else 8)
    return old_message(magic, OldRecord(records[-1].offset, stamp, key, content), attributes)


GOLDEN = {
    (0, Codec.NONE, TimestampType.NO_TIMESTAMP_TYPE): b64decode(
        "AAAAAAAAAAYAAAA2B/PeWAAA/////wAAACh2YWx1ZSA2IHZhbHVlIDYgdmFsdWUgNiB2YWx1ZSA2"
        "IHZhbHVlIDYgAAAAAAAAAAcAAAASOc/vGAAAAAAABGtleTf/////AAAAAAAAAAgAAAA6kG0ylgAA"
        "AAAABGtleTgAAAAodmFsdWUgOCB2YWx1ZSA4IHZhbHVlIDggdmFsdWUgOCB2YWx1ZSA4IA=="
    ),
    (0, Codec.GZIP, TimestampType.NO_TIMESTAMP_TYPE): b64decode(
        "AAAAAAAAAAgAAABk9IULTQAB/////wAAAFYfiwgAAAAAAAD/Y2AAAzYgNmP/fC+CgeE/EAB5GmWJ"
        "OaWpCmYKhGiIAQzsQCxkef69BJjHkp1aaQ41CQQ4gNhqQq7RNLisBcIOCwVCNADqpstbpgAAAA=="
    ),
    (0, Codec.SNAPPY, TimestampType.NO_TIMESTAMP_TYPE): b64decode(
        "AAAAAAAAAAgAAAB7udnh9gAC/////wAAAG2CU05BUFBZAAAAAAEAAAABAAAAWaYBAAAJAWgGAAAA"
        "Ngfz3lgAAP////8AAAAodmFsdWUgNiB+CAAAAAkBIAcAAAASOc/vGAUPEARrZXk3DUoBASAIAAAA"
        "OpBtMpYBDQUeBDgAFWQAOA1kZggA"
    ),
    (0, Codec.LZ4, TimestampType.NO_TIMESTAMP_TYPE): b64decode(
        "AAAAAAAAAAgAAAB9QV1Z+QAD/////wAAAG8EIk0YYEAaYAAAABIAAQD/DAYAAAA2B/PeWAAA////"
        "/wAAACh2YWx1ZSA2IAgADQJBAKEABwAAABI5z+8YEABTBGtleTdKAAACAJAIAAAAOpBtMpYNAAEe"
        "ABY4ZAATOGQADwgAAlB1ZSA4IAAAAAA="
    ),
    (1, Codec.NONE, TimestampType.CREATE_TIME): b64decode(
        "AAAAAAAAAAYAAAA+mRK9ZwEAAAAAAAAAA+j/////AAAAKHZhbHVlIDYgdmFsdWUgNiB2YWx1ZSA2"
        "IHZhbHVlIDYgdmFsdWUgNiAAAAAAAAAABwAAABoCGJOFAQAAAAAAAAAD6QAAAARrZXk3/////wAA"
        "AAAAAAAIAAAAQt/Xs3QBAAAAAAAAAAPqAAAABGtleTgAAAAodmFsdWUgOCB2YWx1ZSA4IHZhbHVl"
        "IDggdmFsdWUgOCB2YWx1ZSA4IA=="
    ),
    (1, Codec.NONE, TimestampType.LOG_APPEND_TIME): b64decode(
        "AAAAAAAAAAYAAAA+XEQuRwEIAAAAAAAAA+j/////AAAAKHZhbHVlIDYgdmFsdWUgNiB2YWx1ZSA2"
        "IHZhbHVlIDYgdmFsdWUgNiAAAAAAAAAABwAAABr6fEN2AQgAAAAAAAAD6AAAAARrZXk3/////wAA"
        "AAAAAAAIAAAAQnrutowBCAAAAAAAAAPoAAAABGtleTgAAAAodmFsdWUgOCB2YWx1ZSA4IHZhbHVl"
        "IDggdmFsdWUgOCB2YWx1ZSA4IA=="
    ),
    (1, Codec.GZIP, TimestampType.CREATE_TIME): b64decode(
        "AAAAAAAAAAgAAABxPpN9gAEBAAAAAAAAA+r/////AAAAWx+LCAAAAAAAAP9jYIADu5lCe9MZoRzm"
        "F/+BAMjQKEvMKU1VMFMgREM1ggyQYpKY3Ao36SWQYMlOrTSHmggCTEDsdP/65hK4qldQVRYIOy0U"
        "CNEA9RrOYr4AAAA="
    ),
    (1, Codec.GZIP, TimestampType.LOG_APPEND_TIME): b64decode(
        "AAAAAAAAAAgAAABuYY9LkAEJAAAAAAAAA+j/////AAAAWB+LCAAAAAAAAP9jYIADuxgXPXdGDgiH"
        "+cV/IAAyNMoSc0pTFcwUCNFQUxiBWOpXjXMZwiQgwZKdWmkONREEmIDYqerdth4MVRYIOy0UCNEA"
        "M88UIr4AAAA="
    ),
    (1, Codec.SNAPPY, TimestampType.CREATE_TIME): b64decode(
        "AAAAAAAAAAgAAACMm2foSQECAAAAAAAAA+r/////AAAAdoJTTkFQUFkAAAAAAQAAAAEAAABivgEA"
        "ABkBFD6ZEr1nAQ0QRAPo/////wAAACh2YWx1ZSA2IH4IAAAACQEBQRAaAhiThQEJAQEkA+kAAAAE"
        "a2V5Nw1SAQEgAgAAAELf17N0FSYI6gAABSYEOAAVdAA4DXRmCAA="
    ),
    (1, Codec.SNAPPY, TimestampType.LOG_APPEND_TIME): b64decode(
        "AAAAAAAAAAgAAACI2TmymQEKAAAAAAAAA+j/////AAAAcoJTTkFQUFkAAAAAAQAAAAEAAABevgEA"
        "ABkBGD5cRC5HAQgJEUQD6P////8AAAAodmFsdWUgNiB+CAAAAAkBJAEAAAAa+nxDdgEVShwAAAAE"
        "a2V5Nw1SAQEgAgAAAEJ67raMQiYABDgAFXQEOCAJdGYIAA=="
    ),
    (1, Codec.LZ4, TimestampType.CREATE_TIME): b64decode(
        "AAAAAAAAAAgAAACMBMhX6gEDAAAAAAAAA+r/////AAAAdgQiTRhgQIJnAAAAFgABAGM+mRK9ZwEQ"
        "AP8DA+j/////AAAAKHZhbHVlIDYgCAANAzkAAEEAUBoCGJOFCQAAAgCjA+kAAAAEa2V5N1IAAAIA"
        "lQIAAABC39ezdCYAE+omABY4dAATOHQADwgAAlB1ZSA4IAAAAAA="
    ),
    (1, Codec.LZ4, TimestampType.LOG_APPEND_TIME): b64decode(
        "AAAAAAAAAAgAAACG2ReHpQELAAAAAAAAA+j/////AAAAcAQiTRhgQIJhAAAAFgABAHI+XEQuRwEI"
        "EQD/AwPo/////wAAACh2YWx1ZSA2IAgADQI4AKYAAQAAABr6fEN2SgCDAAAABGtleTdSAAACAJ0C"
        "AAAAQnrutowmABY4dAATOHQADwgAAlB1ZSA4IAAAAAA="
    ),
}
