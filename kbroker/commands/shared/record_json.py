"""A record as a line of JSON: `consume --json` writes it, and `produce --json` reads it back.

{"topic": "t", "partition": 0, "offset": 5, "timestamp": 1700000000000,
 "timestamp_type": "CreateTime", "key": "k", "value": "v", "headers": [["name", "text"]]}

Bytes are a string if they are UTF-8, {"base64": "..."} if not, and null if there are none. When a
line is read back, only `value` is required; topic, offset and timestamp_type are ignored.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, NamedTuple

from kbroker.storage.batch import TimestampType

from .arguments import PARTITION_MAX, UserError
from .output import json_line

if TYPE_CHECKING:
    from kbroker.client.records import ConsumedRecord

    from .output import Json

TIMESTAMP_MAX = (1 << 63) - 1
_TIMESTAMP_TYPES = {
    TimestampType.NO_TIMESTAMP_TYPE: "NoTimestampType",
    TimestampType.CREATE_TIME: "CreateTime",
    TimestampType.LOG_APPEND_TIME: "LogAppendTime",
}


class GivenRecord(NamedTuple):
    """A record to write; None where the line leaves the partition or the time to others."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp_ms: int | None
    partition: int | None


def record_line(record: ConsumedRecord) -> str:
    return json_line(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp_ms,
            "timestamp_type": _TIMESTAMP_TYPES[record.timestamp_type],
            "key": bytes_json(record.key),
            "value": bytes_json(record.value),
            "headers": [[name, bytes_json(value)] for name, value in record.headers],
        }
    )


def parse_record_line(line: bytes, number: int) -> GivenRecord:
    """UserError that names the line."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"Line {number} is not JSON: {error}.") from error
    if not isinstance(record, dict) or "value" not in record:
        raise UserError(f'Line {number} is not a record: it must be an object with a "value".')
    where = f"Line {number}"
    headers = record.get("headers") or []
    if isinstance(headers, dict):
        headers = list(headers.items())
    if not isinstance(headers, list):
        raise UserError(f"{where}: headers must be [[name, value], ...] or an object.")
    return GivenRecord(
        _bytes(record.get("key"), f"{where}: key"),
        _bytes(record["value"], f"{where}: value"),
        [_header(header, where) for header in headers],
        _number(record.get("timestamp"), f"{where}: timestamp", TIMESTAMP_MAX),
        _number(record.get("partition"), f"{where}: partition", PARTITION_MAX),
    )


def bytes_json(data: bytes | None) -> Json:
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}


def _bytes(value: object, where: str) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{where} contains half of a surrogate pair.") from error
    if isinstance(value, dict) and list(value) == ["base64"] and isinstance(value["base64"], str):
        try:
            return b64decode(value["base64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise UserError(f"{where} is not valid base64: {error}.") from error
    raise UserError(f'{where} must be a string, null or {{"base64": "..."}}.')


def _header(header: object, where: str) -> tuple[str, bytes | None]:
    if isinstance(header, (list, tuple)) and len(header) == 2 and isinstance(header[0], str):
        return header[0], _bytes(header[1], f"{where}: header {header[0]!r}")
    raise UserError(f"{where}: each header must be [name, value].")


def _number(value: object, where: str, maximum: int) -> int | None:
    if value is None:
        return None
    if type(value) is int and 0 <= value <= maximum:
        return value
    raise UserError(f"{where} must be a whole number from 0 to {maximum}.")
