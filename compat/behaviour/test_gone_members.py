"""Members that are gone without a word, or whose word is stuck behind a JoinGroup that waits: who
is in the group then, and how long the others wait.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.join_group import JoinGroupResponse
from kbroker.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity

from .asking import assert_error, assert_none
from .groups import describe_group, heartbeat, join_request, stable_member, sync

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient

pytestmark = [pytest.mark.item(22)]

SESSION_MS = 6000  # the least that brokers take, group.min.session.timeout.ms
ALMOST_S = SESSION_MS / 1000 - 1
TIMEOUT_S = 120
JOIN_VERSION, LEAVE_VERSION = 9, 5


def close(raw: RawClient) -> None:
    raw.close()


def end(raw: RawClient) -> None:
    """Send no more, but read."""
    raw._socket.shutdown(socket.SHUT_WR)


def reset(raw: RawClient) -> None:
    """As a kernel does whose process ends with something unread."""
    raw._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


def stay(raw: RawClient) -> None:
    pass


def await_rebalance(raw: RawClient, group: str, joined: JoinGroupResponse) -> None:
    """Send heartbeats until one says that there is a rebalance."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (code := heartbeat(raw, group, joined.generation_id, joined.member_id)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert_error(code, ErrorCode.REBALANCE_IN_PROGRESS)


def rejoin(raw: RawClient, group: str, joined: JoinGroupResponse) -> JoinGroupResponse:
    request = join_request(group, joined.member_id)
    answer = raw.ask(request, JOIN_VERSION, JoinGroupResponse)
    assert_none(answer.error_code)
    return answer


def ask_to_join(raw: RawClient, group: str) -> str:
    """The first of a member's two requests to join; its id."""
    request = join_request(group, session_timeout_ms=SESSION_MS)
    answer = raw.ask(request, JOIN_VERSION, JoinGroupResponse)
    assert_error(answer.error_code, ErrorCode.MEMBER_ID_REQUIRED)
    return answer.member_id


def begin_to_join(raw: RawClient, group: str) -> tuple[str, int]:
    """Both of them; the member id, and the correlation id of the one that waits."""
    member_id = ask_to_join(raw, group)
    request = join_request(group, member_id, session_timeout_ms=SESSION_MS)
    return member_id, raw.send(request, JOIN_VERSION)


@pytest.mark.ci
@pytest.mark.parametrize("go", [stay, end, close])
def test_who_left_behind_a_join_that_waits_is_out_once_that_is_answered(
    raw: RawClient, group: str, connect: Callable[[], RawClient], go: Callable[[RawClient], None]
) -> None:
    first = stable_member(raw, group)
    guest = connect()
    member_id, join_id = begin_to_join(guest, group)
    leaving = LeaveGroupRequest(group_id=group, members=[MemberIdentity(member_id=member_id)])
    leave_id = guest.send(leaving, LEAVE_VERSION)
    await_rebalance(raw, group, first)
    go(guest)
    assert len(describe_group(raw, group).members) == 2
    both = rejoin(raw, group, first)
    assert len(both.members) == 2
    await_rebalance(raw, group, both)
    assert len(describe_group(raw, group).members) == 1
    if go is not close:
        assert_none(guest.receive(join_id, JOIN_VERSION, JoinGroupResponse).error_code)
        left = guest.receive(leave_id, LEAVE_VERSION, LeaveGroupResponse)
        assert_none(left.error_code or left.members[0].error_code)
    alone = rejoin(raw, group, both)
    assert (alone.generation_id, len(alone.members)) == (both.generation_id + 1, 1)


@pytest.mark.full
@pytest.mark.parametrize("go", [close, reset])
def test_who_is_gone_while_its_join_waits_holds_up_nobody_and_is_out_after_its_session(
    raw: RawClient, group: str, connect: Callable[[], RawClient], go: Callable[[RawClient], None]
) -> None:
    first = stable_member(raw, group)
    guest = connect()
    begin_to_join(guest, group)
    await_rebalance(raw, group, first)
    go(guest)
    started = time.monotonic()
    both = rejoin(raw, group, first)
    assert len(both.members) == 2
    done = sync(raw, group, both, {both.member_id: b"all"})
    assert_none(done.error_code)
    await_rebalance(raw, group, both)
    assert time.monotonic() - started > ALMOST_S
    assert len(rejoin(raw, group, both).members) == 1


@pytest.mark.full
def test_who_is_gone_between_its_two_joins_holds_up_a_rebalance_for_its_session(
    raw: RawClient, group: str, connect: Callable[[], RawClient]
) -> None:
    first = stable_member(raw, group)
    guest = connect()
    ask_to_join(guest, group)
    guest.close()
    started = time.monotonic()
    assert len(rejoin(raw, group, first).members) == 1
    assert time.monotonic() - started > ALMOST_S
