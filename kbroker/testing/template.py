"""A process that has imported the broker and waits. Each broker is a fork of it.

Most of the time of a start is spent on imports, and a fork has them already. For each broker the
test's process sends one end of a socket pair, over the socket that is this process's standard
input. Forks of the test's process may send such messages too, because each is only one byte.

The fork talks to the test (`child.py`). The template keeps that end open as well, so that the test
sees it close only when the fork is reaped and its directory is removed, and learns of a crash.
"""

from __future__ import annotations

import gc
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kbroker.node.broker import temporary_root

from . import warmup
from .channel import Channel
from .child import OUTPUT, serve
from .kafka import STOP_TIMEOUT_S, cannot_start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from .channel import Message

PARENT_CHECK_S = 1.0
REQUEST_TIMEOUT_S = 10.0
REPORT_TIMEOUT_S = 1.0
OUTPUT_MAX = 10_000
WATCHDOG_STATUS = 1  # faulthandler's


@dataclass(frozen=True, slots=True)
class _Copy:
    """A broker's process, as the template sees it; in the copy itself: what it is to do."""

    socket: socket.socket
    request: Message
    directory: str

    @property
    def channel(self) -> Channel:
        return Channel(self.socket.recv, self.socket.sendall)

    def end(self) -> None:
        """As if the test had asked for no more: the broker stops."""
        with suppress(OSError):  # the test has gone
            self.socket.shutdown(socket.SHUT_RD)


def main() -> None:
    """Until the process that started this one is gone."""
    template = _Template(socket.socket(fileno=0))
    work = template.run()
    status = 0
    if work is not None:
        try:
            serve(work.channel, work.request, work.directory)
        except BaseException:
            sys.excepthook(*sys.exc_info())  # to the output, which the template passes on
            status = 2
    # No destructors, no atexit: what they would tidy away is the template's, or gone.
    os._exit(status)


class _Template:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._parent = os.getppid()
        self._copies: dict[int, _Copy] = {}
        self._warming: Iterator[None] | None = warmup.for_clients()
        # Ctrl-C and a closed terminal reach every process of the group: the test decides.
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._is_wanted = True
        signal.signal(signal.SIGTERM, self._terminated)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._wakeup = socket.socketpair()
        for each in self._wakeup:
            each.setblocking(False)
        signal.set_wakeup_fd(self._wakeup[1].fileno())
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._selector.register(self._wakeup[0], selectors.EVENT_READ)

    def run(self) -> _Copy | None:
        """Returns in each copy, with its work, and once in the template, when it is to end."""
        warmup.for_a_start()
        self._keep()
        # A process forked by the test's may hold the other end for longer than the test's lives.
        while self._is_wanted and os.getppid() == self._parent:
            if self._wait():
                data, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
                if not data:
                    break
                for descriptor in descriptors:
                    work = self._start(socket.socket(fileno=descriptor))
                    if work is not None:
                        return work
        self._end()
        return None

    def _wait(self) -> bool:
        """For a short while at most: whether a broker is asked for, or nobody is left to ask."""
        ready = self._selector.select(PARENT_CHECK_S if self._warming is None else 0)
        if not ready:
            self._warm()
        with suppress(BlockingIOError):
            self._wakeup[0].recv(4096)
        self._reap()
        return any(key.fileobj is self._control for key, _ in ready)

    def _warm(self) -> None:
        if self._warming is not None:
            for _ in self._warming:
                return
            self._warming = None
            self._keep()

    def _keep(self) -> None:
        """A look for garbage in a copy would touch, and so copy, all that there is here."""
        gc.collect()
        gc.freeze()

    def _start(self, asked: socket.socket) -> _Copy | None:
        """Its work in the copy, None in the template."""
        asked.settimeout(REQUEST_TIMEOUT_S)
        try:
            request = Channel(asked.recv, asked.sendall).receive()
        except OSError:
            request = None
        if request is None:  # whoever asked is gone
            asked.close()
            return None
        asked.settimeout(None)
        try:
            directory = make_directory(request)
        except OSError as error:
            self._refuse(asked, error)
            return None
        copy = _Copy(asked, request, directory)
        try:
            pid = os.fork()
        except OSError as error:
            os.rmdir(directory)
            self._refuse(asked, error)
            return None
        if pid:
            self._copies[pid] = copy
            return None
        self._forget()
        signal.signal(signal.SIGTERM, lambda number, frame: copy.end())
        return copy

    def _refuse(self, asked: socket.socket, error: OSError) -> None:
        message = {"failed": cannot_start(error), "trace": "", "log": []}
        with suppress(OSError):
            Channel(asked.recv, asked.sendall).send(message)
        asked.close()

    def _forget(self) -> None:
        """In the copy: what is the template's alone."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for each in (
            self._control,
            *self._wakeup,
            *(copy.socket for copy in self._copies.values()),
        ):
            each.close()
        self._copies.clear()

    def _reap(self) -> None:
        for pid in list(self._copies):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self._finish(self._copies.pop(pid), os.waitstatus_to_exitcode(status))

    def _finish(self, copy: _Copy, status: int) -> None:
        """The copy has ended: tidy up after one that could not, and let the test see the end."""
        if status != 0:
            message = {"failed": _why(status), "trace": _tail(copy.directory), "log": []}
            copy.socket.settimeout(REPORT_TIMEOUT_S)
            with suppress(OSError):
                copy.channel.send(message)
            shutil.rmtree(copy.directory, ignore_errors=True)
        copy.socket.close()

    def _end(self) -> None:
        """Stop the copies as their tests would, and kill those that do not."""
        for copy in self._copies.values():
            copy.end()
        self._selector.unregister(self._control)
        self._warming = None
        deadline = time.monotonic() + STOP_TIMEOUT_S + PARENT_CHECK_S
        while self._copies and time.monotonic() < deadline:
            self._wait()
        for pid, copy in self._copies.items():
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            self._finish(copy, os.waitstatus_to_exitcode(status))

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        self._is_wanted = False


def make_directory(request: Message) -> str:
    """A new one where the test has its temporary files. OSError."""
    root = os.path.join(request["directory"] or "/", temporary_root(request["environment"]))
    directory = f"{root}/kbroker-{os.urandom(6).hex()}"
    os.mkdir(directory, 0o700)
    return directory


def _why(status: int) -> str:
    if status == WATCHDOG_STATUS:
        return "The broker did not start or stop in time."
    if status < 0:
        return f"The broker's process was ended by {signal.Signals(-status).name}."
    return f"The broker's process ended with status {status}."


def _tail(directory: str) -> str:
    """The end of what the process printed."""
    try:
        with open(f"{directory}/{OUTPUT}", "rb") as output:
            output.seek(max(0, os.fstat(output.fileno()).st_size - OUTPUT_MAX))
            return output.read(OUTPUT_MAX).decode(errors="replace")
    except OSError:
        return ""
