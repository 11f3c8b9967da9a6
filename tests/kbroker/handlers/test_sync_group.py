from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.sync_group import SyncGroupResponse
from tests.kbroker.coordinators.rig import GROUP, join_request, sync_request

from .group_rig import GroupRig

if TYPE_CHECKING:
    import trio


@pytest.mark.parametrize("version", range(6))
async def test_the_assignment_is_given_at_every_version(
    nursery: trio.Nursery, version: int
) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    joined = await rig.join(join_request())
    request = sync_request(
        joined.member_id,
        1,
        {joined.member_id: b"all"},
        protocol_type="consumer",
        protocol_name="range",
    )
    response = await rig.ask(request, SyncGroupResponse, version)
    assert (response.error_code, response.assignment) == (ErrorCode.NONE, b"all")
    assert response.protocol_name == ("range" if version >= 5 else None)
    assert response.protocol_type == ("consumer" if version >= 5 else None)
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("protocol_type", "protocol_name"), [(None, "range"), ("consumer", None), (None, None)]
)
async def test_from_v5_on_the_protocol_must_be_named(
    protocol_type: str | None, protocol_name: str | None
) -> None:
    request = sync_request("m", 1, protocol_type=protocol_type, protocol_name=protocol_name)
    response = await GroupRig().ask(request, SyncGroupResponse, 5)
    assert response.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert response.assignment == b""


@pytest.mark.parametrize(
    ("group_id", "error"),
    [
        ("", ErrorCode.INVALID_GROUP_ID),
        ("other", ErrorCode.UNKNOWN_MEMBER_ID),
        (GROUP, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
async def test_who_is_no_member_cannot_sync(
    nursery: trio.Nursery, group_id: str, error: ErrorCode
) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    await rig.alone()
    response = await rig.ask(sync_request("who", 1, group_id=group_id), SyncGroupResponse, 4)
    assert response.error_code == error
    nursery.cancel_scope.cancel()
