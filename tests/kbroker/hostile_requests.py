"""Requests as no client of good will sends them: every field of every version at its edges, with
just enough sense among them (topics, groups and members that exist, whole batches) to get past the
first check.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, cast

from kbroker.controller.features import FRESH
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from kbroker.storage.crc import crc32c
from kbroker.wire.schema import fields_of
from tests.wire.random_messages import random_value

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from kbroker.wire.message import Message, Struct
    from kbroker.wire.schema import Field

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1
INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1

TOPICS: Final = ("t", "compacted", "stamped")
TOPIC_NAMES: Final = (
    *TOPICS,
    *TOPICS,
    "",
    ".",
    "absent",
    "new",
    "new2",
    "a/b",
    "x" * 249,
    "x" * 250,
    "\x00",
    "größe",
    "__consumer_offsets",
    "__transaction_state",
    "__cluster_metadata",
)
# The others are there to be used.
DOOMED: Final = ("new", "new", "new2", "absent", "", "x" * 250, "__cluster_metadata")
GROUPS: Final = ("g", "g", "g", "g", "h", "h", "", "\x00", "ключ", "x" * 1000)
CONFIG_NAMES: Final = (
    "retention.ms",
    "cleanup.policy",
    "compression.type",
    "max.message.bytes",
    "min.insync.replicas",
    "segment.bytes",
    "message.timestamp.type",
    "log.retention.ms",
    "max.connections",
    "advertised.listeners",
    "node.id",
    "",
    "no.such.key",
    "consumer.session.timeout.ms",
)
CONFIG_VALUES: Final = (
    "1",
    "-1",
    "0",
    "",
    "delete",
    "compact",
    "gzip",
    "LogAppendTime",
    "NaN",
    "9" * 30,
    "true",
    None,
)
INDEXES: Final = (0, 0, 0, 1, 2, 3, -1, INT32_MAX, INT32_MIN)
# The longest that a request may ask to wait here: a real one may ask for 24 days.
WAITS_MS: Final = (0, 0, 1, 500, 6000, -1, INT32_MIN)
SESSIONS_MS: Final = (*(1000, 6000, 10_000) * 3, 0, -1, INT32_MAX, INT32_MIN)


class Hostile:
    """One stream of requests from one seed. `learn` what the broker gave out, to use it."""

    def __init__(self, rng: random.Random, topic_ids: Sequence[bytes]) -> None:
        self._rng = rng
        self._topic_ids = (*topic_ids, *topic_ids, bytes(16), rng.randbytes(16))
        self._members: list[str] = ["", "", "nobody"]
        self._sessions: list[int] = [0, 0, 1]
        self._producers: list[int] = [-1, -1, 0]

    def learn(self, response: Message) -> None:
        """Take what the broker made up for later requests."""
        for name, pool in (
            ("member_id", self._members),
            ("session_id", self._sessions),
            ("producer_id", self._producers),
        ):
            given = getattr(response, name, None)
            if given not in (None, "", 0, -1):
                cast("list[object]", pool).append(given)
                del pool[3:-8]

    def request(self, cls: type[Message], version: int) -> Message:
        """Some request of this class."""
        return cast("Message", self._struct(cls, version))

    def damaged(self, frame: bytes) -> bytes:
        """Some bytes of it changed, left out or put in; its length is right again."""
        rng = self._rng
        body = bytearray(frame[4:])
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(body))
            match rng.randrange(4):
                case 0:
                    body[at] ^= 1 << rng.randrange(8)
                case 1:
                    body[at : at + 4] = rng.choice(
                        (b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff\xff\xff\xff", bytes(4))
                    )
                case 2:
                    del body[at:]
                    body += b"\0"
                case _:
                    body[at:at] = rng.randbytes(rng.randint(1, 5))
        return struct.pack(">i", len(body)) + body

    def _struct(self, cls: type[Struct], version: int) -> Struct:
        value = cls()
        for field in fields_of(cls):
            if version in field.versions and not (
                version in field.tagged and self._rng.random() < 0.3
            ):
                setattr(value, field.name, self._field(cls, field, version))
        return value

    def _field(self, cls: type[Struct], field: Field, version: int) -> object:
        rng = self._rng
        if version in field.nullable and rng.random() < self._null_share(field):
            return None
        if field.is_array:
            count = rng.choice((0, 1, 1, 1, 2, 3))
            elements = [self._element(cls, field, version) for _ in range(count)]
            if elements and rng.random() < 0.1:
                elements.append(elements[0])
            return elements
        return self._element(cls, field, version)

    def _element(self, cls: type[Struct], field: Field, version: int) -> object:
        rng = self._rng
        if isinstance(field.element, type):
            return self._struct(field.element, version)
        if rng.random() < 0.1:  # an edge of the type
            value = random_value(field, version, rng)
            if field.is_array:
                assert isinstance(value, list | None)
                value = value[0] if value else None
            if value is not None and not self._is_too_long(field, value):
                return value
        known = self._known(cls.__name__, field)
        if known is not None:
            return rng.choice(known)
        if field.element == "records":
            return self._records()
        if field.element == "string":
            return rng.choice(("", "a", "range", "consumer", "x" * 300))
        if field.element == "bytes":
            return rng.choice((b"", b"\0", bytes(20), rng.randbytes(12)))
        if field.element == "uuid":
            return rng.choice(self._topic_ids)
        if field.element == "bool":
            return rng.random() < 0.5
        return rng.choice((0, 0, 1, -1, 2, 100))

    def _null_share(self, field: Field) -> float:
        if field.name == "transactional_id":
            return 0.7
        return 0.4 if field.name in ("group_instance_id", "current_leader") else 0.1

    def _is_too_long(self, field: Field, value: object) -> bool:
        """Waits of weeks are a client's right, and nothing to find out here."""
        is_wait = field.name.endswith(("timeout_ms", "wait_ms"))
        return is_wait and cast("int", value) > max(WAITS_MS)

    def _known(self, cls: str, field: Field) -> Sequence[object] | None:
        """Values that mean something in a field of this name."""
        match field.name:
            case "name" | "topic_names" if cls.startswith("DeleteTopic"):
                return DOOMED
            case "topic_id" if cls.startswith("DeleteTopic"):
                return self._topic_ids[-2:]
            case "topic" | "topics" | "topic_names" if field.element == "string":
                return TOPIC_NAMES
            case "name" | "resource_name" if "Config" in cls and "Resource" not in cls:
                return CONFIG_NAMES
            case "name" if "Protocol" in cls:
                return ("range", "range", "", "roundrobin")
            case "name" if field.element == "string":
                return TOPIC_NAMES
            case "resource_name":
                # Not the group coordinator's: with its max.message.bytes at 1 it may well fail.
                return (*TOPIC_NAMES[:-3], "1", "1", "2", "g")
            case "configuration_keys":
                return CONFIG_NAMES
            case "value":
                return CONFIG_VALUES[:-1]
            case "topic_id":
                return self._topic_ids
            case "partition" | "index" | "partition_index" | "partition_indexes" | "partitions" if (
                field.element == "int32"
            ):
                return INDEXES
            case "group_id" | "groups" | "groups_names" | "coordinator_keys" | "key" if (
                field.element == "string"
            ):
                return GROUPS
            case "feature":
                return (*FRESH, "kraft.version", "")
            case _ if field.element == "uint16":
                return (0, 1, 9093)
            case "member_id":
                return self._members
            case "generation_id" | "generation_id_or_member_epoch":
                return (1, 2, 3, -1, -1, 0, INT32_MAX)
            case "resource_type":
                return (2, 2, 4, 4, 32, 16, 8, 0, -1)
            case "config_operation":
                return (0, 0, 1, 2, 3, 4, -1)
            case "current_leader_epoch" | "last_fetched_epoch" | "leader_epoch":
                return (-1, -1, -1, 0, 1, INT32_MAX)
            case "replica_id":
                return (-1, -1, -1, -1, -2, 0, 1, 2)
            case "isolation_level":
                return (0, 0, 1, 1, 2, -1)
            case "key_type":
                return (0, 0, 0, 1, 2, 3)
            case "producer_epoch":
                return (-1, -1, 0, 1, 32767)
            case "protocol_type":
                return ("consumer", "consumer", "", "connect")
            case "endpoint_type":
                return (1, 1, 2, 0)
            case "assignments" | "broker_ids" | "replicas":
                return (1, 1, 2, -1)
            case "group_instance_id":
                return ("i", "j", "")
            case "session_id":
                return self._sessions
            case "session_epoch":
                return (-1, 0, 0, 1, 2, INT32_MAX, INT32_MIN)
            case "producer_id":
                return self._producers
            case "session_timeout_ms" | "rebalance_timeout_ms":
                return SESSIONS_MS if field.name[0] == "s" else WAITS_MS
            case "timeout_ms" | "max_wait_ms":
                return WAITS_MS
            case "fetch_offset" | "committed_offset" | "offset":
                return (0, 0, 1, 5, -1, INT64_MAX, INT64_MIN)
            case "max_bytes" | "partition_max_bytes" | "min_bytes":
                return (0, 1, 1000, INT32_MAX, -1, INT32_MIN)
            case "timestamp":
                return (*range(-8, 2), INT64_MAX, INT64_MIN)
            case "num_partitions" | "count":
                return (1, 1, 3, -1, 0, INT32_MIN, INT32_MAX, 100_000_000)
            case "replication_factor":
                return (1, 1, 1, -1, 0, 2, 32767)
            case "acks":
                return (-1, -1, 1, 1, 0, 2, -2, 32767)
            case "client_software_name" | "client_software_version":
                return ("a", "1.0", "", "-", "\x00")
        return None

    def _records(self) -> bytes:
        rng = self._rng
        if rng.random() < 0.1:
            return rng.choice((b"", b"\0", bytes(61), bytes(200), rng.randbytes(100)))
        producer_id = rng.choice(self._producers)
        batch = bytearray(
            build_batch(
                [
                    NewRecord(
                        rng.choice((0, 1, 1_700_000_000_000, -1, INT64_MAX >> 2)),
                        rng.choice((None, b"", b"key")),
                        rng.choice((None, b"", b"value" * 30)),
                    )
                    for _ in range(rng.randint(1, 3))
                ],
                codec=rng.choice(tuple(Codec)),
                producer_id=producer_id,
                producer_epoch=rng.choice((-1, 0, 0, 1)),
                base_sequence=rng.choice((-1, 0, 0, 1, INT32_MAX)),
            )
        )
        if rng.random() < 0.4:
            at = rng.randrange(len(batch))
            batch[at : at + 1] = rng.choice((b"\xff", b"\x7f", b"\0", b"\x80"))
            if rng.random() < 0.7:
                batch[17:21] = struct.pack(">I", crc32c(batch[21:]))
        if rng.random() < 0.1:
            batch = batch * 2
        return bytes(batch)
