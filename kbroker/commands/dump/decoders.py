"""Decodes the records of Kafka's internal topics to JSON with Kafka's field names.

Sources: CoordinatorRecordSerde (a key begins with the record's type, a value with its version),
MetadataRecordSerde, ControlRecordUtils.
"""

from __future__ import annotations

import re
from base64 import b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from kbroker.client.groups import CONSUMER_PROTOCOL
from kbroker.controller.records import decode_record
from kbroker.controller.topic_names import (
    CLUSTER_METADATA,
    CONSUMER_OFFSETS,
    SHARE_GROUP_STATE,
    TRANSACTION_STATE,
)
from kbroker.storage import batch as batch_format
from kbroker.storage.batch import ControlType
from kbroker.storage.errors import StorageError
from kbroker.wire import codec, registry, schema
from kbroker.wire.errors import ProtocolError
from kbroker.wire.message import Message, Struct
from kbroker.wire.records.consumer_protocol_assignment import ConsumerProtocolAssignment
from kbroker.wire.records.consumer_protocol_subscription import ConsumerProtocolSubscription
from kbroker.wire.records.end_txn_marker import EndTxnMarker
from kbroker.wire.records.group_metadata_value import GroupMetadataValue
from kbroker.wire.records.kraft_version_record import KRaftVersionRecord
from kbroker.wire.records.leader_change_message import LeaderChangeMessage
from kbroker.wire.records.snapshot_footer_record import SnapshotFooterRecord
from kbroker.wire.records.snapshot_header_record import SnapshotHeaderRecord
from kbroker.wire.records.voters_record import VotersRecord
from kbroker.wire.uuids import uuid_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kbroker.commands.shared.output import Json
    from kbroker.storage.record import Record

_INT16_BYTES = 2
_KEY_VERSION = 0
_CONTROL_VALUES: Mapping[ControlType, type[Message]] = {
    ControlType.ABORT: EndTxnMarker,
    ControlType.COMMIT: EndTxnMarker,
    ControlType.LEADER_CHANGE: LeaderChangeMessage,
    ControlType.SNAPSHOT_HEADER: SnapshotHeaderRecord,
    ControlType.SNAPSHOT_FOOTER: SnapshotFooterRecord,
    ControlType.KRAFT_VERSION: KRaftVersionRecord,
    ControlType.KRAFT_VOTERS: VotersRecord,
}

if TYPE_CHECKING:
    Decoder = Callable[[Record], tuple[Json, Json]]


def decode_metadata(record: Record) -> tuple[Json, Json]:
    """A record of __cluster_metadata: it has no key. ProtocolError."""
    if record.value is None:
        return None, None
    message = decode_record(record.value)
    version = record.value[2]  # behind frame version and type, each of which is one byte
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(message).__name__).upper()
    return None, {"type": name, "version": version, "data": message_json(message, version)}


def _coordinator(
    classes: Callable[[int], tuple[type[Message], type[Message]]],
) -> Decoder:
    def decode(record: Record) -> tuple[Json, Json]:
        if record.key is None or len(record.key) < _INT16_BYTES:
            raise ProtocolError("the key is too short to hold a record type")
        kind = int.from_bytes(record.key[:_INT16_BYTES], "big", signed=True)
        try:
            key_class, value_class = classes(kind)
        except KeyError:
            raise ProtocolError(f"unknown record type {kind}") from None
        key = codec.decode(key_class, _KEY_VERSION, record.key, _INT16_BYTES)
        shown_key: Json = {"type": kind, "data": message_json(key, _KEY_VERSION)}
        if record.value is None:
            return shown_key, None
        version = int.from_bytes(record.value[:_INT16_BYTES], "big", signed=True)
        if not value_class.MIN_VERSION <= version <= value_class.MAX_VERSION:
            raise ProtocolError(f"{value_class.__name__} has no version {version}")
        value = codec.decode(value_class, version, record.value, _INT16_BYTES)
        shown = message_json(value, version)
        if isinstance(value, GroupMetadataValue) and value.protocol_type == CONSUMER_PROTOCOL:
            _show_protocol(value, cast("dict[str, Json]", shown))
        return shown_key, {"version": version, "data": shown}

    return decode


def _show_protocol(group: GroupMetadataValue, shown: dict[str, Json]) -> None:
    """What consumers agree upon is opaque to the broker, and known to us."""
    members = cast("list[dict[str, Json]]", shown["members"])
    for member, shown_member in zip(group.members, members, strict=True):
        for name, message_class, data in (
            ("subscription", ConsumerProtocolSubscription, member.subscription),
            ("assignment", ConsumerProtocolAssignment, member.assignment),
        ):
            version = int.from_bytes(data[:_INT16_BYTES], "big")
            version = min(version, message_class.MAX_VERSION)
            with suppress(ProtocolError):  # a protocol that only calls itself "consumer"
                message = codec.decode(message_class, version, data, _INT16_BYTES)
                shown_member[name] = message_json(message, version)


DECODERS: Mapping[str, Decoder] = {
    "offsets": _coordinator(registry.group_record),
    "cluster-metadata": decode_metadata,
    "transaction-log": _coordinator(registry.transaction_record),
    "share-group-state": _coordinator(registry.share_record),
}
TOPIC_DECODERS = {
    CONSUMER_OFFSETS: "offsets",
    CLUSTER_METADATA: "cluster-metadata",
    TRANSACTION_STATE: "transaction-log",
    SHARE_GROUP_STATE: "share-group-state",
}


def decode_control(record: Record) -> tuple[Json, Json]:
    """A control record: what it is, and what it says. ProtocolError."""
    try:
        kind = batch_format.control_type(record.key)
    except StorageError as error:
        raise ProtocolError(str(error)) from error
    value_class = _CONTROL_VALUES.get(kind)
    if value_class is None or record.value is None:
        return kind.name, None
    # Every one of them opens with its version, which is a field of its own in all but EndTxnMarker.
    version = min(int.from_bytes(record.value[:_INT16_BYTES], "big"), value_class.MAX_VERSION)
    position = _INT16_BYTES if value_class is EndTxnMarker else 0
    value = codec.decode(value_class, version, record.value, position)
    return kind.name, message_json(value, version)


def message_json(message: Message, version: int) -> Json:
    return _struct(message, version)


def _struct(struct: Struct, version: int) -> Json:
    fields = schema.untagged(type(struct), version)
    # As Kafka's converters: a tagged field that has its default is not there.
    fields += [
        field
        for field in schema.tagged(type(struct), version)
        if not field.is_default(getattr(struct, field.name))
    ]
    return {
        _camel(field.name): _value(field, getattr(struct, field.name), version) for field in fields
    }


def _value(field: schema.Field, value: object, version: int) -> Json:
    if value is None:
        return None
    if field.is_array:
        return [_element(field, each, version) for each in cast("list[object]", value)]
    return _element(field, value, version)


def _element(field: schema.Field, value: object, version: int) -> Json:
    if isinstance(value, Struct):
        return _struct(value, version)
    if field.element == "uuid":
        return uuid_text(cast(bytes, value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b64encode(value).decode()
    return cast("Json", value)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
