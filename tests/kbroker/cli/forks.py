"""Runs command lines, each in a process of its own with the standard streams that it is to have.

Reads cases from standard input and prints the statuses. The processes are forked from this one,
which has the commands imported, and end without being taken apart: hundreds of them take seconds.
What the interpreter does with the streams at its start and its end is done again in each.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from importlib import import_module
from typing import NoReturn, TypedDict

from kbroker.cli import COMMANDS, main

CLOSED, FULL, UNREAD = "closed", "full", "unread"  # else the name of a file
NAMES = ("stdin", "stdout", "stderr")
UNFLUSHED = 120  # what the interpreter ends with
AT_ONCE = 4
TIMEOUT_S = 60


class Case(TypedDict):
    words: list[str]
    streams: list[str]


def redirect(number: int, how: str) -> None:
    """As a shell would: `>&-`, `>/dev/full`, `| true`, `>FILE`."""
    if how == CLOSED:
        os.close(number)
        return
    if how == UNREAD:
        ends = os.pipe()
        # Of standard input it is the other end that nobody has: it is empty.
        os.dup2(ends[0 if number == 0 else 1], number)
        for end in ends:
            os.close(end)
        return
    path = "/dev/full" if how == FULL else how
    flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT
    descriptor = os.open(path, flags, 0o600)
    os.dup2(descriptor, number)
    os.close(descriptor)


def become(case: Case) -> NoReturn:
    """The rest of this process is the command."""
    for number, how in enumerate(case["streams"]):
        redirect(number, how)
        if how == CLOSED:
            setattr(sys, NAMES[number], None)
            setattr(sys, f"__{NAMES[number]}__", None)
    signal.alarm(TIMEOUT_S)
    try:
        status = main(case["words"])
    except BaseException:
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BaseException:
            status = UNFLUSHED
    os._exit(status)


def fork_each(cases: list[Case]) -> Case | None:
    """None in this process, which prints the statuses; its case in each other one."""
    running: dict[int, int] = {}
    statuses: dict[int, int] = {}
    for index, case in enumerate(cases):
        if len(running) == AT_ONCE:
            reap(running, statuses)
        child = os.fork()
        if child == 0:
            return case
        running[child] = index
    while running:
        reap(running, statuses)
    print(json.dumps([statuses[index] for index in range(len(cases))]))
    return None


def reap(running: dict[int, int], statuses: dict[int, int]) -> None:
    child, status = os.wait()
    statuses[running.pop(child)] = os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    for name in COMMANDS:
        import_module(f"kbroker.commands.{name.replace('-', '_')}")
    for name in ("compile_decoder", "compile_encoder"):  # else the first message imports them
        import_module(f"kbroker.wire.{name}")
    gc.freeze()
    mine = fork_each(json.load(sys.stdin))
    if mine is not None:
        become(mine)
