"""One member of a classic group."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kbroker.coordinators.deadlines import Deadline
    from kbroker.coordinators.group.deadlines import GroupEvent
    from kbroker.coordinators.result import Parked
    from kbroker.wire.messages.join_group import JoinGroupResponse
    from kbroker.wire.messages.sync_group import SyncGroupResponse


class Member:
    """A member of a classic group."""

    __slots__ = (
        "assignment",
        "awaiting_join",
        "awaiting_sync",
        "client_host",
        "client_id",
        "instance_id",
        "is_new",
        "member_id",
        "protocol_type",
        "protocols",
        "rebalance_timeout_ms",
        "session",
        "session_timeout_ms",
    )

    def __init__(
        self,
        *,
        member_id: str,
        instance_id: str | None,
        client_id: str,
        client_host: str,
        rebalance_timeout_ms: int,
        session_timeout_ms: int,
        protocol_type: str,
        protocols: list[tuple[str, bytes]],
        session: Deadline[GroupEvent],
        assignment: bytes = b"",
    ) -> None:
        self.member_id = member_id
        self.instance_id = instance_id  # group.instance.id of a static member (KIP-345)
        self.client_id = client_id
        self.client_host = client_host
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.session_timeout_ms = session_timeout_ms
        self.protocol_type = protocol_type
        self.protocols = protocols  # name and metadata, the most wanted first
        self.assignment = assignment
        self.session = session
        self.awaiting_join: Parked[JoinGroupResponse] | None = None
        self.awaiting_sync: Parked[SyncGroupResponse] | None = None
        self.is_new = False  # joined, and has not been told its id yet: it cannot send heartbeats

    def metadata(self, protocol: str) -> bytes:
        for name, metadata in self.protocols:
            if name == protocol:
                return metadata
        raise KeyError(f"member {self.member_id} has no protocol {protocol}")

    def vote(self, candidates: set[str]) -> str | None:
        """The candidate this member likes best."""
        return next((name for name, _ in self.protocols if name in candidates), None)

    @property
    def has_satisfied_heartbeat(self) -> bool:
        """Whether its session may pass: it waits for us. A new member may not wait forever."""
        if self.is_new:
            return False
        return self.awaiting_join is not None or self.awaiting_sync is not None
