from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from tests.kbroker.coordinators.rig import GROUP, commit_request

from .group_rig import GroupRig

if TYPE_CHECKING:
    import trio


@pytest.mark.parametrize("version", range(3))
async def test_empty_groups_are_deleted_at_every_version(
    nursery: trio.Nursery, version: int
) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    await rig.alone()
    await rig.commit(commit_request({0: 1}, group_id="simple"))
    await rig.commit(commit_request({0: 1}, group_id=""))
    request = DeleteGroupsRequest(groups_names=["simple", GROUP, "nobody", "", "simple"])
    response = await rig.ask(request, DeleteGroupsResponse, version)
    assert len(response.results) == 4
    assert {r.group_id: r.error_code for r in response.results} == {
        "simple": ErrorCode.NONE,
        GROUP: ErrorCode.NON_EMPTY_GROUP,
        "nobody": ErrorCode.GROUP_ID_NOT_FOUND,
        "": ErrorCode.NONE,
    }
    nursery.cancel_scope.cancel()


async def test_a_deletion_waits_for_the_high_watermark(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    await rig.commit(commit_request({0: 1}, group_id="simple"))
    rig.groups.partition_of("simple").auto_commit = False
    request = DeleteGroupsRequest(groups_names=["simple"])
    response = await rig.ask(request, DeleteGroupsResponse, 2)
    assert response.results[0].error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    nursery.cancel_scope.cancel()
