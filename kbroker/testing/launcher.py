"""Starts a process for a broker, from the test's process.

The first call starts a template (`template.py`), which forks a process for each broker. On systems
without fork, each broker is started separately (`alone.py`) and pays for its imports every time.

While a test runs, clocks, sockets and files may be replaced by freezegun, time-machine, gevent or
pyfakefs. This module must not notice. Therefore it takes the system's functions when it is
imported, uses C's sockets, whose timeouts the system keeps, and opens no file.
"""

from __future__ import annotations

import _socket
import array
import atexit
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from .channel import Channel
from .kafka import START_TIMEOUT_S, STOP_TIMEOUT_S, BrokerFailed

if TYPE_CHECKING:
    from .channel import Message

# The process that was started ends by itself in time, and says why; this is for when it cannot.
TIMEOUT_S = max(START_TIMEOUT_S, STOP_TIMEOUT_S) + 10.0
LAST_WORDS_MAX = 10_000
NO_SIGNAL = getattr(_socket, "MSG_NOSIGNAL", 0)


class Link(Protocol):
    """The test's end of a channel to one broker's process."""

    def send(self, message: Message) -> None:
        """OSError where the process has gone."""

    def receive(self) -> Message | None:
        """None where the process has gone, with all that it had. OSError."""

    def finish(self) -> None:
        """Nothing more is asked: let the broker stop."""

    def close(self) -> None:
        """At the end, or to leave the process to itself."""

    def last_words(self) -> str:
        """What was printed where the process has gone without a message."""


class _System:
    """Taken at import; functions of a class are not looked for by those who patch modules."""

    close = staticmethod(os.close)
    getcwd = staticmethod(os.getcwd)
    getpid = staticmethod(os.getpid)
    kill = staticmethod(os.kill)
    pipe = staticmethod(os.pipe)
    read = staticmethod(os.read)
    set_blocking = staticmethod(os.set_blocking)
    waitpid = staticmethod(os.waitpid)


def launch() -> Link:
    """A process that waits for a request. BrokerFailed."""
    if not _can_fork():
        return _AloneLink()
    try:
        return _the_template().launch()
    except OSError:  # it has been killed
        template = _the_template(is_gone=True)
    try:
        return template.launch()
    except OSError:
        raise gone(template.last_words()) from None


def gone(words: str) -> BrokerFailed:
    """What a process is told by that has ended and has not said why."""
    error = BrokerFailed("The broker's process ended without an error message.")
    if words:
        error.add_note(words)
    return error


def prepare() -> None:
    """Start the template before the first broker is asked for, to have it ready by then."""
    if _can_fork():
        _the_template()


def _can_fork() -> bool:
    return hasattr(os, "fork") and hasattr(os, "posix_spawn")


def working_directory() -> str | None:
    try:
        return _System.getcwd()
    except OSError:  # it has been removed
        return None


def _command(module: str) -> list[str]:
    """Runs `main` of a module of ours, with what is importable here importable there.

    What the test's own folders have comes last, and the working directory not at all (-P): a file
    of the test's that is called `types.py` must not be taken for Python's.
    """
    code = f"import sys; sys.path += sys.argv[1:]; from {__package__}.{module} import main; main()"
    folders = [each for each in sys.path if isinstance(each, str) and each]
    return [sys.executable, "-P", "-c", code, *folders]


class _Template:
    """The process `template.py`, which ends when its parent, this process, does."""

    def __init__(self) -> None:
        self._owner = _System.getpid()
        self._control, theirs = _socket.socketpair()
        self._words, their_words = _System.pipe()
        _System.set_blocking(self._words, False)
        try:
            self._pid = os.posix_spawn(
                sys.executable,
                _command("template"),
                os.environ,
                # In this order none takes the place of one that is still needed, be it that the
                # first descriptors were free.
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                    (os.POSIX_SPAWN_DUP2, their_words, 2),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                ],
                setsigmask=(),
                setsigdef=(signal.SIGTERM, signal.SIGCHLD),
            )
        except OSError as error:
            self._control.close()
            _System.close(self._words)
            sentence = f"The broker cannot start: {sys.executable}: {error.strerror}."
            raise BrokerFailed(sentence) from error
        finally:
            theirs.close()
            _System.close(their_words)

    def launch(self) -> Link:
        """OSError where the template has gone."""
        ours, theirs = _socket.socketpair()
        rights = array.array("i", [theirs.fileno()])
        try:
            self._control.sendmsg(
                [b"\0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)], NO_SIGNAL
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return _SocketLink(ours, self)

    def last_words(self) -> str:
        with suppress(OSError):
            return _System.read(self._words, LAST_WORDS_MAX).decode(errors="replace")
        return ""

    def end(self) -> None:
        """Returns when the process has gone, with all its brokers."""
        if self._owner == _System.getpid():  # not a process that was forked from there
            self._control.settimeout(TIMEOUT_S)
            try:
                self._control.shutdown(_socket.SHUT_WR)
                self._control.recv(1)  # nothing, once it has gone
            except TimeoutError:
                _System.kill(self._pid, signal.SIGKILL)
            except OSError:  # it has gone already
                pass
            with suppress(ChildProcessError):  # somebody waits for every child of this process
                _System.waitpid(self._pid, 0)
        self._control.close()
        _System.close(self._words)


class _SocketLink:
    """To a process that the template has made."""

    def __init__(self, socket: _socket.socket, template: _Template) -> None:
        self._socket = socket
        self._template = template
        socket.settimeout(TIMEOUT_S)
        channel = Channel(socket.recv, socket.sendall)
        self.send = channel.send
        self.receive = channel.receive

    def finish(self) -> None:
        with suppress(OSError):  # it has gone already
            self._socket.shutdown(_socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()

    def last_words(self) -> str:
        return self._template.last_words()


class _AloneLink:
    """To a process that was started for one broker. It keeps its time limits by itself."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(_command("alone"), stdin=pipe, stdout=pipe, stderr=pipe)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        channel = Channel.over(self._process.stdout, self._process.stdin)
        self.send = channel.send
        self.receive = channel.receive
        self._words = b""

    def finish(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has gone already
            self._process.stdin.close()

    def close(self) -> None:
        self.finish()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._words = self._process.stderr.read()
        self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()

    def last_words(self) -> str:
        return self._words[-LAST_WORDS_MAX:].decode(errors="replace")


_LOCK = threading.Lock()
_templates: list[_Template] = []  # this process's, or none


def _the_template(*, is_gone: bool = False) -> _Template:
    """The one of this process, started where there is none, or `is_gone`. BrokerFailed."""
    with _LOCK:
        if is_gone:
            _end_template()
        if not _templates:
            _templates.append(_Template())
            atexit.register(_end_template)
        return _templates[0]


def _end_template() -> None:
    atexit.unregister(_end_template)
    while _templates:
        _templates.pop().end()
