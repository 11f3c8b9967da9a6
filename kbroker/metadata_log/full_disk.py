"""Reports a full disk to the quorum as NoRoom, after which the quorum tries again later."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from kbroker.controller.raft.log import NoRoom
from kbroker.storage.errors import DiskFull

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def no_room_if_full() -> Iterator[None]:
    """DiskFull becomes NoRoom. Every other error of the disk ends the quorum."""
    try:
        yield
    except DiskFull as error:
        raise NoRoom(str(error)) from error


def run_or_no_room(write: Callable[[], None]) -> None:
    with no_room_if_full():
        write()
