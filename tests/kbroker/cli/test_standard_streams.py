"""Every command over standard streams that are closed, full, or pipes with nobody at the other end.

The table runs each once as it should be, and then over each stream in each state; what it does and
how it ends follows from the first run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kbroker.cli import COMMANDS, main
from kbroker.commands.shared.arguments import Parser
from kbroker.testing import broker

from . import forks
from .forks import CLOSED, FULL, UNREAD, Case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")

TIMEOUT_S = 120
STATES = (CLOSED, FULL, UNREAD)
REASONS = {CLOSED: "Bad file descriptor", FULL: "No space left on device"}
OK, ERROR, UNREAD_STATUS = 0, 1, 141

# What each command can do again and again; {n} is a number that no other case has.
WORDS = {
    "topics create": "made.{n}",
    "topics list": "",
    "topics describe": "orders",
    "topics alter": "grown.{n} --partitions 2",
    "topics delete": "doomed.{n}",
    "topics offsets": "orders",
    "topics delete-records": "orders:2 --before-offset 0",
    "configs list": "",
    "configs describe": "--topic orders --all",
    "configs set": "--topic orders retention.ms=100000",
    "configs unset": "--topic orders retention.bytes",
    "configs append": "--topic orders cleanup.policy=compact --validate-only",
    "configs subtract": "--topic orders cleanup.policy=compact --validate-only",
    "produce": "orders",
    "consume": "orders --from-beginning --until-end",
    "groups list": "",
    "groups describe": "readers",
    "groups reset-offsets": "readers --topic orders --to-latest",
    "groups delete": "gone.{n}",
    "groups delete-offsets": "forgetful.{n} --topic orders:0",
    "log-dirs list": "",
    "log-dirs describe": "",
    "log-dirs move": "orders:0 --broker 1 --to {log_dir}",
    "cluster status": "",
    "cluster quorum": "",
    "cluster features describe": "",
    "cluster features upgrade": "metadata.version=4.3 --validate-only",
    "cluster features downgrade": "transaction.version=0 --validate-only",
    "cluster features disable": "transaction.version --validate-only",
    "cluster api-versions": "",
    "cluster reassignments": "",
    "cluster elect-leaders": "--all --type preferred",
    "cluster unregister": "99",
    "dump": "{file}",
    "run": "-- sh {seven}",
}
COMMON = [leaf for leaf in WORDS if leaf != "run"]
SILENT = {"produce"}
REFUSED = {"cluster unregister"}


class Streams(NamedTuple):
    """The state of each; None: as it should be."""

    stdin: str | None = None
    stdout: str | None = None
    stderr: str | None = None


class Ended(NamedTuple):
    status: int
    out: str
    err: str


FINE = Streams()
UNWRITABLE = [Streams(stdout=state) for state in STATES]
OTHERS = [Streams(stdin=state, stderr=state) for state in STATES]
UNREADABLE = [Streams(stdin=state) for state in STATES]
ALL = [Streams(state, state, state) for state in STATES]
MISTAKE, HELP = "--nonsense", "--help"


def leaves(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    """The commands with their actions, as parsers know them."""
    deeper = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not deeper:
        yield name
    for action in deeper:
        for word, parser_of_word in action.choices.items():
            yield from leaves(parser_of_word, f"{name} {word}")


def every_leaf() -> list[str]:
    found: list[str] = []
    for name in COMMANDS:
        parser = Parser(prog=name)
        import_module(f"kbroker.commands.{name.replace('-', '_')}").add_arguments(parser)
        found += leaves(parser, name)
    return found


class Table:
    """Cases, and how they ended."""

    def __init__(self, folder: Path, places: Mapping[str, str]) -> None:
        self._folder = folder
        self._places = places
        self._cases: list[Case] = []
        self._files: list[Streams] = []
        self._found: dict[tuple[str, str | None, Streams], int] = {}
        self._statuses: list[int] = []

    def add(self, leaf: str, extra: str | None, streams: Streams) -> None:
        number = len(self._cases)
        words = [*leaf.split(), *WORDS.get(leaf, "").split()]
        words = [word.format(n=number, **self._places) for word in words]
        files = Streams(
            streams.stdin or os.devnull,
            streams.stdout or str(self._folder / f"{number}.out"),
            streams.stderr or str(self._folder / f"{number}.err"),
        )
        self._found[leaf, extra, streams] = number
        self._files.append(files)
        self._cases.append(
            {"words": [*words, *([extra] if extra else [])], "streams": [f or "" for f in files]}
        )

    def prepare(self) -> None:
        """What the cases change or delete."""

        def named(*prefixes: str) -> list[str]:
            return [w for case in self._cases for w in case["words"] if w.startswith(prefixes)]

        topics = named("grown.", "doomed.")
        groups = ["readers", *named("gone.", "forgetful.")]
        kbroker("topics", "create", *topics, "--partitions", "1")
        reset = "groups", "reset-offsets", *groups, "--topic", "orders", "--to-earliest"
        kbroker(*reset, "--execute")

    def run(self) -> None:
        done = subprocess.run(
            [sys.executable, forks.__file__],
            input=json.dumps(self._cases),
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
        )
        assert done.stderr == ""
        self._statuses = json.loads(done.stdout)

    def ended(self, leaf: str, extra: str | None, streams: Streams) -> Ended:
        """What was written to streams that are fine."""
        number = self._found[leaf, extra, streams]
        files = self._files[number]
        out, err = (
            "" if state else Path(str(file)).read_text()
            for state, file in zip(streams[1:], files[1:], strict=True)
        )
        return Ended(self._statuses[number], out, err)


def kbroker(*words: str, typed: str = "") -> None:
    command = [sys.executable, "-m", "kbroker", *words]
    subprocess.run(command, input=typed, text=True, stdout=subprocess.DEVNULL, check=True)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A broker that has some records; the places that words name."""
    folder = tmp_path_factory.mktemp("served")
    log_dir, file, seven = folder / "data", folder / "meta.properties", folder / "seven"
    file.write_text("version=1\n")
    seven.write_text("exit 7\n")
    settings = {"log.dirs": str(log_dir)}
    with pytest.MonkeyPatch.context() as patch, broker(("orders:3",), settings) as kafka:
        patch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap)
        kbroker("produce", "orders", typed="one\ntwo\n")
        yield {"log_dir": str(log_dir), "file": str(file), "seven": str(seven)}


