"""`kbroker serve`: runs a broker in this process until SIGTERM or SIGINT.

When clients are served, the line `ready: HOST:PORT` goes to standard output, or to the log if
standard output cannot be written. The value of a key is the last one of: its default, the
properties file, KAFKA_* in the environment, --set, an option of its own.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
from typing import TYPE_CHECKING

import trio

from kbroker.commands.shared.arguments import UserError, address_text, parse_address, parse_settings
from kbroker.commands.shared.local import (
    add_broker_options,
    broker_settings,
    listener,
    start_logging,
)
from kbroker.commands.shared.standard_streams import OutputError
from kbroker.config import ConfigError
from kbroker.config.environment import CLUSTER_ID, read_environment
from kbroker.config.properties import load_properties
from kbroker.descriptors import raise_limit
from kbroker.node.broker import Broker, leaves
from kbroker.node.errors import BrokerStopped

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Sequence

    from kbroker.config.environment import Environment
    from kbroker.node.settings import BrokerSettings

LISTEN_DEFAULT = "127.0.0.1:9092"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="read this server.properties file")
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help=f"listen for clients here; port 0 picks a free port (default: {LISTEN_DEFAULT})",
    )
    parser.add_argument(
        "--advertise",
        metavar="HOST:PORT|auto",
        help="the address that clients are told to use (default: auto, the address that each "
        "client dialled)",
    )
    parser.add_argument(
        "--data", metavar="DIR", help="store the data here (default: a temporary directory)"
    )
    add_broker_options(parser)


def run(arguments: argparse.Namespace) -> int:
    start_logging(logging.INFO)
    raise_limit()
    settings = _settings(arguments)
    # What a start makes stays. To look through it for garbage as it grows took a fifth of a start
    # with 10,000 partitions, so nobody looks until it is over (`_keep`).
    gc.disable()
    try:
        trio.run(_serve, settings)
    except BaseExceptionGroup as group:
        # Not `except*`: what is raised in one comes out in a group before Python 3.11.4.
        stopped, others = group.split(BrokerStopped)
        if stopped is None or others is not None:
            raise
        raise UserError(str(next(leaves(stopped)))) from None
    finally:
        gc.enable()
    return 0


async def _keep(broker: Broker) -> None:
    """Once the start is over, and all groups are loaded: what that made is left out of every later
    look for garbage.

    With 10,000 partitions such a look took 0.2 s, and with a million committed offsets 0.4, in
    which nobody was answered. What is in no cycle goes with its last reference all the same, and
    nothing that comes and goes is in one.
    """
    await broker.wait_loaded()
    gc.freeze()
    gc.enable()


def _settings(arguments: argparse.Namespace) -> BrokerSettings:
    """The file, the environment, --set, then the options that have a name of their own."""
    try:
        keys = {} if arguments.config is None else load_properties(arguments.config)
        environment = read_environment(os.environ)
    except ConfigError as error:
        raise UserError(str(error)) from error
    _tell_of(environment)
    options = parse_settings(arguments.set, "--set")
    keys.update(environment.settings)
    keys.update(options)
    is_advertised_anew = arguments.advertise is not None or "advertised.listeners" in options
    if environment.listeners is not None and not is_advertised_anew:
        keys.setdefault("listeners", environment.listeners)
    if arguments.listen is not None or "listeners" not in keys:
        listen = arguments.listen or LISTEN_DEFAULT
        keys["listeners"] = listener(*parse_address(listen, "--listen"))
    if arguments.advertise == "auto":
        keys.pop("advertised.listeners", None)
    elif arguments.advertise is not None:
        keys["advertised.listeners"] = listener(*parse_address(arguments.advertise, "--advertise"))
    if arguments.data is not None:
        keys["log.dirs"] = arguments.data
    return broker_settings(keys, arguments.data, arguments.topic, os.environ.get(CLUSTER_ID))


def _tell_of(environment: Environment) -> None:
    """A line that names what the environment sets: nothing of it is to surprise."""
    log = logging.getLogger("kbroker")
    if environment.variables:
        log.info("keys set by the environment: %s", ", ".join(environment.variables.values()))
    if environment.ignored:
        log.warning(
            "ignoring environment variables that name no key: %s",
            ", ".join(environment.ignored),
        )


async def _serve(settings: BrokerSettings) -> None:
    """Until SIGTERM or SIGINT; one that comes while the broker starts gives the start up."""
    start = trio.CancelScope()
    serving, stop = trio.Event(), trio.Event()

    async def watch(signals: AsyncIterator[int]) -> None:
        async for number in signals:
            logging.getLogger("kbroker").info("received %s, stopping", signal.Signals(number).name)
            # Whatever comes after the first is taken too: one that is left over would end the
            # process by itself, and with another status.
            stop.set()
            if not serving.is_set():
                start.cancel()

    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, signals)
            with start:
                async with Broker(settings) as broker:
                    serving.set()
                    nursery.start_soon(_keep, broker)
                    _say_ready(broker.addresses)
                    await stop.wait()
            nursery.cancel_scope.cancel()


def _say_ready(addresses: Sequence[tuple[str, int]]) -> None:
    """Where nobody can be told, clients are served all the same; the log has the addresses."""
    ready = f"ready: {','.join(address_text(host, port) for host, port in addresses)}"
    try:
        print(ready, flush=True)
    except OutputError as error:
        log = logging.getLogger("kbroker")
        log.warning("%s (this line could not be written to standard output: %s)", ready, error)
