"""JoinGroup (key 11), v0-9: a member joins the next generation of a classic group.

v1 rebalance timeout - v4 MEMBER_ID_REQUIRED (KIP-394) - v5 static members (KIP-345) - v7 protocol
type (KIP-559) - v8 reason (KIP-800) - v9 skip assignment (KIP-814)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kbroker.coordinators.group.classic.join_rules import Client
from kbroker.wire.messages.join_group import JoinGroupRequest, JoinGroupResponse

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kbroker.requests.services import RequestContext

VERSION_WITH_NULL_PROTOCOL: Final = 7


def handle(
    request: JoinGroupRequest, ctx: RequestContext
) -> JoinGroupResponse | Coroutine[Any, Any, JoinGroupResponse]:
    client = Client(
        # Kafka takes a null client id for an empty one (RequestHeader.parse).
        ctx.client_id or "",
        java_address(ctx.connection.peer_host),
        ctx.api_version,
    )
    answer = ctx.services.groups.join_group(request, client)
    if isinstance(answer, JoinGroupResponse):
        return _fit(answer, ctx.api_version)
    return _wait(answer, ctx.api_version)


async def _wait(
    answer: Coroutine[Any, Any, JoinGroupResponse], api_version: int
) -> JoinGroupResponse:
    return _fit(await answer, api_version)


def _fit(response: JoinGroupResponse, api_version: int) -> JoinGroupResponse:
    """No protocol is null where null can be said, and empty before (JoinGroupResponse)."""
    has_null = api_version >= VERSION_WITH_NULL_PROTOCOL
    response.protocol_name = response.protocol_name or (None if has_null else "")
    return response


def java_address(host: str) -> str:
    """An address as Java's InetAddress.toString prints it: "/127.0.0.1", "/0:0:0:0:0:0:0:1"."""
    if ":" not in host:
        return f"/{host}"
    import socket

    address, _, scope = host.partition("%")
    packed = socket.inet_pton(socket.AF_INET6, address)
    if packed.startswith(bytes(10) + b"\xff\xff"):  # an IPv4 client of a dual-stack socket
        return f"/{socket.inet_ntop(socket.AF_INET, packed[12:])}"
    groups = [f"{packed[i] << 8 | packed[i + 1]:x}" for i in range(0, 16, 2)]
    return f"/{':'.join(groups)}{'%' if scope else ''}{scope}"
