"""Builds codecs and imports modules before the template forks, so that no broker has to."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from kbroker.apis import apis_of
from kbroker.releases.release import DEFAULT
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.codec import chunk_encoder, decoder
from kbroker.wire.records.begin_transaction_record import BeginTransactionRecord
from kbroker.wire.records.broker_registration_change_record import BrokerRegistrationChangeRecord
from kbroker.wire.records.config_record import ConfigRecord
from kbroker.wire.records.end_transaction_record import EndTransactionRecord
from kbroker.wire.records.feature_level_record import FeatureLevelRecord
from kbroker.wire.records.leader_change_message import LeaderChangeMessage
from kbroker.wire.records.partition_record import PartitionRecord
from kbroker.wire.records.producer_ids_record import ProducerIdsRecord
from kbroker.wire.records.register_broker_record import RegisterBrokerRecord
from kbroker.wire.records.register_controller_record import RegisterControllerRecord
from kbroker.wire.records.snapshot_footer_record import SnapshotFooterRecord
from kbroker.wire.records.snapshot_header_record import SnapshotHeaderRecord
from kbroker.wire.records.topic_record import TopicRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbroker.wire.message import Message

# What a start writes, and the first topic.
RECORDS: tuple[type[Message], ...] = (
    BeginTransactionRecord,
    BrokerRegistrationChangeRecord,
    ConfigRecord,
    EndTransactionRecord,
    FeatureLevelRecord,
    LeaderChangeMessage,
    PartitionRecord,
    ProducerIdsRecord,
    RegisterBrokerRecord,
    RegisterControllerRecord,
    SnapshotFooterRecord,
    SnapshotHeaderRecord,
    TopicRecord,
)

# What every producer and consumer asks.
ASKED = frozenset(
    {
        ApiKey.PRODUCE,
        ApiKey.FETCH,
        ApiKey.LIST_OFFSETS,
        ApiKey.METADATA,
        ApiKey.OFFSET_COMMIT,
        ApiKey.OFFSET_FETCH,
        ApiKey.FIND_COORDINATOR,
        ApiKey.JOIN_GROUP,
        ApiKey.HEARTBEAT,
        ApiKey.LEAVE_GROUP,
        ApiKey.SYNC_GROUP,
        ApiKey.API_VERSIONS,
        ApiKey.INIT_PRODUCER_ID,
    }
)


def for_a_start() -> None:
    """A tenth of a second at most: the first broker waits for it."""
    import_module("kbroker.controller.snapshot")
    "localhost".encode("idna")  # the resolver's, which comes with its first use
    for record in RECORDS:
        for version in range(record.MIN_VERSION, record.MAX_VERSION + 1):
            chunk_encoder(record, version)
    decoder(FeatureLevelRecord, FeatureLevelRecord.MAX_VERSION)


def for_clients() -> Iterator[None]:
    """In small steps, for when there is nothing else to do; the newest versions first."""
    rows = [api for api in apis_of(DEFAULT) if api.key in ASKED]
    for age in range(max(api.max_version for api in rows) + 1):
        for api in rows:
            version = api.max_version - age
            if version >= api.min_version:
                decoder(api.request, version, exact=False, limits=DEFAULT.limits)
                chunk_encoder(api.response, version)
                yield
