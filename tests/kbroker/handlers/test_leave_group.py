from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
)
from tests.kbroker.coordinators.rig import GROUP

from .group_rig import GroupRig

if TYPE_CHECKING:
    import trio


@pytest.mark.parametrize("version", range(3))
async def test_before_v3_one_member_leaves(nursery: trio.Nursery, version: int) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    request = LeaveGroupRequest(group_id=GROUP, member_id=await rig.alone())
    for error in (ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID):
        response = await rig.ask(request, LeaveGroupResponse, version)
        assert (response.error_code, response.members) == (error, [])
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("version", range(3, 6))
async def test_from_v3_on_several_members_leave(nursery: trio.Nursery, version: int) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    member_id = await rig.alone()
    request = LeaveGroupRequest(
        group_id=GROUP,
        members=[
            MemberIdentity(member_id="who"),
            MemberIdentity(member_id=member_id, reason="done"),
            MemberIdentity(member_id="", group_instance_id="nobody"),
        ],
    )
    response = await rig.ask(request, LeaveGroupResponse, version)
    assert response.error_code == ErrorCode.NONE
    assert [(m.member_id, m.group_instance_id, m.error_code) for m in response.members] == [
        ("who", None, ErrorCode.UNKNOWN_MEMBER_ID),
        (member_id, None, ErrorCode.NONE),
        ("", "nobody", ErrorCode.UNKNOWN_MEMBER_ID),
    ]
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("version", [0, 5])
async def test_errors_of_the_group_stand_alone(nursery: trio.Nursery, version: int) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    request = LeaveGroupRequest(group_id="", members=[MemberIdentity(member_id="m")])
    if version < 3:
        request = LeaveGroupRequest(group_id="", member_id="m")
    response = await rig.ask(request, LeaveGroupResponse, version)
    assert (response.error_code, response.members) == (ErrorCode.INVALID_GROUP_ID, [])
    nursery.cancel_scope.cancel()
