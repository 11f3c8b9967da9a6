"""`kbroker produce TOPIC`: each line of standard input is a record."""

from __future__ import annotations

import os
import random
import sys
import time
from typing import TYPE_CHECKING

import trio

from kbroker.client.producer import ALL_REPLICAS, Producer
from kbroker.storage.compression import Codec

from .arguments import UserError, parse_settings
from .remote import add_bootstrap, with_cluster

if TYPE_CHECKING:
    import argparse

    from kbroker.client.cluster import Cluster

READ_BYTES = 256 * 1024
LINE_BYTES_MAX = 64 * 1024 * 1024
BUFFER_BYTES_MAX = 1024 * 1024
ACKS = {"all": ALL_REPLICAS, "1": 1, "0": 0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TOPIC")
    parser.add_argument(
        "--key-separator", metavar="TEXT", help="a line's key is what stands before it"
    )
    parser.add_argument("--key", metavar="TEXT", help="the key of every record")
    parser.add_argument(
        "--header",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a header of every record, may be repeated",
    )
    parser.add_argument("--null", metavar="TEXT", help="a key or value of this text is null")
    parser.add_argument("--partition", type=int, metavar="N", help="(default: by the key)")
    parser.add_argument(
        "--compression", choices=[codec.name.lower() for codec in Codec], default="none"
    )
    parser.add_argument("--acks", choices=list(ACKS), default="all")
    add_bootstrap(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.key is not None and arguments.key_separator is not None:
        raise UserError("--key and --key-separator exclude each other.")
    if arguments.key_separator == "":
        raise UserError("--key-separator must not be empty.")
    headers = parse_settings(arguments.header, "--header")
    lines = _Lines(arguments, [(key, value.encode()) for key, value in headers.items()])
    with_cluster(arguments, lambda cluster: _produce(cluster, arguments, lines))
    return 0


class _Lines:
    """From lines to records."""

    def __init__(
        self, arguments: argparse.Namespace, headers: list[tuple[str, bytes | None]]
    ) -> None:
        self.headers = headers
        self._separator = (
            None if arguments.key_separator is None else arguments.key_separator.encode()
        )
        self._key = None if arguments.key is None else arguments.key.encode()
        self._null = None if arguments.null is None else arguments.null.encode()
        self._number = 0

    def record(self, line: bytes) -> tuple[bytes | None, bytes | None]:
        """Key and value. UserError for a line without the separator."""
        self._number += 1
        key, value = self._key, line
        if self._separator is not None:
            key, found, value = line.partition(self._separator)
            if not found:
                raise UserError(
                    f"Line {self._number} has no {self._separator.decode()!r} after a key."
                )
        return (
            None if key == self._null else key,
            None if value == self._null else value,
        )


async def _produce(cluster: Cluster, arguments: argparse.Namespace, lines: _Lines) -> None:
    producer = Producer(
        cluster,
        arguments.topic,
        random.Random(),
        acks=ACKS[arguments.acks],
        codec=Codec[arguments.compression.upper()],
    )
    await producer.start()
    partition = arguments.partition
    if partition is not None and not 0 <= partition < producer.partition_count:
        raise UserError(
            f"--partition {partition}: {arguments.topic} has the partitions "
            f"0 to {producer.partition_count - 1}."
        )
    pending = b""
    while True:
        # What is there is sent at once: a typed line, or as much as a pipe gives in one go.
        data = await trio.to_thread.run_sync(_read_some, abandon_on_cancel=True)
        whole, newline, rest = (pending + data).rpartition(b"\n")
        if not data and rest:
            whole, newline, rest = rest, b"\n", b""  # the last line may lack its end
        pending = rest
        if len(pending) > LINE_BYTES_MAX:
            raise UserError(f"A line is longer than {LINE_BYTES_MAX} bytes.")
        now_ms = time.time_ns() // 1_000_000
        for line in whole.split(b"\n") if newline else ():
            key, value = lines.record(line.removesuffix(b"\r"))
            producer.send(now_ms, key, value, lines.headers, partition)
            if producer.buffered_bytes >= BUFFER_BYTES_MAX:
                await producer.flush()
        await producer.flush()
        if not data:
            return


def _read_some() -> bytes:
    """What standard input has, waiting for at least a byte; empty at its end."""
    return os.read(sys.stdin.fileno(), READ_BYTES)