@pytest.fixture(scope="module")
def table(served: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Table:
    made = Table(tmp_path_factory.mktemp("table"), served)
    for leaf in WORDS:
        for streams in (FINE, *UNWRITABLE, *OTHERS):
            made.add(leaf, None, streams)
    for streams in UNREADABLE:
        made.add("produce", None, streams)
    for leaf in COMMON:
        for streams in (FINE, *ALL):
            made.add(leaf, MISTAKE, streams)
    for leaf in (*COMMON, "serve"):
        for streams in (FINE, *UNWRITABLE):
            made.add(leaf, HELP, streams)
    made.prepare()
    made.run()
    return made


def test_the_table_has_every_command() -> None:
    assert sorted(every_leaf()) == sorted([*WORDS, "serve"])


def expected(fine: Ended, streams: Streams) -> Ended:
    """How a run ends that would have ended so."""
    state = streams.stdout
    if state is None or not fine.out:
        status, out, err = fine
    else:
        status, out, err = fine.status or UNREAD_STATUS, "", fine.err
        if state != UNREAD:
            status = ERROR
            err += f"kbroker: Cannot write the output: {REASONS[state]}.\n"
    return Ended(status, out, "" if streams.stderr else err)


@pytest.mark.parametrize("leaf", COMMON)
def test_every_command_over_every_stream(leaf: str, table: Table) -> None:
    fine = table.ended(leaf, None, FINE)
    assert bool(fine.err) == (leaf in REFUSED), fine
    assert bool(fine.out) == (leaf not in SILENT | REFUSED), fine
    assert fine.status == (ERROR if leaf in REFUSED else OK), fine
    for streams in (*UNWRITABLE, *OTHERS):
        if leaf == "produce" and streams in OTHERS:
            fine = table.ended(leaf, None, Streams(stdin=streams.stdin))
        ended = table.ended(leaf, None, streams)
        wanted = expected(fine, streams)
        assert (ended.status, ended.err) == (wanted.status, wanted.err), streams
        assert bool(ended.out) == bool(wanted.out), streams


@pytest.mark.parametrize("leaf", COMMON)
def test_a_mistake_keeps_its_status_where_nobody_can_be_told(leaf: str, table: Table) -> None:
    fine = table.ended(leaf, MISTAKE, FINE)
    assert fine.err.startswith("kbroker: ")
    assert (fine.status, fine.out) == (ERROR, "")
    for streams in ALL:
        assert table.ended(leaf, MISTAKE, streams) == expected(fine, streams), streams


@pytest.mark.parametrize("leaf", [*COMMON, "serve"])
def test_help_that_cannot_be_written(leaf: str, table: Table) -> None:
    fine = table.ended(leaf, HELP, FINE)
    assert fine.out.startswith(f"usage: kbroker {leaf}")
    assert (fine.status, fine.err) == (OK, "")
    for streams in UNWRITABLE:
        assert table.ended(leaf, HELP, streams) == expected(fine, streams), streams


def test_produce_over_standard_input_that_gives_nothing(table: Table) -> None:
    sent = "Before that, 0 records were sent.\n"
    wanted = {
        CLOSED: Ended(ERROR, "", f"kbroker: Standard input: Bad file descriptor. {sent}"),
        # Zero bytes without an end.
        FULL: Ended(ERROR, "", f"kbroker: Line 1 is longer than 67108864 bytes. {sent}"),
        UNREAD: Ended(OK, "", ""),
    }
    for streams in UNREADABLE:
        assert table.ended("produce", None, streams) == wanted[str(streams.stdin)]


def test_run_has_the_status_of_its_command(table: Table) -> None:
    for streams in (FINE, *UNWRITABLE, *OTHERS):
        assert table.ended("run", None, streams) == Ended(7, "", ""), streams


# The interpreter's own start and end, which the table's processes share


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """As pip writes it for the `kbroker` command."""
    path = tmp_path_factory.mktemp("bin") / "kbroker"
    path.write_text("import sys\nfrom kbroker.cli import main\nsys.exit(main())\n")
    return str(path)


@pytest.mark.parametrize(("program", "unbuffered"), [("python -m kbroker", ""), ("kbroker", "1")])
def test_processes_of_their_own(
    program: str, unbuffered: str, script: str, served: dict[str, str]
) -> None:
    command = f"{sys.executable} {script if program == 'kbroker' else '-m kbroker'}"
    cannot = "kbroker: Cannot write the output: "
    lines = {
        f"{command} topics list >&-": f"{cannot}Bad file descriptor.\n1",
        f"{command} topics list >/dev/full": f"{cannot}No space left on device.\n1",
        f"{command} topics list | true": "141",
        f"{command} topics list >/dev/full 2>&1": "1",
        f"{command} topics list <&- >&- 2>&-": "1",
        f"{command} --help >&-": f"{cannot}Bad file descriptor.\n1",
        f"{command} --version | true": "141",
        f"{command} nope 2>&-": "1",
        f"{command} nope 2>/dev/full": "1",
        f"{command} nope >/dev/full 2>&1": "1",
        f"{command} produce orders <&-": (
            "kbroker: Standard input: Bad file descriptor. Before that, 0 records were sent.\n1"
        ),
        f"{command} produce orders </dev/null >&- 2>&-": "0",
        # A command finds the streams as they were.
        f"{command} run -- sh -c 'test ! -e /proc/self/fd/1; exit $?' >&-": "0",
        f"{command} run -- {sys.executable} -c 'print(1); exit(7)' >&-": "7",
    }
    shells = {
        line: subprocess.Popen(
            ["bash", "-c", f"{line}; echo ${{PIPESTATUS[0]}}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
        for line in lines
    }
    for line, shell in shells.items():
        assert shell.communicate(timeout=TIMEOUT_S)[0].strip() == lines[line], line


# serve


SERVED_OVER = [
    Streams(*(state if number in which else None for number in range(3)))
    for state in STATES
    for which in ((0, 1), (2,), (0, 1, 2))
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
        return port


class Serving:
    """`kbroker serve` over such streams."""

    def __init__(self, streams: Streams, folder: Path) -> None:
        self.streams = streams
        self.log_dir = folder / "data"
        self.port = free_port()
        self._out, self._err = folder / "out", folder / "err"
        ends: list[int] = []
        redirections = []
        for number, (state, file) in enumerate(
            zip(streams, (Path(os.devnull), self._out, self._err), strict=True)
        ):
            sign = "<" if number == 0 else ">"
            where = {CLOSED: "&-", FULL: "/dev/full"}.get(state or "", str(file))
            if state == UNREAD:
                read, write = os.pipe()
                mine, gone = (read, write) if number == 0 else (write, read)
                os.close(gone)
                ends.append(mine)
                where = f"&{mine} {mine}>&-"
            redirections.append(f"{number}{sign}{where}")
        command = [sys.executable, "-m", "kbroker", "serve", "--data", str(self.log_dir)]
        command += ["--listen", f"127.0.0.1:{self.port}", "--topic", "t"]
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" {" ".join(redirections)}', "sh", *command], pass_fds=ends
        )
        for end in ends:
            os.close(end)

    @property
    def ready(self) -> str:
        return f"ready: 127.0.0.1:{self.port}"

    def wait_until_served(self) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                assert self.process.poll() is None
                time.sleep(0.05)

    def descriptors(self) -> list[str]:
        return [os.readlink(f"/proc/{self.process.pid}/fd/{number}") for number in range(3)]

    def out(self) -> str:
        return self._out.read_text()

    def err(self) -> str:
        return self._err.read_text()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[list[Serving]]:
    """One over each."""
    started: list[Serving] = []
    try:
        for number, streams in enumerate(SERVED_OVER):
            folder = tmp_path / str(number)
            folder.mkdir()
            started.append(Serving(streams, folder))
        for each in started:
            each.wait_until_served()
        yield started
    finally:
        for each in started:
            each.process.kill()
            each.process.wait()


def test_a_broker_serves_whatever_its_streams_are(serving: list[Serving], tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text("a record\n")
    for each in serving:
        bootstrap = f"127.0.0.1:{each.port}"
        assert main(["produce", "t", "--bootstrap", bootstrap, "--file", str(lines)]) == 0
        for number, state in enumerate(each.streams):
            if state == CLOSED:  # else a segment or a socket may have got the number
                assert each.descriptors()[number] == os.devnull, each.streams
        each.process.send_signal(signal.SIGTERM)
    for each in serving:
        assert each.process.wait(TIMEOUT_S) == 0, each.streams
        written = b"".join(path.read_bytes() for path in each.log_dir.rglob("*") if path.is_file())
        assert b"a record" in written
        for printed in (b"ready:", b"SIGTERM", b"Traceback"):
            assert printed not in written, each.streams
        if each.streams.stdout is None:
            assert each.out() == each.ready + "\n"
        if each.streams.stderr is None:
            err = each.err()
            assert (each.ready in err) == (each.streams.stdout is not None), each.streams
            assert "received SIGTERM, stopping" in err
            assert "Traceback" not in err
            assert "Logging error" not in err
