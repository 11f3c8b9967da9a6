from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.handlers.join_group import java_address
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.join_group import JoinGroupResponse
from tests.kbroker.coordinators.rig import GROUP, join_request

from .group_rig import GroupRig

if TYPE_CHECKING:
    import trio


@pytest.mark.parametrize("version", range(10))
async def test_a_member_joins_at_every_version(nursery: trio.Nursery, version: int) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    response = await rig.join(join_request(), version)
    assert response.error_code == ErrorCode.NONE
    assert (response.generation_id, response.leader) == (1, response.member_id)
    assert response.protocol_name == "range"
    assert response.protocol_type == ("consumer" if version >= 7 else None)
    assert [m.member_id for m in response.members] == [response.member_id]
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("version", range(10))
async def test_refusals_fit_every_version(nursery: trio.Nursery, version: int) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    for request, error in (
        (join_request("who"), ErrorCode.UNKNOWN_MEMBER_ID),
        (join_request("who", group_id=""), ErrorCode.INVALID_GROUP_ID),
        (join_request("who", session_timeout_ms=1), ErrorCode.INVALID_SESSION_TIMEOUT),
        (join_request(protocols={}), ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
    ):
        response = await rig.ask(request, JoinGroupResponse, version)
        assert response.error_code == error
        assert response.member_id == request.member_id
        assert response.protocol_name == ("" if version < 7 else None)
    nursery.cancel_scope.cancel()


async def test_a_member_is_known_by_its_client_and_address(nursery: trio.Nursery) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    request = join_request()
    response = await rig.ask(request, JoinGroupResponse, 3, client_id=None, peer_host="::1")
    assert response.member_id.startswith("-")
    (described,) = await rig.groups.coordinator.describe_groups([GROUP], 6)
    (member,) = described.members
    assert (member.client_id, member.client_host) == ("", "/0:0:0:0:0:0:0:1")
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("host", "printed"),
    [
        ("127.0.0.1", "/127.0.0.1"),
        ("::1", "/0:0:0:0:0:0:0:1"),
        ("fe80::a:b%eth0", "/fe80:0:0:0:0:0:a:b%eth0"),
        ("::ffff:10.1.2.3", "/10.1.2.3"),
    ],
)
def test_addresses_are_printed_as_java_prints_them(host: str, printed: str) -> None:
    assert java_address(host) == printed
