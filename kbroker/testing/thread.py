"""A broker in the test's own process: a thread with an event loop of its own."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from kbroker.commands.shared.arguments import UserError
from kbroker.node.broker import Broker

from .kafka import START_TIMEOUT_S, STOP_TIMEOUT_S, BrokerFailed, Kafka, cannot_start, has_failed
from .settings import settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class BrokerThread:
    """The thread and the broker in it."""

    def __init__(self, topics: Sequence[str], settings: Mapping[str, str]) -> None:
        try:
            self._settings = settings_of(topics, settings)
        except UserError as error:
            raise BrokerFailed(cannot_start(error)) from error
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
            raise BrokerFailed(f"The broker did not start within {START_TIMEOUT_S:.0f} s.")
        if self._kafka is None:
            self._thread.join(STOP_TIMEOUT_S)
            raise BrokerFailed(cannot_start(self._error)) from self._error
        return self._kafka

    def stop(self) -> None:
        assert self._token is not None
        assert self._stop is not None
        with suppress(trio.RunFinishedError):  # it has failed already: the error below says why
            self._token.run_sync_soon(self._stop.set)
        self._thread.join(STOP_TIMEOUT_S)
        if self._thread.is_alive():
            raise BrokerFailed(f"The broker did not stop within {STOP_TIMEOUT_S:.0f} s.")
        if self._error is not None:
            raise BrokerFailed(has_failed(self._error)) from self._error

    def _run(self) -> None:
        try:
            trio.run(self._serve)
        except BaseException as error:  # the thread's edge: start or stop raises it
            self._error = error
        finally:
            self._is_up.set()

    async def _serve(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._stop = trio.Event()
        async with Broker(self._settings) as running:
            self._kafka = Kafka(*running.addresses[0])
            self._is_up.set()
            await self._stop.wait()
