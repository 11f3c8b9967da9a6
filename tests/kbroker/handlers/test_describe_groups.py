from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.requests.authorized_operations import GROUP_OPERATIONS, NOT_ASKED
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse
from tests.kbroker.coordinators.rig import GROUP

from .group_rig import GroupRig

if TYPE_CHECKING:
    import trio


@pytest.mark.parametrize("version", range(7))
async def test_a_group_is_described_at_every_version(nursery: trio.Nursery, version: int) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    member_id = await rig.alone()
    request = DescribeGroupsRequest(groups=[GROUP], include_authorized_operations=version >= 3)
    response = await rig.ask(request, DescribeGroupsResponse, version)
    (group,) = response.groups
    assert (group.error_code, group.group_state) == (ErrorCode.NONE, "Stable")
    assert (group.protocol_type, group.protocol_data) == ("consumer", "range")
    (member,) = group.members
    assert (member.member_id, member.client_id) == (member_id, "app")
    assert (member.client_host, member.member_assignment) == ("/127.0.0.1", b"all")
    assert group.authorized_operations == (GROUP_OPERATIONS if version >= 3 else NOT_ASKED)
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("version", [0, 5, 6])
async def test_an_unknown_group(nursery: trio.Nursery, version: int) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    request = DescribeGroupsRequest(groups=["nobody"], include_authorized_operations=version >= 3)
    response = await rig.ask(request, DescribeGroupsResponse, version)
    (group,) = response.groups
    assert group.group_state == "Dead"
    if version >= 6:
        assert group.error_code == ErrorCode.GROUP_ID_NOT_FOUND
        assert group.error_message == "Group nobody not found."
        assert group.authorized_operations == NOT_ASKED
    else:
        assert group.error_code == ErrorCode.NONE
    nursery.cancel_scope.cancel()


async def test_before_the_offsets_topic_exists_nobody_coordinates() -> None:
    request = DescribeGroupsRequest(groups=[GROUP])
    response = await GroupRig().ask(request, DescribeGroupsResponse, 6)
    assert response.groups[0].error_code == ErrorCode.NOT_COORDINATOR
