"""Loads what a quorum node must know before it starts: its latest snapshot, its epochs, its voters.

A snapshot up to offset 0 holds the voters and the bootstrap records. Of these only the voters count
(see `bootstrap.py`). Source: KRaftControlRecordStateMachine, KafkaRaftClient.initialize.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kbroker.wire.codec import decode
from kbroker.wire.records.kraft_version_record import KRaftVersionRecord
from kbroker.wire.records.voters_record import VotersRecord

from .bootstrap import BOOTSTRAP_SNAPSHOT, begins_with_bootstrap
from .delta import ImageDelta
from .image import MetadataImage
from .raft.control import ControlType, voter_set
from .raft.log import EpochLog
from .records import decode_record

if TYPE_CHECKING:
    from .raft.log import LogBatch, ReplicatedLog
    from .raft.voters import VoterSet


@dataclass(slots=True)
class Loaded:
    """`image` holds what the snapshot holds, `delta` tells of all of it; `voters` is the latest
    set, committed or not.

    `lacks_bootstrap`: a log that goes on without its bootstrap records, as this software once wrote
    them. `image` holds those, as it did then, and the first leader has to write them.
    """

    image: MetadataImage
    delta: ImageDelta
    epochs: EpochLog
    voters: VoterSet
    kraft_version: int
    lacks_bootstrap: bool = False


def load(log: ReplicatedLog, static_voters: VoterSet) -> Loaded:
    """Read the latest snapshot, and the control records of the log that follows it.

    ProtocolError, AssertionError or KeyError for a snapshot that makes no sense.
    """
    epochs = EpochLog(
        start_offset=log.start.offset,
        start_epoch=log.start.epoch,
        end_offset=log.end_offset,
        epochs=log.epochs(),
    )
    loaded = Loaded(MetadataImage(), ImageDelta(), epochs, static_voters, kraft_version=0)
    snapshot = log.latest_snapshot()
    if snapshot is not None:
        loaded.lacks_bootstrap = snapshot == BOOTSTRAP_SNAPSHOT and _lacks_bootstrap(log)
        is_state = snapshot != BOOTSTRAP_SNAPSHOT or loaded.lacks_bootstrap
        for batch in log.read_snapshot(snapshot):
            if batch.is_control:
                _take_control(batch, loaded)
            elif is_state:
                records = [decode_record(value) for value in batch.values]
                loaded.image.apply(records, 0, snapshot.epoch, loaded.delta)
        loaded.image.offset = snapshot.end_offset - 1
        loaded.image.epoch = snapshot.epoch
    for batch in log.read_control(loaded.image.offset + 1):
        _take_control(batch, loaded)
    return loaded


def _lacks_bootstrap(log: ReplicatedLog) -> bool:
    """Whether there are metadata records in the log, and not the bootstrap first of all."""
    for batch in log.read(0, log.end_offset):
        if not batch.is_control:
            return not begins_with_bootstrap(decode_record(batch.values[0]))
    return False


def _take_control(batch: LogBatch, loaded: Loaded) -> None:
    for control_type, value in zip(batch.control_types, batch.values, strict=True):
        if control_type == ControlType.KRAFT_VERSION:
            loaded.kraft_version = decode(KRaftVersionRecord, 0, value).kraft_version
        elif control_type == ControlType.KRAFT_VOTERS:
            loaded.voters = voter_set(decode(VotersRecord, 0, value))
