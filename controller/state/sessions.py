"""The sessions of brokers: when the active controller last heard of each.

`brokers.decide_fence_silent_brokers` fences the brokers whose session is over. Sessions are not
replicated: a new leader starts with a whole session for every broker that is not fenced.
Source: BrokerHeartbeatManager, BrokerHeartbeatTracker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kbroker.controller.context import DecisionContext
    from kbroker.controller.image import MetadataImage
    from kbroker.wire.messages.broker_heartbeat import (
        BrokerHeartbeatRequest,
        BrokerHeartbeatResponse,
    )
    from kbroker.wire.messages.broker_registration import (
        BrokerRegistrationRequest,
        BrokerRegistrationResponse,
    )
    from kbroker.wire.messages.unregister_broker import (
        UnregisterBrokerRequest,
        UnregisterBrokerResponse,
    )

    from .result import Result


@dataclass(slots=True)
class Session:
    """`epoch` is the broker's; `shutdown_offset` is where its controlled shutdown ends, or -1."""

    epoch: int
    last_contact_ms: int
    metadata_offset: int = -1
    shutdown_offset: int = -1


class BrokerSessions:
    """The active controller's. Times are of the controller's own monotonic clock."""

    def __init__(self, timeout_ms: int) -> None:
        self._timeout_ms = timeout_ms
        self._sessions: dict[int, Session] = {}

    def begin(self, image: MetadataImage, now_ms: int) -> None:
        """This node has begun to lead: every unfenced broker has a whole session to show up."""
        self._sessions = {
            broker.broker_id: Session(broker.epoch, now_ms)
            for broker in image.brokers.values()
            if not broker.fenced
        }

    def get(self, broker_id: int) -> Session | None:
        return self._sessions.get(broker_id)

    def is_valid(self, broker_id: int, epoch: int, now_ms: int) -> bool:
        """Whether that life of the broker was heard of within the session timeout."""
        session = self._sessions.get(broker_id)
        return (
            session is not None
            and session.epoch == epoch
            and now_ms < session.last_contact_ms + self._timeout_ms
        )

    def touch(self, broker_id: int, epoch: int, metadata_offset: int, now_ms: int) -> None:
        """The broker was heard of."""
        session = self._sessions.pop(broker_id, None)
        if session is None or session.epoch != epoch:
            session = Session(epoch, now_ms)
        session.last_contact_ms = now_ms
        session.metadata_offset = metadata_offset
        # At the end: the longest silent stands first.
        self._sessions[broker_id] = session

    def renew(self, now_ms: int) -> None:
        """Nobody could be heard of until now: every broker has a whole session again."""
        for session in self._sessions.values():
            session.last_contact_ms = now_ms

    def note_shutdown(self, broker_id: int, offset: int) -> None:
        """The broker's controlled shutdown is in the log, up to `offset`."""
        session = self._sessions.get(broker_id)
        if session is not None and session.shutdown_offset < 0:
            session.shutdown_offset = offset

    def forget(self, broker_id: int) -> None:
        self._sessions.pop(broker_id, None)

    def lowest_metadata_offset(self, image: MetadataImage) -> int | None:
        """How far all active brokers have read the metadata; None if there are none."""
        offsets = [
            session.metadata_offset
            for broker_id, session in self._sessions.items()
            if image.is_active(broker_id)
        ]
        return min(offsets, default=None)

    def expired(self, image: MetadataImage, now_ms: int) -> list[int]:
        """Unfenced brokers that were silent for too long."""
        return [
            broker_id
            for broker_id, session in self._sessions.items()
            if now_ms >= session.last_contact_ms + self._timeout_ms
            and broker_id in image.brokers
            and not image.brokers[broker_id].fenced
        ]

    def next_expiry_ms(self, image: MetadataImage) -> int | None:
        """When to look for expired sessions again; None: not before something happens."""
        for broker_id, session in self._sessions.items():
            broker = image.brokers.get(broker_id)
            if broker is not None and not broker.fenced:
                return session.last_contact_ms + self._timeout_ms
        return None


def note_registration(
    context: DecisionContext,
    request: BrokerRegistrationRequest,
    result: Result[BrokerRegistrationResponse],
) -> None:
    """A broker has a new life, or the same one still."""
    epoch = result.response.broker_epoch
    context.sessions.touch(request.broker_id, epoch, -1, context.now_ms)


def note_heartbeat(
    context: DecisionContext,
    request: BrokerHeartbeatRequest,
    result: Result[BrokerHeartbeatResponse],
) -> None:
    """A broker was heard of. It may have begun a controlled shutdown, which `result` records."""
    context.sessions.touch(
        request.broker_id, request.broker_epoch, request.current_metadata_offset, context.now_ms
    )
    if request.want_shut_down and not result.response.should_shut_down:
        end = context.next_offset + len(result.records) - 1
        context.sessions.note_shutdown(request.broker_id, end)


def note_unregistration(
    context: DecisionContext,
    request: UnregisterBrokerRequest,
    result: Result[UnregisterBrokerResponse],
) -> None:
    """A broker is forgotten."""
    context.sessions.forget(request.broker_id)
