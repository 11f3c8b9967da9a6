"""What commands for any Kafka share: the bootstrap address, running a task, tables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

import trio

from kbroker.client.cluster import connect
from kbroker.client.errors import ClientError

from .arguments import UserError, parse_address

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable, Sequence

    from kbroker.client.cluster import Cluster

T = TypeVar("T")

BOOTSTRAP_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"
BOOTSTRAP_DEFAULT = "127.0.0.1:9092"


def add_bootstrap(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bootstrap",
        metavar="HOST:PORT[,HOST:PORT...]",
        help=f"the brokers (default ${BOOTSTRAP_VARIABLE}, or {BOOTSTRAP_DEFAULT})",
    )


def with_cluster(arguments: argparse.Namespace, task: Callable[[Cluster], Awaitable[T]]) -> T:
    """Runs `task` with the cluster behind --bootstrap. UserError for what goes wrong."""
    text = arguments.bootstrap or os.environ.get(BOOTSTRAP_VARIABLE) or BOOTSTRAP_DEFAULT
    addresses = [parse_address(each.strip(), "--bootstrap") for each in text.split(",")]

    async def run() -> T:
        async with connect(addresses) as cluster:
            return await task(cluster)

    try:
        return trio.run(run)
    except ClientError as error:
        raise UserError(str(error)) from error
    except BaseExceptionGroup as group:
        first = first_of(group)
        if isinstance(first, ClientError):
            raise UserError(str(first)) from group
        if isinstance(first, (UserError, KeyboardInterrupt, BrokenPipeError)):
            raise first from None
        raise


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first leaf of a group."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Aligned columns; numbers to the right."""
    texts = [[_text(cell) for cell in row] for row in (headings, *rows)]
    numeric = [
        all(isinstance(row[i], int) or row[i] is None for row in rows) for i in range(len(headings))
    ]
    widths = [max(len(row[i]) for row in texts) for i in range(len(headings))]
    for row in texts:
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        print("  ".join(cells).rstrip())


def _text(cell: object) -> str:
    return "-" if cell is None or cell == "" else str(cell)
