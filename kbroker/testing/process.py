"""A broker in a process of its own, as seen from the test's process."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from .kafka import START_TIMEOUT_S, STOP_TIMEOUT_S, BrokerFailed, Kafka
from .launcher import gone, launch, working_directory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .channel import Message
    from .launcher import Link

_live: list[BrokerProcess] = []


def pass_on_logs() -> None:
    """What the brokers of this process have logged until now is logged here."""
    for each in list(_live):
        each.pass_on_log()


class BrokerProcess:
    """Started from this process, and stopped by no other that is forked from it."""

    def __init__(self, topics: Sequence[str], settings: Mapping[str, str]) -> None:
        self._request = {
            "topics": list(topics),
            "settings": dict(settings),
            "environment": dict(os.environ),
            "directory": working_directory(),
            "start_timeout_s": START_TIMEOUT_S,
            "stop_timeout_s": STOP_TIMEOUT_S,
            "log_level": logging.getLogger("kbroker").getEffectiveLevel(),
        }
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._end: Message | None = None  # what the process said last
        self._link: Link

    def start(self) -> Kafka:
        self._link = launch()
        try:
            self._ask(self._request)
            answer = self._receive()
        except BaseException:
            self._link.close()  # the process sees it and ends
            raise
        if self._end is not None:
            self._finish()
        _live.append(self)
        return Kafka(*answer["address"])

    def pass_on_log(self) -> None:
        with self._lock:
            if self._end is None and self._owner == os.getpid():
                self._ask({})
                self._receive()

    def stop(self) -> None:
        if self._owner != os.getpid():
            return
        _live.remove(self)
        with self._lock:
            try:
                self._link.finish()
                if self._end is None:
                    self._receive()
            except BrokerFailed:
                self._link.close()
                raise
            self._finish()

    def _ask(self, message: Message) -> None:
        with suppress(OSError):  # it has gone, and what it said last is there to be received
            self._link.send(message)

    def _receive(self) -> Message:
        """The next message; its log is logged here. BrokerFailed where no answer comes in time."""
        try:
            message = self._link.receive()
        except TimeoutError:
            raise BrokerFailed("The broker's process does not respond.") from None
        except OSError:
            message = None
        if message is None:
            message = {"failed": None, "log": [], "is_gone": True}
        for each in message["log"]:
            record = logging.makeLogRecord(each)
            logger = logging.getLogger(record.name)
            if logger.isEnabledFor(record.levelno):
                logger.handle(record)
        if "failed" in message:
            self._end = message
        return message

    def _finish(self) -> None:
        """The process has said its last: wait until it has gone. BrokerFailed where it failed."""
        assert self._end is not None
        try:
            while self._link.receive() is not None:
                pass
        except TimeoutError:
            raise BrokerFailed("The broker's process does not exit.") from None
        except OSError:  # it was killed
            pass
        finally:
            self._link.close()
        if "is_gone" in self._end:
            raise gone(self._link.last_words())
        if self._end["failed"] is not None:
            error = BrokerFailed(self._end["failed"])
            if self._end["trace"]:
                error.add_note(self._end["trace"])
            raise error
