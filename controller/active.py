"""The active controller: the state machine of the leader. It decides, appends records, and replays
them.

Its image holds records that are not committed yet. A node that loses the leadership drops the
active controller, and with it the records that were not committed. Source: QuorumController.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeVar

from kbroker.wire.errors import ErrorCode, RequestError

from .bootstrap import first_records, late_records
from .context import DecisionContext
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
from .state.brokers import decide_fence_silent_brokers
from .state.sessions import BrokerSessions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from kbroker.wire.message import Message, Request

    from .decisions import Decision
    from .driver import Driver
    from .settings import ControllerSettings
    from .state.config_schema import ConfigSchema
    from .state.result import Result

    ResponseT = TypeVar("ResponseT", bound=Message)

logger = logging.getLogger(__name__)

# As many records as Kafka's controller puts into a batch (MAX_RECORDS_PER_BATCH).
RECORDS_A_BATCH_MAX: Final = 10_000
# Brokers fenced in one turn of the quorum's pump; the next turn follows at once.
FENCED_A_TURN_MAX: Final = 100


class ActiveController:
    """One epoch of being the controller."""

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

    def serve(self, decision: Decision, request: Request[ResponseT]) -> ResponseT:
        """Decide on a request, and append what was decided. RequestError."""
        context = self._context(self._driver.now_ms())
        result: Result[ResponseT] = decision.decide(context, request)
        if decision.note is not None:
            decision.note(context, request, result)
        if result.kraft_version is not None:
            self._driver.name_voters(result.kraft_version, self._named_voters())
        if decision.is_atomic:
            self.write_atomically(result.records)
        else:
            self.write(result.records)
        return result.response

    def _context(self, now_ms: int) -> DecisionContext:
        return DecisionContext(
            image=self.image,
            sessions=self.sessions,
            settings=self._settings,
            schema=self._schema,
            rng=self._rng,
            now_ms=now_ms,
            next_offset=self._driver.end_offset,
            kraft_version=self._driver.node.kraft_version,
        )

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
            result = decide_fence_silent_brokers(self._context(now_ms))
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

    def _named_voters(self) -> VoterSet:
        """The voters, who were known by their ids until now, with all that is known of this one."""
        node, endpoints = self._driver.node, self._settings.endpoints
        me = Voter(
            node.local,
            tuple((name, Endpoint(each.host, each.port)) for name, each in endpoints.items()),
            SUPPORTED[KRAFT_VERSION],
        )
        return VoterSet({each.key.id: each for each in (*node.voters, me)})
