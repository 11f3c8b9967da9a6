"""Controller: the surface of one quorum node, as a broker or a node composes it.

    controller = Controller(log, settings, schema, bootstrap=..., rng=..., wall_ms=clock.wall_ms)
    controller.add_listener(publisher.apply)         # before run; (delta, offset, epoch)
    await nursery.start(controller.run)              # returns once this node serves
    response = await controller.channel.send(CreateTopicsRequest(...))

`controller.image` is what is committed; listeners are called as it moves, and whoever waits for an
answer is woken after them. A node that is not active refuses requests with NOT_CONTROLLER.
Loading, electing and the first commit take a few milliseconds beside the disk's syncs. `run` ends
by cancellation, or raises if the disk fails or the metadata make no sense; whoever opened the log
closes it afterwards.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import trio

from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.assign_replicas_to_dirs import AssignReplicasToDirsResponse
from kbroker.wire.messages.broker_heartbeat import BrokerHeartbeatResponse
from kbroker.wire.messages.broker_registration import BrokerRegistrationResponse
from kbroker.wire.uuids import random_uuid

from .active import ActiveController
from .bootstrap import feature_levels
from .channel import InProcessChannel
from .driver import Driver
from .loader import load
from .raft.control import quorum_records
from .raft.log import NoRoom, SnapshotId
from .raft.node import RaftNode
from .raft.roles import NEVER
from .raft.voters import ReplicaKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random
    from typing import NoReturn

    from kbroker.wire.message import Message
    from kbroker.wire.messages.add_raft_voter import AddRaftVoterRequest
    from kbroker.wire.messages.describe_quorum import (
        DescribeQuorumRequest,
        DescribeQuorumResponse,
    )
    from kbroker.wire.messages.remove_raft_voter import RemoveRaftVoterRequest

    from .channel import ControllerChannel
    from .driver import Listener
    from .image import MetadataImage
    from .raft.control import ControlType
    from .raft.log import ReplicatedLog
    from .raft.voters import VoterSet
    from .settings import ControllerSettings
    from .state.config_schema import ConfigSchema
    from .state.result import Result

logger = logging.getLogger(__name__)

# Each start and stop of a broker writes records of all its partitions. Where those behind the
# latest snapshot are so many, and more than a snapshot would have, a snapshot saves the next start
# their replay.
REPLAYED_RECORDS_MAX: Final = 20_000
REPLAYED_SHARE_MAX: Final = 2
SNAPSHOT_AFTER_START_MS: Final = 10_000
SNAPSHOT_RETRY_MS: Final = 60_000  # on a full disk


class Controller:
    """One node of the quorum: its log, its image, and the active controller while it leads."""

    def __init__(
        self,
        log: ReplicatedLog,
        settings: ControllerSettings,
        schema: ConfigSchema,
        *,
        bootstrap: Sequence[Message],
        voters: VoterSet,
        rng: Random,
        wall_ms: Callable[[], int],
    ) -> None:
        """Loads the latest snapshot. `bootstrap` is what a cluster without records begins with.

        `voters` is the static quorum; one that stands in the log goes before it. ValueError for a
        quorum of several voters, which is not built yet, and for a cluster at levels that this
        software does not know; what decoding and the log raise.
        """
        feature_levels(bootstrap)
        loaded = load(log, voters)
        if len(loaded.voters) != 1:
            raise ValueError(
                f"a quorum of {len(loaded.voters)} voters is not supported yet; it must have one "
                "voter"
            )
        self._log = log
        self._settings = settings
        self._schema = schema
        self._bootstrap = bootstrap
        self._lacks_bootstrap = loaded.lacks_bootstrap
        self._rng = rng
        self._wall_ms = wall_ms
        self._incarnation_id = random_uuid(rng)
        node = RaftNode(
            local=ReplicaKey(settings.node_id, settings.directory_id),
            voters=loaded.voters,
            log=loaded.epochs,
            stored=log.read_election_state(),
            config=settings.raft,
            rng=rng,
            kraft_version=loaded.kraft_version,
        )
        if not node.is_voter:
            raise ValueError(
                f"node {settings.node_id} with directory id {settings.directory_id.hex()} is not "
                f"the voter of the quorum, which is {next(iter(loaded.voters)).key}"
            )
        self._driver = Driver(log, node, loaded.image, loaded.delta, wall_ms)
        self._driver.on_applied = self._on_applied
        self._driver.on_turn = self._on_turn
        self._active: ActiveController | None = None
        self._ready = trio.Event()
        self._ready_offset = -1
        self._snapshot_wanted = trio.Event()
        self._snapshotting = trio.Lock()
        self._snapshot_due_ms = NEVER
        self._snapshot_end = loaded.image.offset + 1
        self.channel: ControllerChannel = InProcessChannel(self)

    @property
    def image(self) -> MetadataImage:
        """What is committed and applied; never changed but by this controller."""
        return self._driver.image

    @property
    def applied_offset(self) -> int:
        """Up to where (inclusive) all listeners have what the image says."""
        return self._driver.applied_end - 1

    @property
    def is_active(self) -> bool:
        return self._active is not None

    @property
    def leader_id(self) -> int | None:
        """The active controller, as far as this node knows."""
        return self._driver.node.leader_id

    @property
    def epoch(self) -> int:
        """The quorum's leader epoch, as far as this node knows."""
        return self._driver.node.epoch

    @property
    def kraft_version(self) -> int:
        """At which level the quorum itself runs, which no record of the image says."""
        return self._driver.node.kraft_version

    def add_listener(self, listener: Listener) -> None:
        """Before `run`. See Driver.add_listener."""
        self._driver.add_listener(listener)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be a node of the quorum until cancelled. Started once this node serves."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._driver.run)
            nursery.start_soon(self._write_snapshots)
            await self.until_active()
            if self._lacks_bootstrap:
                # Whoever reads the log from its beginning would find records at no level at first.
                # The next start takes this snapshot for the beginning, and finds nothing to mend.
                self._lacks_bootstrap = False
                await self.write_snapshot()
            task_status.started()

    async def until_active(self) -> None:
        """Return when this node is the active controller and has applied its first records."""
        await self._ready.wait()

    async def handle(self, request: Message) -> Message:
        """Serve a request that a controller serves. RequestError NOT_CONTROLLER; KeyError."""
        name = type(request).__name__
        if name in _QUESTIONS:
            return _QUESTIONS[name](self, request)
        active = self._active
        if active is None or active.epoch != self.epoch or not self._driver.can_append:
            raise RequestError(ErrorCode.NOT_CONTROLLER)
        try:
            result: Result[Message] = _DECISIONS[name](active, request)
            if name in _REFUSALS:
                active.write(result.records)
            else:
                active.write_atomically(result.records)
        except RequestError as error:
            if name not in _REFUSALS:
                raise
            logger.info("%s refused: %s", name, error)
            return _REFUSALS[name](error_code=error.code)
        # A read waits too, for whatever it has seen that is not committed yet.
        await self._driver.wait_applied(self._driver.end_offset - 1)
        return result.response

    def describe_quorum(self, request: DescribeQuorumRequest) -> DescribeQuorumResponse:
        """What any node of the quorum answers at once, the leader knowingly."""
        from .describe_quorum import describe_quorum

        return describe_quorum(
            self._driver.node,
            request,
            endpoints=self._settings.endpoints,
            now_ms=self._driver.now_ms(),
            wall_ms=self._wall_ms(),
        )

    def add_raft_voter(self, request: AddRaftVoterRequest) -> NoReturn:
        """RequestError: nobody can come to a quorum of one without a listener for controllers."""
        from .voter_changes import refuse_add

        refuse_add(
            self._driver.node,
            request,
            cluster_id=self._settings.cluster_id,
            listener=self._settings.controller_listener_names[0],
        )

    def remove_raft_voter(self, request: RemoveRaftVoterRequest) -> NoReturn:
        """RequestError: the only voter cannot go."""
        from .voter_changes import refuse_remove

        refuse_remove(self._driver.node, request, cluster_id=self._settings.cluster_id)

    # Called by the driver

    def _maybe_activate(self) -> None:
        """Become the active controller once this node leads and knows all that came before."""
        driver = self._driver
        if self._active is None and driver.has_caught_up and driver.can_append:
            self._active = ActiveController(
                driver, self._settings, self._schema, self._rng, self._incarnation_id
            )
            self._ready_offset = self._active.activate(
                self._bootstrap, lacks_bootstrap=self._lacks_bootstrap
            )

    def _on_applied(self) -> None:
        driver = self._driver
        self._maybe_activate()
        if (
            self._active is not None
            and driver.applied_end > self._ready_offset
            and not self._ready.is_set()
        ):
            self._ready.set()
            if self._is_replay_long():
                self._snapshot_due_ms = driver.now_ms() + SNAPSHOT_AFTER_START_MS
                driver.wake()
        settings = self._settings
        if driver.log_bytes_since_snapshot:
            if driver.log_bytes_since_snapshot >= (
                settings.metadata_log_max_record_bytes_between_snapshots
            ):
                self._snapshot_wanted.set()
            elif self._snapshot_due_ms == NEVER and settings.metadata_log_max_snapshot_interval_ms:
                self._snapshot_due_ms = (
                    driver.now_ms() + settings.metadata_log_max_snapshot_interval_ms
                )
                driver.wake()

    def _on_turn(self, now_ms: int) -> int:
        deadline_ms = NEVER
        if self._active is not None and not self._driver.node.is_leader:
            logger.info("no longer the active controller")
            self._active = None
            self._ready = trio.Event()
        if self._active is not None and self._driver.can_append:
            deadline_ms = self._active.on_turn(now_ms)
        if now_ms >= self._snapshot_due_ms:
            self._snapshot_wanted.set()
            return deadline_ms
        return min(deadline_ms, self._snapshot_due_ms)

    # Snapshots

    async def _write_snapshots(self) -> None:
        while True:
            await self._snapshot_wanted.wait()
            self._snapshot_wanted = trio.Event()
            await self.write_snapshot()

    async def condense(self) -> None:
        """Before a stop: write a snapshot, if the next start would have much to replay."""
        if self._is_replay_long():
            await self.write_snapshot()

    def _is_replay_long(self) -> bool:
        driver = self._driver
        held = sum(1 + len(topic.partitions) for topic in driver.image.topics.values())
        behind = driver.applied_end - self._snapshot_end
        return behind > max(REPLAYED_RECORDS_MAX, REPLAYED_SHARE_MAX * held)

    async def write_snapshot(self) -> None:
        """Write what is committed as a snapshot, and drop what that makes needless.

        Where there is no room for it, it is tried again later.
        """
        async with self._snapshotting:
            await self._write_snapshot()

    async def _write_snapshot(self) -> None:
        driver = self._driver
        if driver.image.in_transaction or driver.image.offset < 0:
            return
        image = driver.image.copy()
        driver.log_bytes_since_snapshot = 0
        self._snapshot_due_ms = NEVER
        timestamp_ms, wall_ms = driver.last_timestamp_ms, self._wall_ms()
        quorum = quorum_records(driver.node.voters, driver.node.kraft_version)
        try:
            await trio.to_thread.run_sync(_write, self._log, image, quorum, timestamp_ms, wall_ms)
            self._snapshot_end = image.offset + 1
            for blocking in self._log.clean(wall_ms):
                await trio.to_thread.run_sync(blocking)
        except NoRoom as error:
            logger.warning("cannot write a snapshot of the metadata now: %s", error)
            self._snapshot_due_ms = driver.now_ms() + SNAPSHOT_RETRY_MS
            driver.wake()
            return
        logger.info("wrote a snapshot of the metadata up to offset %d", image.offset)


