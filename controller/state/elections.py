"""The rules for one partition: which replica leads it, and what its ISR and its ELR become.

`elect_leaders` applies them on request, `leadership_changes` when brokers come and go.
Source: PartitionChangeBuilder (KIP-966 with the last known leader), LeaderAcceptor,
PartitionReassignmentReplicas.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from kbroker.controller.features import (
    DIRECTORY_ASSIGNMENT_SINCE,
    ISR_SHRINKS_IN_ITS_EPOCH_SINCE,
)
from kbroker.controller.model import (
    LOST_DIRECTORY,
    MIGRATING_DIRECTORY,
    NO_LEADER,
    UNASSIGNED_DIRECTORY,
)
from kbroker.controller.model import LeaderRecovery as Recovery
from kbroker.wire.records.partition_change_record import PartitionChangeRecord

from .placement import default_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from kbroker.controller.image import MetadataImage, PartitionImage

NO_LEADER_CHANGE = -2


class Election(Enum):
    """PREFERRED: the first replica, if it is in the ISR. ONLINE: anyone in the ISR, the present
    leader first. UNCLEAN: as ONLINE, and if there is none, any live replica at the price of data.
    """

    PREFERRED = 0
    ONLINE = 1
    UNCLEAN = 2


@dataclass(slots=True, kw_only=True)
class Change:
    """What shall become of a partition; what is None stays, or follows from the rest."""

    election: Election = Election.ONLINE
    isr: list[int] | None = None
    replicas: list[int] | None = None
    adding: list[int] | None = None
    removing: list[int] | None = None
    leader_recovery_state: int | None = None
    directories: Mapping[int, bytes] | None = None  # of these brokers' replicas
    unclean_shutdown: Collection[int] = ()
    min_isr: int = 1
    elr_enabled: bool = True


def leader_acceptor(
    image: MetadataImage, partition: PartitionImage, may_lead: Callable[[int], bool] | None = None
) -> Callable[[int], bool]:
    """Whether a broker may lead: live, and with the directory of its replica online."""
    may_lead = may_lead or image.is_active

    def accepts(broker_id: int) -> bool:
        if not may_lead(broker_id):
            return False
        broker = image.brokers.get(broker_id)
        if broker is None or broker_id not in partition.replicas:
            return broker is not None
        directory = partition.directory_of(broker_id)
        if directory in (UNASSIGNED_DIRECTORY, MIGRATING_DIRECTORY) or not broker.log_dirs:
            return True
        return directory != LOST_DIRECTORY and directory in broker.log_dirs

    return accepts


def change_partition(
    image: MetadataImage,
    topic_id: bytes,
    partition_id: int,
    change: Change,
    accepts: Callable[[int], bool] | None = None,
) -> PartitionChangeRecord | None:
    """The record that brings `change` about, with the election it makes necessary; None: nothing
    to do.
    """
    partition = image.topics_by_id[topic_id].partitions[partition_id]
    decision = _Decision(partition, change, accepts or leader_acceptor(image, partition))
    decision.complete_reassignment()
    decision.settle_elr()
    decision.elect()
    return decision.record(image, topic_id, partition_id)


class _Decision:
    """One partition's change in the making."""

    def __init__(
        self, partition: PartitionImage, change: Change, accepts: Callable[[int], bool]
    ) -> None:
        self._old = partition
        self._change = change
        self._accepts = accepts
        self.isr = list(partition.isr if change.isr is None else change.isr)
        self.replicas = list(partition.replicas if change.replicas is None else change.replicas)
        self.adding = list(partition.adding_replicas if change.adding is None else change.adding)
        self.removing = list(
            partition.removing_replicas if change.removing is None else change.removing
        )
        self.elr = list(partition.elr)
        self.leader = partition.leader
        self.unclean = False

    def complete_reassignment(self) -> None:
        """Take the removed replicas off once all added ones are in the ISR."""
        if not self.adding and not self.removing:
            return
        isr = [each for each in self.isr if each not in self.removing]
        replicas = [each for each in self.replicas if each not in self.removing]
        if not isr or not set(self.adding) <= set(isr):
            return
        self.isr, self.replicas = isr, replicas
        self.adding, self.removing = [], []

    def settle_elr(self) -> None:
        """Below min ISR, those who leave the ISR stay eligible: nothing is committed without
        them.
        """
        if not self._change.elr_enabled:
            return
        if len(self.isr) >= self._change.min_isr:
            self.elr = []
            return
        candidates = sorted({*self.elr, *self._old.isr})
        gone = {*self.isr, *self._change.unclean_shutdown}
        self.elr = [each for each in candidates if each not in gone]

    def elect(self) -> None:
        self.leader, self.unclean = self._winner()
        if self.leader == self._old.leader:
            return
        if self.leader in self.elr:
            self.isr = [self.leader]
            self.elr = [each for each in self.elr if each != self.leader]

    def _winner(self) -> tuple[int, bool]:
        """The leader, and whether it takes an unclean election to have it."""
        preferred, rest = self.replicas[:1], self.replicas[1:]
        if self._change.election is Election.PREFERRED:
            candidates = [*preferred, self._old.leader, *rest]
        else:
            candidates = [self._old.leader, *self.replicas]
        for replica in candidates:
            if self._is_eligible(replica):
                return replica, False
        last_known = self._last_known_leader()
        if last_known is not None:
            return last_known, True
        if self._change.election is Election.UNCLEAN:
            for replica in self.replicas:
                if self._accepts(replica):
                    return replica, True
        return NO_LEADER, False

    def _is_eligible(self, replica: int) -> bool:
        known = replica in self.isr or (not self.isr and replica in self.elr)
        return known and self._accepts(replica)

    def _last_known_leader(self) -> int | None:
        """With ISR and ELR empty, whoever led last lost the least."""
        last = self._old.last_known_elr
        if not self._change.elr_enabled or self.elr or self.isr or len(last) != 1:
            return None
        return last[0] if self._accepts(last[0]) else None

    def record(
        self, image: MetadataImage, topic_id: bytes, partition_id: int
    ) -> PartitionChangeRecord | None:
        old = self._old
        record = PartitionChangeRecord(topic_id=topic_id, partition_id=partition_id)
        if self.leader != old.leader:
            record.leader = self.leader
        if self.unclean:
            record.isr = [self.leader]
            if old.leader_recovery_state != Recovery.RECOVERING:
                record.leader_recovery_state = Recovery.RECOVERING
        elif record.leader == NO_LEADER_CHANGE and not set(old.replicas) <= set(self.replicas):
            # A follower that was taken off must be fenced from the leader: that takes a new epoch.
            record.leader = old.leader
        elr = [] if self.unclean or not self._change.elr_enabled else self.elr
        if elr != old.elr:
            record.eligible_leader_replicas = elr
        may_set_isr = bool(self.isr) or self._change.elr_enabled
        if record.isr is None and may_set_isr and self.isr != old.isr:
            record.isr = self.isr
        if (
            image.metadata_version < ISR_SHRINKS_IN_ITS_EPOCH_SINCE
            and record.leader == NO_LEADER_CHANGE
            and record.isr is not None
            and not set(old.isr) <= set(record.isr)
        ):
            record.leader = old.leader
        self._note_last_known_leader(record)
        self._note_assignment(record, image)
        wanted = self._change.leader_recovery_state
        if wanted is not None and wanted != old.leader_recovery_state:
            record.leader_recovery_state = wanted
        nothing = PartitionChangeRecord(topic_id=topic_id, partition_id=partition_id)
        return None if record == nothing else record

    def _note_last_known_leader(self, record: PartitionChangeRecord) -> None:
        if not self._change.elr_enabled:
            return
        old = self._old
        if record.isr == [] and old.last_known_elr != [old.leader]:
            record.last_known_elr = [old.leader]
        elif old.last_known_elr and self.leader != NO_LEADER:
            record.last_known_elr = []

    def _note_assignment(self, record: PartitionChangeRecord, image: MetadataImage) -> None:
        old = self._old
        if image.metadata_version >= DIRECTORY_ASSIGNMENT_SINCE:
            known = dict(zip(old.replicas, old.directories, strict=True))
            known.update(self._change.directories or {})
            directories = [
                known[each] if each in known else default_directory(image, each)
                for each in self.replicas
            ]
            if directories != old.directories:
                record.directories = directories
        if self.replicas != old.replicas:
            record.replicas = self.replicas
        if self.removing != old.removing_replicas:
            record.removing_replicas = self.removing
        if self.adding != old.adding_replicas:
            record.adding_replicas = self.adding
