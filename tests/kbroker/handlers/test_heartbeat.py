from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from tests.kbroker.coordinators.rig import GROUP

from .group_rig import GroupRig

if TYPE_CHECKING:
    import trio


@pytest.mark.parametrize("version", range(5))
async def test_members_are_heard_at_every_version(nursery: trio.Nursery, version: int) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    member_id = await rig.alone()
    for group_id, who, generation_id, error in (
        (GROUP, member_id, 1, ErrorCode.NONE),
        (GROUP, member_id, 2, ErrorCode.ILLEGAL_GENERATION),
        (GROUP, "who", 1, ErrorCode.UNKNOWN_MEMBER_ID),
        ("other", member_id, 1, ErrorCode.UNKNOWN_MEMBER_ID),
        ("", member_id, 1, ErrorCode.INVALID_GROUP_ID),
    ):
        request = HeartbeatRequest(group_id=group_id, member_id=who, generation_id=generation_id)
        response = await rig.ask(request, HeartbeatResponse, version)
        assert response.error_code == error
    nursery.cancel_scope.cancel()