def _write(
    log: ReplicatedLog,
    image: MetadataImage,
    quorum: list[tuple[ControlType, Message]],
    timestamp_ms: int,
    wall_ms: int,
) -> None:
    """In a thread: `image` is nobody else's."""
    from .snapshot import snapshot_batches, snapshot_records

    writer = log.create_snapshot(SnapshotId(image.offset + 1, image.epoch), wall_ms)
    try:
        for batch in snapshot_batches(
            snapshot_records(image),
            metadata_version=image.metadata_version,
            epoch=image.epoch,
            last_contained_timestamp_ms=timestamp_ms,
            control=quorum,
        ):
            writer.append(batch)
        writer.freeze()
    except BaseException:
        writer.abandon()
        raise


# Requests that a controller serves, by the name of their class: importing them all costs a start.
_DECISIONS: Final[Mapping[str, Callable[[ActiveController, Any], Result[Any]]]] = {
    "AllocateProducerIdsRequest": ActiveController.allocate_producer_ids,
    "AlterConfigsRequest": ActiveController.alter_configs,
    "AlterPartitionReassignmentsRequest": ActiveController.alter_partition_reassignments,
    "AssignReplicasToDirsRequest": ActiveController.assign_replicas_to_dirs,
    "BrokerHeartbeatRequest": ActiveController.broker_heartbeat,
    "BrokerRegistrationRequest": ActiveController.register_broker,
    "CreatePartitionsRequest": ActiveController.create_partitions,
    "CreateTopicsRequest": ActiveController.create_topics,
    "DeleteTopicsRequest": ActiveController.delete_topics,
    "ElectLeadersRequest": ActiveController.elect_leaders,
    "IncrementalAlterConfigsRequest": ActiveController.incremental_alter_configs,
    "ListPartitionReassignmentsRequest": ActiveController.list_partition_reassignments,
    "UnregisterBrokerRequest": ActiveController.unregister_broker,
    "UpdateFeaturesRequest": ActiveController.update_features,
}

# Those that are about the quorum itself, and wait for nothing.
_QUESTIONS: Final[Mapping[str, Callable[[Controller, Any], Message]]] = {
    "AddRaftVoterRequest": Controller.add_raft_voter,
    "DescribeQuorumRequest": Controller.describe_quorum,
    "RemoveRaftVoterRequest": Controller.remove_raft_voter,
}

# What these answer to a RequestError. Their records say of many partitions what follows from one
# broker's state, and may go into several batches.
_REFUSALS: Final[Mapping[str, Callable[..., Message]]] = {
    "AssignReplicasToDirsRequest": AssignReplicasToDirsResponse,
    "BrokerHeartbeatRequest": BrokerHeartbeatResponse,
    "BrokerRegistrationRequest": BrokerRegistrationResponse,
}
