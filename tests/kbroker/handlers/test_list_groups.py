from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from tests.kbroker.coordinators.rig import GROUP, commit_request

from .group_rig import GroupRig

if TYPE_CHECKING:
    import trio


@pytest.mark.parametrize("version", range(6))
async def test_groups_are_listed_at_every_version(nursery: trio.Nursery, version: int) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    await rig.alone()
    await rig.commit(commit_request({0: 1}, group_id="simple"))
    response = await rig.ask(ListGroupsRequest(), ListGroupsResponse, version)
    assert response.error_code == ErrorCode.NONE
    listed = {g.group_id: g for g in response.groups}
    assert set(listed) == {GROUP, "simple"}
    assert (listed[GROUP].protocol_type, listed["simple"].protocol_type) == ("consumer", "")
    assert listed[GROUP].group_state == ("Stable" if version >= 4 else "")
    assert listed["simple"].group_type == ("classic" if version >= 5 else "")
    nursery.cancel_scope.cancel()


async def test_groups_are_listed_by_state_and_type(nursery: trio.Nursery) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    await rig.alone()
    await rig.commit(commit_request({0: 1}, group_id="simple"))
    for states, types, expected in (
        (["Stable"], [], {GROUP}),
        (["empty ", "nonsense"], ["CLASSIC"], {"simple"}),
        ([], ["consumer"], set()),
        (["nonsense"], [], set()),
    ):
        request = ListGroupsRequest(states_filter=states, types_filter=types)
        response = await rig.ask(request, ListGroupsResponse, 5)
        assert {g.group_id for g in response.groups} == expected
    nursery.cancel_scope.cancel()


async def test_before_the_offsets_topic_exists_there_are_no_groups() -> None:
    response = await GroupRig().ask(ListGroupsRequest(), ListGroupsResponse, 5)
    assert (response.error_code, response.groups) == (ErrorCode.NONE, [])
