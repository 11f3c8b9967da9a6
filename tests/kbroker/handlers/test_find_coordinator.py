from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from tests.kbroker.broker_parts import DIALLED
from tests.kbroker.cluster_image import NODE_ID

from .group_rig import GroupRig

if TYPE_CHECKING:
    import trio

GROUP, TRANSACTION, SHARE = 0, 1, 2


@pytest.mark.parametrize("version", range(4))
async def test_one_group_is_looked_up(nursery: trio.Nursery, version: int) -> None:
    rig = GroupRig()
    await nursery.start(rig.groups.run)
    response = await rig.ask(FindCoordinatorRequest(key="g"), FindCoordinatorResponse, version)
    assert response.error_code == ErrorCode.NONE
    assert (response.node_id, response.host, response.port) == (NODE_ID, *DIALLED)
    assert response.error_message == ("NONE" if version >= 1 else "")
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("version", [4, 5, 6])
async def test_several_groups_are_looked_up(nursery: trio.Nursery, version: int) -> None:
    rig = GroupRig()
    await nursery.start(rig.groups.run)
    request = FindCoordinatorRequest(coordinator_keys=["g", "", "h"])
    response = await rig.ask(request, FindCoordinatorResponse, version)
    assert [c.key for c in response.coordinators] == ["g", "", "h"]
    for each in response.coordinators:
        assert (each.error_code, each.error_message) == (ErrorCode.NONE, "")
        assert (each.node_id, each.host, each.port) == (NODE_ID, *DIALLED)
    assert rig.groups.topics_created == 1
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("key_type", "version"), [(TRANSACTION, 1), (TRANSACTION, 3), (SHARE, 2), (7, 3)]
)
async def test_what_has_no_coordinator_is_refused(key_type: int, version: int) -> None:
    request = FindCoordinatorRequest(key="g", key_type=key_type)
    response = await GroupRig().ask(request, FindCoordinatorResponse, version)
    assert response.error_code == ErrorCode.INVALID_REQUEST
    assert not ErrorCode.INVALID_REQUEST.retriable
    assert response.error_message == ErrorCode.INVALID_REQUEST.message
    assert (response.node_id, response.host, response.port) == (-1, "", -1)


@pytest.mark.parametrize(
    ("key_type", "version"), [(TRANSACTION, 4), (TRANSACTION, 6), (SHARE, 5), (SHARE, 6), (7, 6)]
)
async def test_what_has_no_coordinator_is_refused_key_by_key(key_type: int, version: int) -> None:
    request = FindCoordinatorRequest(coordinator_keys=["a", "b"], key_type=key_type)
    response = await GroupRig().ask(request, FindCoordinatorResponse, version)
    assert [(c.key, c.error_code, c.node_id) for c in response.coordinators] == [
        ("a", ErrorCode.INVALID_REQUEST, -1),
        ("b", ErrorCode.INVALID_REQUEST, -1),
    ]


async def test_a_coordinator_on_another_broker_is_found_by_its_listener() -> None:
    rig = GroupRig()
    rig.add_broker(2)
    rig.add_topic("__consumer_offsets", 4, replicas=[2])
    request = FindCoordinatorRequest(key="g")
    response = await rig.ask(request, FindCoordinatorResponse, 3)
    assert (response.node_id, response.host, response.port) == (2, "host2", 9002)


async def test_a_coordinator_that_has_no_such_listener_is_not_available() -> None:
    rig = GroupRig()
    rig.add_broker(2, listener="OTHER")
    rig.add_topic("__consumer_offsets", 4, replicas=[2])
    response = await rig.ask(FindCoordinatorRequest(key="g"), FindCoordinatorResponse, 3)
    assert response.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert response.node_id == -1


async def test_without_a_leader_the_coordinator_is_not_available() -> None:
    rig = GroupRig()
    rig.add_topic("__consumer_offsets", 4, leader=-1)
    response = await rig.ask(FindCoordinatorRequest(key="g"), FindCoordinatorResponse, 0)
    assert response.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert ErrorCode.COORDINATOR_NOT_AVAILABLE.retriable
