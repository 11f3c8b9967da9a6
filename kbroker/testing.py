"""A broker inside a test's process, for any style of test.

    with broker(topics=("orders:3",)) as kafka:
        producer = SomeProducer(bootstrap_servers=kafka.bootstrap)

The broker has a thread and an event loop of its own, so it serves synchronous, asyncio and Trio
tests alike, and a free port, so many may live at once. Its data is gone when the block ends.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import trio

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0

# What tests want and a production broker does not: no wait for members that will not come.
SETTINGS: Mapping[str, str] = {"group.initial.rebalance.delay.ms": "0"}


class Kafka:
    """A running broker, as a test sees it."""

    __slots__ = ("bootstrap", "host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.bootstrap = f"{host}:{port}"  # what clients call bootstrap.servers

    def __repr__(self) -> str:
        return f"Kafka({self.bootstrap!r})"


class BrokerFailed(Exception):
    """The broker did not start, or failed while it ran; the cause says why."""


@contextmanager
def broker(
    topics: Sequence[str] = (), settings: Mapping[str, str] | None = None
) -> Iterator[Kafka]:
    """A fresh broker. `topics`: NAME[:PARTITIONS[:KEY=VALUE,...]]; `settings`: server.properties.

    BrokerFailed where it cannot start, at the end where it failed meanwhile.
    """
    running = _Running(topics, {**SETTINGS, **(settings or {})})
    kafka = running.start()
    try:
        yield kafka
    finally:
        running.stop()


class _Running:
    """The thread and the broker in it."""

    def __init__(self, topics: Sequence[str], settings: Mapping[str, str]) -> None:
        # Imported here: a test session that never uses a broker does not pay for one.
        import threading

        from kbroker.commands.arguments import UserError
        from kbroker.commands.local import broker_settings, listener

        try:
            self._settings = broker_settings(
                {**settings, "listeners": listener("127.0.0.1", 0)}, None, topics
            )
        except UserError as error:
            raise BrokerFailed(f"The broker cannot start: {error}") from error
        self._is_up = threading.Event()
        self._kafka: Kafka | None = None
        self._error: BaseException | None = None
        self._stop: trio.Event | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        # A daemon: an interpreter that ends in the middle of a test must not wait for it.
        self._thread = threading.Thread(target=self._run, name="kbroker", daemon=True)

    def start(self) -> Kafka:
        self._thread.start()
        if not self._is_up.wait(START_TIMEOUT_S):
            raise BrokerFailed(f"The broker has not started within {START_TIMEOUT_S:.0f} s.")
        if self._kafka is None:
            self._thread.join(STOP_TIMEOUT_S)
            raise BrokerFailed(f"The broker cannot start: {self._error}") from self._error
        return self._kafka

    def stop(self) -> None:
        import trio

        assert self._token is not None
        assert self._stop is not None
        with suppress(trio.RunFinishedError):  # it has failed already: the error below says why
            self._token.run_sync_soon(self._stop.set)
        self._thread.join(STOP_TIMEOUT_S)
        if self._thread.is_alive():
            raise BrokerFailed(f"The broker has not stopped within {STOP_TIMEOUT_S:.0f} s.")
        if self._error is not None:
            raise BrokerFailed(f"The broker failed: {self._error}") from self._error

    def _run(self) -> None:
        import trio

        try:
            trio.run(self._serve)
        except BaseException as error:  # the thread's edge: start or stop raises it
            self._error = error
        finally:
            self._is_up.set()

    async def _serve(self) -> None:
        import trio

        from kbroker.broker import Broker

        self._token = trio.lowlevel.current_trio_token()
        self._stop = trio.Event()
        async with Broker(self._settings) as running:
            host, port = running.addresses[0]
            self._kafka = Kafka(host, port)
            self._is_up.set()
            await self._stop.wait()
