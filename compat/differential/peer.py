"""One of the two brokers, as a scenario sees it: ask it, and what it answers is kept for comparing.

A scenario's steps have names; both runs of a scenario must take the same steps. What a broker does
not answer with a response is an outcome as well: it closed the connection, or said nothing.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from compat.raw import ConnectionClosed, RawClient
from kbroker.wire.api_keys import API_TABLE
from kbroker.wire.codec import decode, encode
from kbroker.wire.errors import ProtocolError
from kbroker.wire.frame import parse_response_header, request_header

from .tree import tree_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kbroker.wire.message import Message

    from .tree import Tree

    R = TypeVar("R", bound=Message)

# Nothing but a broker that hangs takes as long, on a machine that is busy with other things.
TIMEOUT_S = 60.0
PATIENCE_S = 120.0
SILENCE_S = 5.0  # after which a request is one that is not answered, where that may be
POLL_INTERVAL_S = 0.02
CLIENT_ID = "differential"
FRAMES, NOTE = "frames", "note"  # in the place of an API, where a step is of none
CLOSED, SILENT, GARBLED, ANSWERED = "closed", "silent", "garbled", "answered"
# With its size: key 18, version 0, correlation id 1, no client id.
API_VERSIONS_V0 = b"\0\0\0\x0a\0\x12\0\0\0\0\0\1\xff\xff"


class NoAnswer(Exception):
    """The broker closed the connection or was silent where the scenario needs an answer."""


@dataclass(frozen=True)
class Entry:
    """A step and what came of it. `answer` is a response's fields, or CLOSED, SILENT or GARBLED.

    `request` has the request's fields as they were sent, or the bytes of a frame as hex. Silence
    means nothing unless it is `silence_expected`: two brokers that are late look the same.
    """

    step: str
    api: str
    version: int
    request: Tree
    answer: Tree
    silence_expected: bool = False

    @property
    def unheard(self) -> bool:
        """Whether nothing came that could be compared, and something should have."""
        if self.answer == SILENT:
            return not self.silence_expected
        return isinstance(self.answer, str) and self.answer.startswith(GARBLED)


@dataclass
class Pending:
    """A request under way."""

    peer: Peer
    connection: str
    step: str
    api_key: int
    version: int
    request: Tree  # taken when it was sent: a scenario may change it after that
    correlation_id: int
    silence_expected: bool = False

    def answer(self, response: type[R]) -> R:
        """Wait for the answer. NoAnswer if there is none."""
        found = self.peer.receive(self)
        if not isinstance(found, response):
            raise NoAnswer(self.step)
        return found

    def outcome(self) -> None:
        """Wait for what comes of it, whatever that is."""
        self.peer.receive(self)


@dataclass
class Peer:
    """A broker, in one run of one scenario.

    `versions` are those that both brokers serve, by API key; `prefix` starts the names of what the
    scenario makes; `now_ms` is the same for both.
    """

    host: str
    port: int
    versions: Mapping[int, range]
    prefix: str
    now_ms: int
    transcript: list[Entry] = field(default_factory=list)
    topic_ids: dict[str, str] = field(default_factory=dict)  # hex id: name, of topics it made
    _clients: dict[str, RawClient] = field(default_factory=dict)
    _correlation_id: int = 0

    def name(self, text: str) -> str:
        """A name of a topic or group that is this scenario's alone."""
        return f"{self.prefix}-{text}"

    def serves(self, *requests: type[Message]) -> bool:
        """Whether both brokers serve all of them."""
        return all(self.versions.get(request.API_KEY or 0) for request in requests)

    def shared(self, request: type[Message], first: int = 0, last: int = 999) -> list[int]:
        """The versions from `first` to `last` that both brokers serve."""
        known = self.versions.get(request.API_KEY or 0, range(0))
        return [version for version in known if first <= version <= last]

    def last(self, request: type[Message], below: int = 999) -> int:
        """The newest version that both serve, of those below a bound."""
        return max(self.shared(request, last=below - 1))

    def ask(
        self,
        step: str,
        request: Message,
        version: int,
        response: type[R],
        *,
        connection: str = "main",
        client_id: str = CLIENT_ID,
    ) -> R:
        """Send, wait and keep the answer. NoAnswer if there is none."""
        pending = self.send(step, request, version, connection=connection, client_id=client_id)
        return pending.answer(response)

    def probe(
        self,
        step: str,
        request: Message,
        version: int,
        *,
        connection: str = "main",
        timeout_s: float = TIMEOUT_S,
        silence_expected: bool = False,
    ) -> Message | None:
        """As `ask`, for what may not be answered; None then.

        `timeout_s` is SILENCE_S where one of the two is known to be silent, and so is it where both
        are expected to be.
        """
        if silence_expected:
            timeout_s = min(timeout_s, SILENCE_S)
        self._client(connection).set_timeout(timeout_s)
        pending = self.send(step, request, version, connection=connection)
        pending.silence_expected = silence_expected
        return self.receive(pending)

    def quietly(self, request: Message, version: int, response: type[R]) -> R:
        """Ask, and keep nothing: for what prepares a scenario."""
        kept = len(self.transcript)
        try:
            return self.ask("preparation", request, version, response, connection="quiet")
        finally:
            del self.transcript[kept:]

    def ask_own(
        self, step: str, request: Message, version: int, response: type[R], items: str, name: str
    ) -> None:
        """Ask for all, and of the list `items` keep what the scenario made, by its `name`."""
        answer = tree_of(self.quietly(request, version, response), version)
        found = answer[items]
        assert isinstance(found, list)
        answer[items] = [one for one in found if str(one[name]).startswith(self.prefix)]
        api = API_TABLE[request.API_KEY or 0].name
        self._keep(step, api, version, tree_of(request, version), answer)

    def until(
        self,
        request: Message,
        version: int,
        response: type[R],
        holds: Callable[[R], bool],
    ) -> R:
        """Ask until it holds, and keep nothing. NoAnswer after PATIENCE_S."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds(found := self.quietly(request, version, response)):
            if time.monotonic() > deadline:
                raise NoAnswer(f"still {found}")
            time.sleep(POLL_INTERVAL_S)
        return found

    def send(
        self,
        step: str,
        request: Message,
        version: int,
        *,
        connection: str = "main",
        client_id: str = CLIENT_ID,
    ) -> Pending:
        """Send without waiting. Answers come in order on one connection."""
        self._correlation_id += 1
        header = request_header(request.API_KEY or 0, version, self._correlation_id, client_id)
        # What a connection that is closed already comes to is what is read from it.
        with suppress(ConnectionClosed):
            self._client(connection).send_frame(header + encode(request, version))
        sent = tree_of(request, version)
        key = request.API_KEY or 0
        return Pending(self, connection, step, key, version, sent, self._correlation_id)

    def unanswered(self, request: Message, version: int, *, connection: str = "main") -> None:
        """Send what gets no answer."""
        self.send("", request, version, connection=connection)

    def receive(self, pending: Pending) -> Message | None:
        """Read the next response of the connection, which must be to that request, and keep it."""
        api = API_TABLE[pending.api_key]
        answer: Tree
        message: Message | None = None
        try:
            frame = self._client(pending.connection).read_frame()
            correlation_id, position = parse_response_header(api.key, pending.version, frame)
            if correlation_id != pending.correlation_id:
                raise ProtocolError(f"an answer to {correlation_id}")
            message = decode(api.response, pending.version, frame, position)
            answer = tree_of(message, pending.version)
        except ConnectionClosed:
            answer = CLOSED
        except TimeoutError:
            answer = SILENT
        except ProtocolError as error:
            answer = f"{GARBLED}: {error}"
        if message is None:
            self.drop(pending.connection)
        self._keep(
            pending.step,
            api.name,
            pending.version,
            pending.request,
            answer,
            silence_expected=pending.silence_expected,
        )
        return message

    def outcome(
        self,
        step: str,
        data: bytes,
        connection: str,
        *,
        silence_expected: bool = False,
        api: str = FRAMES,
        version: int = 0,
    ) -> None:
        """Send bytes as they are; what is kept is whether an answer comes, not what it says."""
        answer = self._raw(data, connection, SILENCE_S if silence_expected else TIMEOUT_S)
        kept = answer if isinstance(answer, str) else ANSWERED
        self._keep(step, api, version, data.hex(), kept, silence_expected=silence_expected)

    def exchange(self, step: str, data: bytes, *, connection: str) -> None:
        """Send bytes as they are; what is kept is the frame that comes back, as hex."""
        answer = self._raw(data, connection, TIMEOUT_S)
        kept = answer if isinstance(answer, str) else answer.hex()
        self._keep(step, FRAMES, 0, data.hex(), kept)

    def alive(self, step: str, connection: str) -> None:
        """Keep whether a connection, if it is there still, serves."""
        if connection in self._clients:
            self.outcome(step, API_VERSIONS_V0, connection)
        else:
            self.note(step, CLOSED)

    def _raw(self, data: bytes, connection: str, timeout_s: float) -> bytes | str:
        """The frame that comes back, or CLOSED or SILENT; then the connection is gone."""
        client = self._client(connection)
        client.set_timeout(timeout_s)
        try:
            client.send_bytes(data)
            return client.read_frame()
        except ConnectionClosed:
            answer = CLOSED
        except TimeoutError:
            answer = SILENT
        self.drop(connection)
        return answer

    def note(self, step: str, answer: Tree) -> None:
        """Keep something that was derived from answers."""
        self._keep(step, NOTE, 0, None, answer)

    def drop(self, connection: str) -> None:
        """Close a connection; the next use of the name makes a new one."""
        client = self._clients.pop(connection, None)
        if client is not None:
            client.close()

    def close(self) -> None:
        for connection in list(self._clients):
            self.drop(connection)

    def _client(self, connection: str) -> RawClient:
        if connection not in self._clients:
            self._clients[connection] = RawClient(self.host, self.port, TIMEOUT_S)
        return self._clients[connection]

    def _keep(
        self,
        step: str,
        api: str,
        version: int,
        request: Tree,
        answer: Tree,
        *,
        silence_expected: bool = False,
    ) -> None:
        step = step.replace(self.prefix, "@")
        self.transcript.append(Entry(step, api, version, request, answer, silence_expected))
