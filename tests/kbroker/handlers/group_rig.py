"""Handlers of groups over a coordinator in memory; requests and responses go through the wire's
bytes.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from kbroker.requests.services import RequestContext
from kbroker.wire import codec
from kbroker.wire.api_keys import API_TABLE, ApiKey
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.join_group import JoinGroupRequest, JoinGroupResponse
from kbroker.wire.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
from kbroker.wire.messages.sync_group import SyncGroupResponse
from tests.kbroker.broker_parts import connection
from tests.kbroker.coordinators.rig import GROUP, CoordinatorRig, join_request, sync_request

from .cluster_rig import ClusterRig

if TYPE_CHECKING:
    import trio

    from kbroker.wire.message import Message

R = TypeVar("R", bound="Message")


class GroupRig(ClusterRig):
    """`ask` handlers at a version. The topic "t" has 3 partitions."""

    def __init__(self, **settings: object) -> None:
        defaults = {"group_initial_rebalance_delay_ms": 0, "offsets_topic_num_partitions": 4}
        super().__init__(
            {name.replace("_", "."): str(value) for name, value in {**defaults, **settings}.items()}
        )
        self.groups = CoordinatorRig(self.config, self.image)
        self.services.groups = self.groups.coordinator
        self.add_topic("t", 3)

    async def start(self, nursery: trio.Nursery) -> None:
        await nursery.start(self.groups.run)
        assert (await self.groups.coordinator.find(GROUP))[0] == ErrorCode.NONE

    async def ask(
        self,
        request: Message,
        response: type[R],
        version: int,
        *,
        client_id: str | None = "app",
        peer_host: str = "127.0.0.1",
    ) -> R:
        assert request.API_KEY is not None
        entry = API_TABLE[ApiKey(request.API_KEY)]
        handler: Any = import_module(f"kbroker.handlers.{_module(entry.name)}")
        received = codec.decode(type(request), version, codec.encode(request, version))
        ctx = RequestContext(
            self.services, connection(peer_host), request.API_KEY, version, 1, client_id
        )
        answer = handler.handle(received, ctx)
        if inspect.iscoroutine(answer):
            answer = await answer
        assert isinstance(answer, response)
        return codec.decode(response, version, codec.encode(answer, version))

    async def join(self, request: JoinGroupRequest, version: int = 9) -> JoinGroupResponse:
        """To the end: with the id that a new member is told to come back with."""
        response = await self.ask(request, JoinGroupResponse, version)
        if response.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            request.member_id = response.member_id
            response = await self.ask(request, JoinGroupResponse, version)
        return response

    async def alone(self, group_id: str = GROUP) -> str:
        """The id of the only member of a stable group."""
        joined = await self.join(join_request(group_id=group_id))
        request = sync_request(
            joined.member_id,
            1,
            {joined.member_id: b"all"},
            group_id=group_id,
            protocol_type="consumer",
            protocol_name="range",
        )
        synced = await self.ask(request, SyncGroupResponse, 5)
        assert synced.error_code == ErrorCode.NONE
        return joined.member_id

    async def commit(self, request: OffsetCommitRequest, version: int = 9) -> list[int]:
        """The error of each partition."""
        response = await self.ask(request, OffsetCommitResponse, version)
        return [p.error_code for topic in response.topics for p in topic.partitions]


def _module(api_name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in api_name).lstrip("_")
