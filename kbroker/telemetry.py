"""Clients that push their metrics (KIP-714): their ids, and what they are asked for and how often.

The pushed metrics are checked and dropped, because there is no reporter to give them to. In this
case Kafka does not advertise the two APIs but serves them all the same, and so does kbroker.
Source: ClientMetricsManager, ClientMetricsInstance.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from kbroker.config.client_metrics import ClientMetricsConfig, match_patterns
from kbroker.config.errors import ConfigError
from kbroker.java_order import hash_map_order, string_hash
from kbroker.storage.crc import crc32c
from kbroker.wire.codes import ResourceType
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.uuids import METADATA_TOPIC_ID, random_uuid, uuid_text

if TYPE_CHECKING:
    import random
    import re
    from collections.abc import Callable, Mapping

    from kbroker.controller.delta import ImageDelta
    from kbroker.controller.image import MetadataImage
    from kbroker.requests.services import ConnectionInfo

log = logging.getLogger("kbroker.telemetry")

INSTANCES_MAX: Final = 16_384
EXPIRY_MS: Final = 60_000
EXPIRY_IN_INTERVALS: Final = 3
INTERVAL_DEFAULT_MS: Final = 300_000
ALL_METRICS: Final = "*"
RESERVED_IDS: Final = (ZERO_UUID, METADATA_TOPIC_ID)
COMPRESSION_TYPES: Final = range(5)
NEVER_MS: Final = -(1 << 62)

# After these a client may ask for its subscription again at once.
_FORGIVEN: Final = (ErrorCode.UNKNOWN_SUBSCRIPTION_ID, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)


@dataclass(frozen=True, slots=True)
class Subscription:
    """What an administrator wants of the clients that match all of `patterns`."""

    metrics: tuple[str, ...]
    interval_ms: int
    patterns: Mapping[str, re.Pattern[str]]

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Subscription:
        """ConfigError for what only Apache Kafka would have taken."""
        config = ClientMetricsConfig(values)
        return cls(config.metrics, config.interval_ms, match_patterns(config))

    def matches(self, attributes: Mapping[str, str]) -> bool:
        return all(
            name in attributes and pattern.fullmatch(attributes[name])
            for name, pattern in self.patterns.items()
        )


@dataclass(slots=True, kw_only=True)
class Instance:
    """A client, and what it is subscribed to. Times are of Trio's clock."""

    attributes: Mapping[str, str]
    generation: int
    subscription_id: int
    metrics: list[str]
    interval_ms: int
    expires_ms: int = 0
    last_get_ms: int = NEVER_MS
    last_push_ms: int = NEVER_MS
    is_terminating: bool = False
    last_error: ErrorCode = ErrorCode.NONE

    def may_get(self, now_ms: int) -> bool:
        """Whether an interval has passed since it was last heard of; notes it if so."""
        if now_ms - max(self.last_get_ms, self.last_push_ms) < self.interval_ms:
            return False
        self.last_get_ms = now_ms
        return True

    def may_push(self, now_ms: int) -> bool:
        """Whether it has asked for its subscription since its last push, or an interval has
        passed; notes it if so.
        """
        if self.last_get_ms <= self.last_push_ms and now_ms - self.last_push_ms < self.interval_ms:
            return False
        self.last_push_ms = now_ms
        return True


