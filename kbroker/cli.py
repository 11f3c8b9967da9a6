"""The `kbroker` command: imports the module of the sub-command, and no other.

An error that the user caused becomes one sentence on standard error and exit status 1.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from kbroker.commands.shared.arguments import Parser, UserError
from kbroker.commands.shared.standard_streams import OutputError, take_over

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

COMMANDS = {
    "serve": "run a broker until it is stopped",
    "run": "start a broker, run a command with it, and stop it",
    "topics": "create, list, describe, alter and delete topics; show offsets and delete records",
    "configs": "show and change the configuration of topics, brokers and groups",
    "produce": "write lines from standard input or a file to a topic",
    "consume": "print the records of a topic",
    "groups": "list, describe and delete consumer groups; watch their lag and reset their offsets",
    "log-dirs": "show the log directories and move replicas between them",
    "cluster": "show brokers, the quorum, features and supported APIs; elect leaders",
    "dump": "show the contents of segment files, indexes, snapshots and checkpoints",
}

ERROR_STATUS = 1
# What a shell reports of a command that a signal ended.
INTERRUPTED_STATUS = 130  # SIGINT
UNREAD_STATUS = 141  # SIGPIPE


class Command(Protocol):
    """A module of kbroker.commands."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int:
        """The exit status."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line (sys.argv by default); the exit status."""
    take_over()
    status = _status(list(sys.argv[1:] if argv is None else argv))
    try:
        sys.stdout.flush()  # what the interpreter fails to write at its end has a status of its own
    except OutputError as error:
        return status or _say_unwritten(error)
    except KeyboardInterrupt:
        return INTERRUPTED_STATUS
    return status


def _status(words: list[str]) -> int:
    try:
        known = bool(words) and words[0] in COMMANDS
        return _run(words) if known else _without_command(words)
    except SystemExit as end:  # what argparse ends with after it has shown the help
        return int(end.code or 0)
    except UserError as error:
        print(f"kbroker: {error}", file=sys.stderr)
        return ERROR_STATUS
    except KeyboardInterrupt:
        return INTERRUPTED_STATUS
    except OutputError as error:
        return _say_unwritten(error)


def _say_unwritten(error: OutputError) -> int:
    if error.is_unread:
        return UNREAD_STATUS
    print(f"kbroker: Cannot write the output: {error}.", file=sys.stderr)
    return ERROR_STATUS


def _run(words: list[str]) -> int:
    command = cast("Command", import_module(f"kbroker.commands.{words[0].replace('-', '_')}"))
    help_text = COMMANDS[words[0]]
    sentence = help_text[:1].upper() + help_text[1:] + "."
    parser = Parser(prog=f"kbroker {words[0]}", description=sentence)
    command.add_arguments(parser)
    return command.run(parser.parse_args(words[1:]))


def _without_command(words: list[str]) -> int:
    """--help, --version, or a mistake."""
    if words and words[0] in ("-h", "--help", "help"):
        width = max(map(len, COMMANDS))
        print("usage: kbroker COMMAND ...\n\nA Kafka broker, and commands for any Kafka.\n")
        for name, help_text in COMMANDS.items():
            print(f"  {name:<{width}}  {help_text}")
        print("\nRun kbroker COMMAND --help for the options of a command.")
        return 0
    if words and words[0] == "--version":
        from importlib.metadata import PackageNotFoundError

        import kbroker

        try:
            print("kbroker " + kbroker.__version__)
        except PackageNotFoundError:
            print("kbroker (not installed, running from a checkout)")
        return 0
    known = ", ".join(COMMANDS)
    if not words:
        raise UserError(f"No command was given. The commands are: {known}.")
    raise UserError(f"Unknown command {words[0]!r}. The commands are: {known}.")
