"""What controller tests build from: a cluster's image, requests, a node on a simulated disk."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from kbroker.config import BrokerConfig
from kbroker.config.schema import ConfigSchema
from kbroker.controller.bootstrap import bootstrap_records, first_records
from kbroker.controller.context import DecisionContext
from kbroker.controller.controller import Controller
from kbroker.controller.features import FRESH, SUPPORTED
from kbroker.controller.image import MetadataImage
from kbroker.controller.raft.voters import ReplicaKey, VoterSet
from kbroker.controller.settings import ControllerSettings
from kbroker.controller.state.brokers import decide_broker_heartbeat, decide_broker_registration
from kbroker.controller.state.features import decide_update_features
from kbroker.controller.state.sessions import BrokerSessions, note_registration
from kbroker.metadata_log.format import format_log_dir, read_bootstrap
from kbroker.metadata_log.log import MetadataLog, MetadataLogConfig, open_metadata_log
from kbroker.storage.log_dir_opening import open_log_dir
from kbroker.wire.messages.broker_heartbeat import BrokerHeartbeatRequest, BrokerHeartbeatResponse
from kbroker.wire.messages.broker_registration import (
    BrokerRegistrationRequest,
    BrokerRegistrationResponse,
    Feature,
    Listener,
)
from kbroker.wire.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kbroker.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from tests.sim.disk import SimDisk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from kbroker.controller.driver import Listener as DeltaListener
    from kbroker.wire.message import Message

DATA = "/data"
CLUSTER = "a cluster"
DIRECTORY = b"the directory id"
SCHEMA = ConfigSchema(BrokerConfig({}))
SETTINGS = ControllerSettings(node_id=1, cluster_id=CLUSTER, directory_id=DIRECTORY)


def directory_of(broker_id: int) -> bytes:
    return b"directory no %3d" % broker_id


def registration(
    broker_id: int = 1,
    *,
    incarnation: int = 1,
    rack: str | None = None,
    previous_epoch: int = -1,
    directories: list[bytes] | None = None,
    cluster_id: str = CLUSTER,
    features: Mapping[str, tuple[int, int]] = SUPPORTED,
) -> BrokerRegistrationRequest:
    return BrokerRegistrationRequest(
        broker_id=broker_id,
        cluster_id=cluster_id,
        incarnation_id=b"incarnation %4d" % (broker_id * 100 + incarnation),
        listeners=[Listener(name="PLAINTEXT", host="h", port=9092, security_protocol=0)],
        features=[
            Feature(name=name, min_supported_version=low, max_supported_version=high)
            for name, (low, high) in features.items()
        ],
        rack=rack,
        log_dirs=[directory_of(broker_id)] if directories is None else directories,
        previous_broker_epoch=previous_epoch,
    )


class Cluster:
    """An image and what a controller keeps beside it, moved by hand: decide, replay."""

    def __init__(
        self,
        brokers: int = 1,
        racks: Mapping[int, str] | None = None,
        levels: Mapping[str, int] = FRESH,
    ) -> None:
        self.image = MetadataImage()
        self.sessions = BrokerSessions(9_000)
        self.rng = random.Random(7)
        self.now_ms = 0
        self.kraft_version = 0
        self.log: list[Message] = []
        self.commit(first_records(bootstrap_records(levels), 1))
        for broker_id in range(1, brokers + 1):
            self.register(broker_id, rack=(racks or {}).get(broker_id))
            self.heartbeat(broker_id)

    @property
    def end_offset(self) -> int:
        return self.image.offset + 1

    def context(self, **changes: object) -> DecisionContext:
        """What a decision knows at this moment, but for the changes."""
        known = DecisionContext(
            image=self.image,
            sessions=self.sessions,
            settings=SETTINGS,
            schema=SCHEMA,
            rng=self.rng,
            now_ms=self.now_ms,
            next_offset=self.end_offset,
            kraft_version=self.kraft_version,
        )
        return replace(known, **changes)  # type: ignore[arg-type]

    def commit(self, records: Iterable[Message]) -> None:
        records = list(records)
        self.log += records
        self.image.apply(records, self.end_offset, 1)

    def register(self, broker_id: int = 1, **fields: object) -> BrokerRegistrationResponse:
        return self.send(registration(broker_id, **fields))  # type: ignore[arg-type]

    def send(self, request: BrokerRegistrationRequest) -> BrokerRegistrationResponse:
        result = decide_broker_registration(self.context(), request)
        note_registration(self.context(), request, result)
        self.commit(result.records)
        return result.response

    def heartbeat(
        self, broker_id: int = 1, *, offset: int | None = None, **wants: object
    ) -> BrokerHeartbeatResponse:
        request = BrokerHeartbeatRequest(
            broker_id=broker_id,
            broker_epoch=self.image.brokers[broker_id].epoch,
            current_metadata_offset=self.image.offset if offset is None else offset,
            **wants,  # type: ignore[arg-type]
        )
        result = decide_broker_heartbeat(self.context(), request)
        self.sessions.touch(
            broker_id, request.broker_epoch, request.current_metadata_offset, self.now_ms
        )
        self.commit(result.records)
        return result.response

    def update_features(
        self, *updates: FeatureUpdateKey, validate_only: bool = False
    ) -> tuple[UpdateFeaturesResponse, tuple[Message, ...]]:
        """The answer, and the records that went into the log."""
        result = decide_update_features(
            self.context(),
            UpdateFeaturesRequest(feature_updates=list(updates), validate_only=validate_only),
        )
        if result.kraft_version is not None:
            self.kraft_version = result.kraft_version
        self.commit(result.records)
        return result.response, result.records

    def create(self, *topics: CreatableTopic, validate_only: bool = False) -> CreateTopicsResponse:
        from kbroker.controller.state.create_topics import decide_create_topics

        result = decide_create_topics(
            self.context(), CreateTopicsRequest(topics=list(topics), validate_only=validate_only)
        )
        self.commit(result.records)
        return result.response


def topic(
    name: str,
    partitions: int = 1,
    replication_factor: int = 1,
    *,
    configs: Mapping[str, str | None] | None = None,
    assignments: Iterable[tuple[int, list[int]]] = (),
) -> CreatableTopic:
    return CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=replication_factor,
        assignments=[
            CreatableReplicaAssignment(partition_index=index, broker_ids=list(replicas))
            for index, replicas in assignments
        ],
        configs=[
            CreatableTopicConfig(name=key, value=value) for key, value in (configs or {}).items()
        ],
    )


class Machine:
    """A node whose disk survives it. `start` opens the directory and runs a controller in it."""

    def __init__(self, seed: int = 1, levels: Mapping[str, int] = FRESH) -> None:
        """`levels`: those at which the directory is formatted."""
        self.rng = random.Random(seed)
        self.levels = levels
        self.disk = SimDisk(self.rng)
        self.wall_ms = 1_700_000_000_000
        self.log_config = MetadataLogConfig()
        self.settings: dict[str, object] = {}

    def open(self, voters: VoterSet | None = None) -> Controller:
        disk = self.disk
        directory = open_log_dir(disk, DATA, rng=self.rng, now_ms=self.wall_ms)
        self.directory = directory
        meta = directory.meta or format_log_dir(
            disk,
            directory,
            node_id=1,
            cluster_id=CLUSTER,
            rng=self.rng,
            now_ms=self.wall_ms,
            features=self.levels,
        )
        assert meta.directory_id is not None
        self.log = open_metadata_log(disk, directory, self.log_config, now_ms=self.wall_ms)
        self.directory_id = meta.directory_id
        return Controller(
            self.log,
            ControllerSettings(
                node_id=1,
                cluster_id=CLUSTER,
                directory_id=meta.directory_id,
                **self.settings,  # type: ignore[arg-type]
            ),
            SCHEMA,
            bootstrap=read_bootstrap(disk, DATA, self.log.latest_snapshot()),
            voters=voters or VoterSet.of(ReplicaKey(1)),
            rng=self.rng,
            wall_ms=self._wall_ms,
        )

    def reopened_log(self) -> MetadataLog:
        """The log of a node that was closed."""
        self.open()
        return self.log

    def _wall_ms(self) -> int:
        self.wall_ms += 1
        return self.wall_ms

    @asynccontextmanager
    async def running(
        self, *listeners: DeltaListener, on_open: Callable[[Controller], None] | None = None
    ) -> AsyncIterator[Controller]:
        """A controller with one unfenced broker, until the block ends; then closed cleanly."""
        controller = self.open()
        for listener in listeners:
            controller.add_listener(listener)
        if on_open is not None:
            on_open(controller)
        async with trio.open_nursery() as nursery:
            await nursery.start(controller.run)
            await self.join(controller)
            yield controller
            nursery.cancel_scope.cancel()
        self.directory.close()

    async def join(self, controller: Controller) -> None:
        """Register broker 1 and have it unfenced."""
        registered = await controller.channel.send(
            registration(incarnation=self.rng.randrange(100), directories=[self.directory_id])
        )
        assert isinstance(registered, BrokerRegistrationResponse)
        assert registered.error_code == 0
        heard = await controller.channel.send(
            BrokerHeartbeatRequest(
                broker_id=1,
                broker_epoch=registered.broker_epoch,
                current_metadata_offset=controller.image.offset,
            )
        )
        assert isinstance(heard, BrokerHeartbeatResponse)
        assert not heard.is_fenced
