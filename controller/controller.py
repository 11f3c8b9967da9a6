"""One node of the quorum, as a broker uses it.

    controller = Controller(log, settings, schema, bootstrap=..., rng=..., wall_ms=clock.wall_ms)
    controller.add_listener(publisher.apply)         # before run; (delta, offset, epoch)
    await nursery.start(controller.run)              # returns once this node serves
    response = await controller.channel.send(CreateTopicsRequest(...))

`controller.image` is the committed state. Listeners are called when it changes, and requests that
wait for the change are answered after them. A node that is not active refuses requests with
NOT_CONTROLLER. Loading, electing and the first commit take a few milliseconds, not counting the
syncs of the disk. `run` ends by cancellation, or raises if the disk fails or the metadata are
inconsistent. Whoever opened the log closes it afterwards.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeVar, cast

import trio

from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.uuids import random_uuid

from .active import ActiveController
from .bootstrap import feature_levels
from .channel import InProcessChannel
from .context import QuorumContext
from .decisions import DECISIONS, Question
from .driver import Driver
from .loader import load
from .raft.control import quorum_records
from .raft.log import NoRoom, SnapshotId
from .raft.node import RaftNode
from .raft.roles import NEVER
from .raft.voters import ReplicaKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from kbroker.wire.message import Message, Request

    from .channel import ControllerChannel
    from .driver import Listener
    from .image import MetadataImage
    from .raft.control import ControlType
    from .raft.log import ReplicatedLog
    from .raft.voters import VoterSet
    from .settings import ControllerSettings
    from .state.config_schema import ConfigSchema

    ResponseT = TypeVar("ResponseT", bound=Message)

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
        self._driver = Driver(
            log,
            node,
            loaded.image,
            loaded.delta,
            wall_ms,
            on_applied=self._on_applied,
            on_turn=self._on_turn,
        )
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

    async def handle(self, request: Request[ResponseT]) -> ResponseT:
        """Serve a request of the table of decisions. RequestError NOT_CONTROLLER; KeyError."""
        row = DECISIONS[type(request)]
        if isinstance(row, Question):
            answer: ResponseT = row.answer(self._quorum_context(), request)
            return answer
        active = self._active
        if active is None or active.epoch != self.epoch or not self._driver.can_append:
            raise RequestError(ErrorCode.NOT_CONTROLLER)
        try:
            response = active.serve(row, request)
        except RequestError as error:
            if row.refusal is None:
                raise
            logger.info("%s refused: %s", type(request).__name__, error)
            return cast("ResponseT", row.refusal(error_code=error.code))
        # A read waits too, for whatever it has seen that is not committed yet.
        await self._driver.wait_applied(self._driver.end_offset - 1)
        return response

    def _quorum_context(self) -> QuorumContext:
        return QuorumContext(
            node=self._driver.node,
            settings=self._settings,
            now_ms=self._driver.now_ms(),
            wall_ms=self._wall_ms(),
        )

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
