"""What a peer keeps of a connection that is gone."""

from __future__ import annotations

import select
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from kbroker.wire.messages.api_versions import ApiVersionsRequest

from .peer import API_VERSIONS_V0, CLOSED, Peer

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.ci

ANSWER = struct.pack(">ii", 4, 1)
CONNECTION = "main"


def reset_after_one_answer(listener: socket.socket) -> None:
    """As a broker's kernel does where something unread is left behind."""
    served, _ = listener.accept()
    served.recv(1 << 16)
    served.sendall(ANSWER)
    served.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    served.close()


@pytest.mark.parametrize(
    "send",
    [
        lambda peer: peer.outcome("second", API_VERSIONS_V0, CONNECTION),
        lambda peer: peer.probe("second", ApiVersionsRequest(), 0, connection=CONNECTION),
    ],
    ids=["bytes", "a request"],
)
def test_a_connection_that_was_reset_before_the_request_is_closed(
    send: Callable[[Peer], object],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=reset_after_one_answer, args=(listener,), daemon=True).start()
        peer = Peer("127.0.0.1", listener.getsockname()[1], {18: range(5)}, "@", 0)
        peer.outcome("first", API_VERSIONS_V0, CONNECTION)
        poller = select.poll()
        poller.register(peer._clients[CONNECTION]._socket, 0)
        assert poller.poll(60_000)  # this end knows of the reset
        send(peer)
        peer.close()
    assert [entry.answer for entry in peer.transcript] == ["answered", CLOSED]
