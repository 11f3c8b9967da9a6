"""Keeps the records of features that are not built, so that our snapshots still have them.

These are ACLs, SCRAM credentials, client quotas, delegation tokens and the state of the ZooKeeper
migration.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from kbroker.wire.records.access_control_entry_record import AccessControlEntryRecord
    from kbroker.wire.records.client_quota_record import ClientQuotaRecord
    from kbroker.wire.records.delegation_token_record import DelegationTokenRecord
    from kbroker.wire.records.user_scram_credential_record import UserScramCredentialRecord
    from kbroker.wire.records.zk_migration_state_record import ZkMigrationStateRecord

QuotaKey: TypeAlias = "tuple[tuple[tuple[str, str | None], ...], str]"


@dataclass(slots=True)
class KeptRecords:
    """The latest record of each thing, by what identifies it."""

    acls: dict[bytes, AccessControlEntryRecord] = field(default_factory=dict)
    scram: dict[tuple[str, int], UserScramCredentialRecord] = field(default_factory=dict)
    quotas: dict[QuotaKey, ClientQuotaRecord] = field(default_factory=dict)
    tokens: dict[str, DelegationTokenRecord] = field(default_factory=dict)
    zk_migration: dict[int, ZkMigrationStateRecord] = field(default_factory=dict)

    def copy(self) -> KeptRecords:
        return KeptRecords(*(dict(getattr(self, each.name)) for each in fields(self)))


def quota_key(record: ClientQuotaRecord) -> QuotaKey:
    """An entity is a set of (type, name); None names the default entity."""
    entity = ((each.entity_type, each.entity_name) for each in record.entity)
    return tuple(sorted(entity, key=lambda part: part[0])), record.key
