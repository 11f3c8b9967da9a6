"""`kbroker run -- COMMAND`: starts a broker, runs a command with it, and stops it.

COMMAND finds the address in KAFKA_BOOTSTRAP_SERVERS. Its exit status becomes that of `kbroker run`,
or 128 + n if signal n ended it. Signals are passed on to it.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import trio

from kbroker.commands.shared.arguments import UserError, address_text, parse_settings
from kbroker.commands.shared.local import (
    add_broker_options,
    broker_settings,
    listener,
    start_logging,
)
from kbroker.node.broker import Broker
from kbroker.node.errors import BrokerStopped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kbroker.node.settings import BrokerSettings

BOOTSTRAP_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"
NOT_FOUND_STATUS = 127
NOT_EXECUTABLE_STATUS = 126
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
# What a run of tests wants, also in `kbroker.testing`.
DEFAULTS = {
    # No wait for group members that will not come.
    "group.initial.rebalance.delay.ms": "0",
    # A test may have set its clock ahead; a record from there is no mistake.
    "log.message.timestamp.after.max.ms": str(2**63 - 1),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "kbroker run [--topic ...] [--set KEY=VALUE] -- COMMAND [ARGUMENT...]"
    add_broker_options(parser)
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, help="the command to run, with its arguments"
    )


def run(arguments: argparse.Namespace) -> int:
    command: list[str] = arguments.command
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        raise UserError("No command was given. Example: kbroker run -- pytest.")
    start_logging(logging.WARNING)
    keys = {
        **DEFAULTS,
        **parse_settings(arguments.set, "--set"),
        "listeners": listener("127.0.0.1", 0),
    }
    settings = broker_settings(keys, None, arguments.topic)
    try:
        return trio.run(_run, settings, command)
    except BrokerStopped as error:
        raise UserError(str(error)) from error


async def _run(settings: BrokerSettings, command: list[str]) -> int:
    with trio.open_signal_receiver(*PASSED_ON) as signals:
        async with Broker(settings) as broker:
            bootstrap = address_text(*broker.addresses[0])
            environment = {**os.environ, BOOTSTRAP_VARIABLE: bootstrap}
            try:
                process = await trio.lowlevel.open_process(command, env=environment)
            except OSError as error:
                print(f"kbroker: Cannot run {command[0]}: {error.strerror}.", file=sys.stderr)
                not_found = isinstance(error, FileNotFoundError)
                return NOT_FOUND_STATUS if not_found else NOT_EXECUTABLE_STATUS
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_pass_on, signals, process)
                    status = await process.wait()
                    nursery.cancel_scope.cancel()
            finally:
                if process.returncode is None:  # the broker failed under it
                    process.kill()
            return status if status >= 0 else 128 - status


async def _pass_on(signals: AsyncIterator[int], process: trio.Process) -> None:
    async for number in signals:
        # Ctrl-C and Ctrl-\ reach every process of the terminal's foreground group by themselves.
        if number in (signal.SIGINT, signal.SIGQUIT) and _in_foreground():
            continue
        process.send_signal(number)


def _in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
