"""Runs one broker in a process, for the test at the other end of a channel.

The first message says what the test wants:

    {"topics": [TEXT], "settings": {KEY: VALUE}, "environment": {NAME: VALUE},
     "directory": the test's working directory or null, "log_level": NUMBER,
     "start_timeout_s": NUMBER, "stop_timeout_s": NUMBER}

The answer is {"address": [HOST, PORT]}. Each later message is answered with {}. When the channel
ends, the broker stops. The last message, also from a broker that did not start, is {"failed": a
sentence or null, "trace": where}. Each message has, as "log", what was logged since the one before.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import shutil
import sys
import threading
import traceback
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import trio

from kbroker.commands.shared.arguments import UserError
from kbroker.node.broker import Broker
from kbroker.node.errors import BrokerStopped

from .kafka import cannot_start, has_failed
from .settings import settings_of

if TYPE_CHECKING:
    from kbroker.node.settings import BrokerSettings

    from .channel import Channel, Message

OUTPUT = "output"  # what the process prints, in its directory: stacks, where it is ended
RECORDS_MAX = 1000
TEXT_MAX = 10_000


def serve(channel: Channel, request: Message, directory: str) -> None:
    """Returns when all is over and `directory`, which is the broker's own, is gone."""
    output = os.open(f"{directory}/{OUTPUT}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standard in (1, 2):
        os.dup2(output, standard)
    faulthandler.enable(output)
    # Where the broker hangs, a thread of C's ends the process and prints what it was at.
    faulthandler.dump_traceback_later(request["start_timeout_s"], exit=True, file=output)
    records = _Records()
    logging.basicConfig(level=request["log_level"], handlers=[records])
    work = _Work(channel, records, request["stop_timeout_s"])
    failed, trace = work.run(request, directory)
    shutil.rmtree(directory, ignore_errors=True)
    work.send({"failed": failed, "trace": trace})


class _Work:
    def __init__(self, channel: Channel, records: _Records, stop_timeout_s: float) -> None:
        self._channel = channel
        self._stop_timeout_s = stop_timeout_s
        self._records = records
        self._lock = threading.Lock()
        self._is_up = False

    def run(self, request: Message, directory: str) -> tuple[str | None, str]:
        """Until the end: what failed, as a sentence, and where if that is for us to mend."""
        try:
            _move(request, directory)
            settings = settings_of(request["topics"], request["settings"])
            trio.run(self._serve, settings)
        except BaseException as error:  # the process's edge: the test raises it
            sentence = has_failed(error) if self._is_up else cannot_start(error)
            is_plain = isinstance(error, UserError | BrokerStopped)
            return sentence, "" if is_plain else traceback.format_exc()
        return None, ""

    def send(self, message: Message) -> None:
        # A broker that fails says so here while a thread may answer there.
        with self._lock, suppress(OSError):  # the test's process has ended: nobody is to be told
            self._channel.send({**message, "log": self._records.take()})

    async def _serve(self, settings: BrokerSettings) -> None:
        async with Broker(settings) as running:
            faulthandler.cancel_dump_traceback_later()
            self._is_up = True
            self.send({"address": running.addresses[0]})
            # A thread of its own, so that a loop that hangs can be told to stop; not one of the
            # broker's, which it would have one less of.
            await trio.to_thread.run_sync(
                self._answer, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
            )

    def _answer(self) -> None:
        with suppress(OSError):  # as the end: the test's process has gone, and was not read to
            while self._channel.receive() is not None:
                self.send({})
        faulthandler.dump_traceback_later(self._stop_timeout_s, exit=True, file=sys.stderr)


def _move(request: Message, directory: str) -> None:
    """To where the test is: settings may name its files and its environment."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.environ["TMPDIR"] = directory
    if request["directory"] is not None:
        os.chdir(request["directory"])


class _Records(logging.Handler):
    """The last log records, as what `logging.makeLogRecord` takes."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: deque[dict[str, Any]] = deque(maxlen=RECORDS_MAX)

    def emit(self, record: logging.LogRecord) -> None:
        trace = None
        if record.exc_info:
            trace = "".join(traceback.format_exception(*record.exc_info)).rstrip()[-TEXT_MAX:]
        plain = {
            name: value
            for name, value in vars(record).items()
            if value is None or isinstance(value, str | int | float)
        }
        self._kept.append(
            plain
            | {"msg": record.getMessage()[:TEXT_MAX], "args": None, "exc_info": None}
            | {"exc_text": trace}
        )

    def take(self) -> list[dict[str, Any]]:
        """Those since the last time."""
        taken = []
        while self._kept:
            taken.append(self._kept.popleft())
        return taken
