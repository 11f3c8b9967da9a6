"""The active controller: the leader's state machine. Decides, appends, replays what it appended.

Its image runs ahead of what is committed. If leadership is lost, it is thrown away, and with it
whatever was not committed. Source: QuorumController.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from kbroker.wire.errors import ErrorCode, RequestError

from .bootstrap import first_records, late_records
from .features import (
    CONTROLLER_REGISTRATION_SINCE,
    FRESH,
    KRAFT_VERSION,
    METADATA_VERSION,
    SUPPORTED,
)
from .image_records import controller_record
from .model import ControllerImage
from .raft.roles import NEVER
from .raft.voters import Endpoint, Voter, VoterSet
from .records import encode_records
from .state.brokers import (
    decide_broker_heartbeat,
    decide_fence_silent_brokers,
    decide_register_broker,
    decide_unregister_broker,
)
from .state.producer_ids import decide_allocate_producer_ids
from .state.sessions import BrokerSessions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from kbroker.wire.message import Message
    from kbroker.wire.messages.allocate_producer_ids import (
        AllocateProducerIdsRequest,
        AllocateProducerIdsResponse,
    )
    from kbroker.wire.messages.alter_configs import AlterConfigsRequest, AlterConfigsResponse
    from kbroker.wire.messages.alter_partition_reassignments import (
        AlterPartitionReassignmentsRequest,
        AlterPartitionReassignmentsResponse,
    )
    from kbroker.wire.messages.assign_replicas_to_dirs import (
        AssignReplicasToDirsRequest,
        AssignReplicasToDirsResponse,
    )
    from kbroker.wire.messages.broker_heartbeat import (
        BrokerHeartbeatRequest,
        BrokerHeartbeatResponse,
    )
    from kbroker.wire.messages.broker_registration import (
        BrokerRegistrationRequest,
        BrokerRegistrationResponse,
    )
    from kbroker.wire.messages.create_partitions import (
        CreatePartitionsRequest,
        CreatePartitionsResponse,
    )
    from kbroker.wire.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
    from kbroker.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
    from kbroker.wire.messages.elect_leaders import ElectLeadersRequest, ElectLeadersResponse
    from kbroker.wire.messages.incremental_alter_configs import (
        IncrementalAlterConfigsRequest,
        IncrementalAlterConfigsResponse,
    )
    from kbroker.wire.messages.list_partition_reassignments import (
        ListPartitionReassignmentsRequest,
        ListPartitionReassignmentsResponse,
    )
    from kbroker.wire.messages.unregister_broker import (
        UnregisterBrokerRequest,
        UnregisterBrokerResponse,
    )
    from kbroker.wire.messages.update_features import (
        UpdateFeaturesRequest,
        UpdateFeaturesResponse,
    )

    from .driver import Driver
    from .settings import ControllerSettings
    from .state.config_schema import ConfigSchema
    from .state.result import Result

logger = logging.getLogger(__name__)

# As many records as Kafka's controller puts into a batch (MAX_RECORDS_PER_BATCH).
RECORDS_A_BATCH_MAX: Final = 10_000
# Brokers fenced in one turn of the quorum's pump; the next turn follows at once.
FENCED_A_TURN_MAX: Final = 100


class ActiveController:
    """One epoch of being the controller. Each method decides on one request; RequestError."""

    def __init__(
        self,
        driver: Driver,
        settings: ControllerSettings,
        schema: ConfigSchema,
        rng: Random,
        incarnation_id: bytes,
    ) -> None:
        self.epoch = driver.node.epoch
        self.image = driver.image.copy()
        self.sessions = BrokerSessions(settings.broker_session_timeout_ms)
        self._driver = driver
        self._settings = settings
        self._schema = schema
        self._rng = rng
        self._incarnation_id = incarnation_id
        self._last_append_ms = driver.now_ms()
        # A turn comes at least so often, and one that is as late again shows that this process did
        # not run.
        self._turn_ms_max = max(settings.broker_session_timeout_ms // 4, 1)
        self._turn_due_ms = NEVER

    def activate(self, bootstrap: Sequence[Message], *, lacks_bootstrap: bool) -> int:
        """Write what every new leader writes. Returns the offset from which on it serves.

        `lacks_bootstrap` as in `loader.Loaded`.
        """
        self.sessions.begin(self.image, self._driver.now_ms())
        records: list[Message] = []
        if self.image.in_transaction:
            from kbroker.wire.records.abort_transaction_record import AbortTransactionRecord

            records.append(AbortTransactionRecord(reason="Controller failover"))
        min_isr = self._settings.min_insync_replicas
        if not self.image.features:
            records += first_records(bootstrap, min_isr)
        elif lacks_bootstrap:
            records += late_records(self.image, bootstrap, min_isr)
        self.write(records)
        self._register_self()
        logger.info("became the active controller in epoch %d", self._driver.node.epoch)
        return self._driver.end_offset - 1

    def _register_self(self) -> None:
        """As soon as the records can say it: at a start, and when metadata.version is raised."""
        if self.image.metadata_version < CONTROLLER_REGISTRATION_SINCE:
            return
        me = ControllerImage(
            controller_id=self._settings.node_id,
            incarnation_id=self._incarnation_id,
            endpoints=dict(self._settings.endpoints),
            features=dict(SUPPORTED),
        )
        if self.image.controllers.get(me.controller_id) != me:
            self.write([controller_record(me)])

    def write(self, records: Sequence[Message]) -> None:
        """Append and replay, in as many batches as it takes: a crash may leave the first of
        them.
        """
        values = self._encode(records)
        start, size = 0, 0
        for index, value in enumerate(values):
            size += len(value)
            if size > self._driver.batch_bytes_max or index - start == RECORDS_A_BATCH_MAX:
                self._append(records[start:index], values[start:index])
                start, size = index, len(value)
        self._append(records[start:], values[start:])

    def write_atomically(self, records: Sequence[Message]) -> None:
        """Append and replay in one batch, or not at all: RequestError if they do not fit."""
        values = self._encode(records)
        size, most = sum(map(len, values)), self._driver.batch_bytes_max
        if size > most:
            raise RequestError(
                ErrorCode.RECORD_LIST_TOO_LARGE,
                f"The total record(s) size of {size} exceeds the maximum allowed batch size of "
                f"{most}",
            )
        self._append(records, values)

    def _encode(self, records: Sequence[Message]) -> tuple[bytes, ...]:
        """First of all: what cannot be written must not be replayed."""
        # The very first batch is written at the level that it brings with it.
        return encode_records(records, self.image.metadata_version or FRESH[METADATA_VERSION])

    def _append(self, records: Sequence[Message], values: Sequence[bytes]) -> None:
        if not records:
            return
        offset, epoch = self._driver.end_offset, self._driver.node.epoch
        self._driver.append(records, values)
        delta = self.image.apply(records, offset, epoch)
        self._last_append_ms = self._driver.now_ms()
        if METADATA_VERSION in delta.features_changed:
            self._register_self()

    def on_turn(self, now_ms: int) -> int:
        """Fence the silent, write a no-op into an idle log. Returns when to come again."""
        late_ms = now_ms - self._turn_due_ms
        if late_ms > self._turn_ms_max:
            # It was stopped, starved or had to wait for its disk, and could not hear who spoke: a
            # node that is broker and controller would fence itself.
            logger.warning(
                "the controller did not run for %d ms, so all broker sessions are renewed", late_ms
            )
            self.sessions.renew(now_ms)
        for _ in range(FENCED_A_TURN_MAX):
            result = decide_fence_silent_brokers(
                self.image, schema=self._schema, sessions=self.sessions, now_ms=now_ms
            )
            if result.response is None:
                break
            logger.warning("fencing broker %d: its session has timed out", result.response)
            self.sessions.forget(result.response)
            self.write(result.records)
        expiry_ms = self.sessions.next_expiry_ms(self.image)
        self._turn_due_ms = min(
            now_ms + self._turn_ms_max,
            NEVER if expiry_ms is None else expiry_ms,
            self._next_no_op_ms(now_ms),
        )
        return self._turn_due_ms

    def _next_no_op_ms(self, now_ms: int) -> int:
        """No-ops show those who follow the log that its leader lives (KIP-835)."""
        tracker, interval_ms = (
            self._driver.node.tracker,
            self._settings.metadata_max_idle_interval_ms,
        )
        if interval_ms <= 0 or tracker is None or not tracker.follows_others:
            return NEVER
        if now_ms >= self._last_append_ms + interval_ms:
            from kbroker.wire.records.no_op_record import NoOpRecord

            self.write([NoOpRecord()])
        return self._last_append_ms + interval_ms

    # Requests. Decisions that a start does not need are imported when they are first made.

    def create_topics(self, request: CreateTopicsRequest) -> Result[CreateTopicsResponse]:
        from .state.create_topics import decide_create_topics

        return decide_create_topics(
            self.image, request, settings=self._settings, schema=self._schema, rng=self._rng
        )

    def delete_topics(self, request: DeleteTopicsRequest) -> Result[DeleteTopicsResponse]:
        from .state.delete_topics import decide_delete_topics

        return decide_delete_topics(self.image, request, settings=self._settings, rng=self._rng)

    def create_partitions(
        self, request: CreatePartitionsRequest
    ) -> Result[CreatePartitionsResponse]:
        from .state.create_partitions import decide_create_partitions

        return decide_create_partitions(self.image, request, rng=self._rng)

    def incremental_alter_configs(
        self, request: IncrementalAlterConfigsRequest
    ) -> Result[IncrementalAlterConfigsResponse]:
        from .state.configs import decide_incremental_alter_configs

        return decide_incremental_alter_configs(self.image, request, schema=self._schema)

    def alter_configs(self, request: AlterConfigsRequest) -> Result[AlterConfigsResponse]:
        from .state.configs import decide_alter_configs

        return decide_alter_configs(self.image, request, schema=self._schema)

    def alter_partition_reassignments(
        self, request: AlterPartitionReassignmentsRequest
    ) -> Result[AlterPartitionReassignmentsResponse]:
        from .state.reassignments import decide_alter_partition_reassignments

        return decide_alter_partition_reassignments(self.image, request, schema=self._schema)

    def list_partition_reassignments(
        self, request: ListPartitionReassignmentsRequest
    ) -> Result[ListPartitionReassignmentsResponse]:
        from .state.reassignments import decide_list_partition_reassignments

        return decide_list_partition_reassignments(self.image, request)

    def elect_leaders(self, request: ElectLeadersRequest) -> Result[ElectLeadersResponse]:
        from .state.elect_leaders import decide_elect_leaders

        return decide_elect_leaders(self.image, request, schema=self._schema)

    def allocate_producer_ids(
        self, request: AllocateProducerIdsRequest
    ) -> Result[AllocateProducerIdsResponse]:
        return decide_allocate_producer_ids(self.image, request)

    def assign_replicas_to_dirs(
        self, request: AssignReplicasToDirsRequest
    ) -> Result[AssignReplicasToDirsResponse]:
        from .state.directories import decide_assign_replicas_to_dirs

        return decide_assign_replicas_to_dirs(self.image, request, schema=self._schema)

    def register_broker(
        self, request: BrokerRegistrationRequest
    ) -> Result[BrokerRegistrationResponse]:
        now_ms = self._driver.now_ms()
        result = decide_register_broker(
            self.image,
            request,
            cluster_id=self._settings.cluster_id,
            node_id=self._settings.node_id,
            next_offset=self._driver.end_offset,
            schema=self._schema,
            sessions=self.sessions,
            now_ms=now_ms,
        )
        self.sessions.touch(request.broker_id, result.response.broker_epoch, -1, now_ms)
        return result

    def broker_heartbeat(self, request: BrokerHeartbeatRequest) -> Result[BrokerHeartbeatResponse]:
        result = decide_broker_heartbeat(
            self.image, request, schema=self._schema, sessions=self.sessions
        )
        self.sessions.touch(
            request.broker_id,
            request.broker_epoch,
            request.current_metadata_offset,
            self._driver.now_ms(),
        )
        if request.want_shut_down and not result.response.should_shut_down:
            end = self._driver.end_offset + len(result.records) - 1
            self.sessions.note_shutdown(request.broker_id, end)
        return result

    def update_features(self, request: UpdateFeaturesRequest) -> Result[UpdateFeaturesResponse]:
        from .state.features import decide_update_features

        node = self._driver.node
        result, kraft_version = decide_update_features(
            self.image, request, settings=self._settings, kraft_version=node.kraft_version
        )
        if kraft_version > node.kraft_version:
            self._driver.name_voters(kraft_version, self._named_voters())
        return result

    def _named_voters(self) -> VoterSet:
        """The voters, who were known by their ids until now, with all that is known of this one."""
        node, endpoints = self._driver.node, self._settings.endpoints
        me = Voter(
            node.local,
            tuple((name, Endpoint(each.host, each.port)) for name, each in endpoints.items()),
            SUPPORTED[KRAFT_VERSION],
        )
        return VoterSet({each.key.id: each for each in (*node.voters, me)})

    def unregister_broker(
        self, request: UnregisterBrokerRequest
    ) -> Result[UnregisterBrokerResponse]:
        result = decide_unregister_broker(self.image, request, schema=self._schema)
        self.sessions.forget(request.broker_id)
        return result