class Telemetry:
    """Of one broker. Bounded: the clients least recently seen are forgotten."""

    def __init__(
        self, image: MetadataImage, rng: random.Random, bytes_max: Callable[[], int]
    ) -> None:
        self._image = image
        self._rng = rng
        self._bytes_max = bytes_max
        self._generation = 0
        self._subscriptions: dict[str, Subscription] = {}
        self._instances: OrderedDict[bytes, Instance] = OrderedDict()

    @property
    def bytes_max(self) -> int:
        """How much one push may hold."""
        return self._bytes_max()

    def on_metadata(self, delta: ImageDelta) -> None:
        """A listener of the metadata: every change of a subscription makes all of them new."""
        for resource_type, name in delta.configs_changed:
            if resource_type != ResourceType.CLIENT_METRICS:
                continue
            known = self._subscriptions.pop(name, None)
            values = self._image.configs.get((resource_type, name))
            if values:
                try:
                    self._subscriptions[name] = Subscription.of(values)
                except ConfigError as error:
                    log.warning("ignoring the client metrics subscription %s: %s", name, error)
            if known or values:
                self._generation += 1

    def subscribe(
        self, instance_id: bytes, client_id: str | None, connection: ConnectionInfo
    ) -> tuple[bytes, Instance]:
        """A client asks what it shall push: its id, made up if it has none yet, and what it is
        subscribed to. RequestError.
        """
        if instance_id == ZERO_UUID:
            instance_id = random_uuid(self._rng)
        now_ms = _now_ms()
        instance = self._instance(instance_id, client_id, connection, now_ms)
        if not instance.may_get(now_ms) and instance.last_error not in _FORGIVEN:
            raise RequestError(ErrorCode.THROTTLING_QUOTA_EXCEEDED)
        instance.last_error = ErrorCode.NONE
        return instance_id, instance

    def push(
        self,
        instance_id: bytes,
        client_id: str | None,
        connection: ConnectionInfo,
        *,
        subscription_id: int,
        is_terminating: bool,
        compression_type: int,
        size: int,
    ) -> None:
        """A client pushes `size` bytes. RequestError if it should not have."""
        if instance_id in RESERVED_IDS:
            raise RequestError(ErrorCode.INVALID_REQUEST)
        now_ms = _now_ms()
        instance = self._instance(instance_id, client_id, connection, now_ms)
        code = ErrorCode.NONE
        if instance.is_terminating:
            code = ErrorCode.INVALID_REQUEST
        elif not instance.may_push(now_ms) and not is_terminating:
            code = ErrorCode.THROTTLING_QUOTA_EXCEEDED
        elif subscription_id != instance.subscription_id:
            code = ErrorCode.UNKNOWN_SUBSCRIPTION_ID
        elif compression_type not in COMPRESSION_TYPES:
            code = ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
        elif size > self.bytes_max:
            code = ErrorCode.TELEMETRY_TOO_LARGE
        instance.last_error = code
        instance.is_terminating = is_terminating
        if code:
            raise RequestError(code)

    def _instance(
        self, instance_id: bytes, client_id: str | None, connection: ConnectionInfo, now_ms: int
    ) -> Instance:
        """The client as it is known, or known from now on."""
        known = self._instances.get(instance_id)
        if known is not None and known.expires_ms <= now_ms:
            known = None
        if known is None or known.generation < self._generation:
            attributes = (
                _attributes(instance_id, client_id, connection)
                if known is None
                else known.attributes
            )
            known = self._instances[instance_id] = self._made(instance_id, attributes)
            connection.on_close = partial(self._instances.pop, instance_id, None)
        self._instances.move_to_end(instance_id)
        if len(self._instances) > INSTANCES_MAX:
            self._instances.popitem(last=False)
        known.expires_ms = now_ms + max(EXPIRY_MS, EXPIRY_IN_INTERVALS * known.interval_ms)
        return known

    def _made(self, instance_id: bytes, attributes: Mapping[str, str]) -> Instance:
        interval_ms, metrics = INTERVAL_DEFAULT_MS, dict[str, None]()
        for each in self._subscriptions.values():
            if each.matches(attributes):
                metrics.update(dict.fromkeys(each.metrics))
                interval_ms = min(interval_ms, each.interval_ms)
        names = [ALL_METRICS] if ALL_METRICS in metrics else hash_map_order(metrics, string_hash)
        return Instance(
            attributes=attributes,
            generation=self._generation,
            subscription_id=_subscription_id(names, interval_ms, instance_id),
            metrics=names,
            interval_ms=interval_ms,
        )


def _now_ms() -> int:
    return int(trio.current_time() * 1000)


def _attributes(
    instance_id: bytes, client_id: str | None, connection: ConnectionInfo
) -> dict[str, str]:
    attributes = {
        "client_instance_id": uuid_text(instance_id),
        "client_software_name": connection.client_software_name or "unknown",
        "client_software_version": connection.client_software_version or "unknown",
        "client_source_address": connection.peer_host,
        "client_source_port": str(connection.peer_port),
    }
    if client_id is not None:
        attributes["client_id"] = client_id
    return attributes


def _subscription_id(metrics: list[str], interval_ms: int, instance_id: bytes) -> int:
    """As Kafka reckons it, so that a client which goes from one broker to another keeps it."""
    crc = crc32c(f"[{', '.join(metrics)}]{interval_ms}".encode())
    high, low = int.from_bytes(instance_id[:8]), int.from_bytes(instance_id[8:])
    folded = high ^ low
    return _int32(crc ^ (folded >> 32) ^ folded)


def _int32(number: int) -> int:
    number &= 0xFFFFFFFF
    return number - (1 << 32) if number >= 1 << 31 else number
