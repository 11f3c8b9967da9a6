"""Messages as plain data: what one version of a response says, by field names.

Records become what they say, batch by batch, so that a difference names the field that differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.storage.batch import ATTRIBUTES_AT, HEADER, BatchHeader, TimestampType, records
from kbroker.storage.crc import crc32c
from kbroker.storage.errors import StorageError
from kbroker.wire.errors import ErrorCode
from kbroker.wire.schema import tagged, untagged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kbroker.wire.message import Struct
    from kbroker.wire.schema import Field

    Tree = None | bool | int | float | str | Sequence["Tree"] | Mapping[str, "Tree"]

RECORDS_SHOWN_MAX = 50


def tree_of(struct: Struct, version: int) -> dict[str, Tree]:
    """The fields that the version has. Bytes are hex, error codes are names."""
    fields = untagged(type(struct), version) + tagged(type(struct), version)
    return {field.name: _value(field, getattr(struct, field.name), version) for field in fields}


def _value(field: Field, value: object, version: int) -> Tree:
    if value is None:
        return None
    if field.is_array:
        assert isinstance(value, list)
        return [_element(field, element, version) for element in value]
    return _element(field, value, version)


def _element(field: Field, value: object, version: int) -> Tree:
    if not isinstance(field.element, str):
        return tree_of(value, version)  # type: ignore[arg-type]
    if field.element == "records":
        return _batches(bytes(value))  # type: ignore[call-overload]
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if field.name.endswith("error_code") and isinstance(value, int):
        return error_name(value)
    assert isinstance(value, bool | int | float | str)
    return value


def error_name(code: int) -> str:
    try:
        return ErrorCode(code).name
    except ValueError:
        return str(code)


def _batches(data: bytes) -> list[Tree]:
    """What whole batches say; the bytes of one that is cut off are counted."""
    found: list[Tree] = []
    view = memoryview(data)
    while len(view) >= HEADER:
        header = BatchHeader(view)
        size = header.size_bytes
        if size > len(view) or size < HEADER:
            break
        found.append(_batch(header, view[:size]))
        view = view[size:]
    if view:
        found.append({"cut_off_bytes": len(view)})
    return found


def _batch(header: BatchHeader, view: memoryview) -> Tree:
    stamped = header.timestamp_type is TimestampType.LOG_APPEND_TIME
    try:
        shown: list[Tree] = [
            {
                "offset": record.offset,
                # Where the broker stamped the batch, its clock is named once.
                "timestamp": "of the batch" if stamped else record.timestamp,
                "key": _hex(record.key),
                "value": _hex(record.value),
                "headers": [[key, _hex(value)] for key, value in record.headers],
            }
            for record, _ in zip(records(view), range(RECORDS_SHOWN_MAX), strict=False)
        ]
    except StorageError as error:
        shown = [type(error).__name__, bytes(view[HEADER:]).hex()]
    return {
        "size_bytes": header.size_bytes,
        "base_offset": header.base_offset,
        "leader_epoch": header.leader_epoch,
        "magic": header.magic,
        "crc": "right" if header.crc == crc32c(view[ATTRIBUTES_AT:]) else "wrong",
        "attributes": header.attributes,
        "last_offset_delta": header.last_offset_delta,
        "base_timestamp": header.base_timestamp,
        "max_timestamp": header.max_timestamp,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "record_count": header.record_count,
        "records": shown,
    }


def _hex(data: bytes | memoryview | None) -> str | None:
    return None if data is None else bytes(data).hex()
