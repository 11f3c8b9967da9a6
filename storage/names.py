"""The names that Kafka gives to a partition's directory and to the files in it.

`topic-3` is a partition's directory. `topic-3.<32 hex>-delete` waits to be removed, `-stray`
belongs to a partition that this broker no longer hosts, `-future` is a copy on its way between log
directories (Kafka's LocalLog and LogFileUtils).
"""

from __future__ import annotations

import re
from typing import NamedTuple

LOG = ".log"
OFFSET_INDEX = ".index"
TIME_INDEX = ".timeindex"
TXN_INDEX = ".txnindex"
SNAPSHOT = ".snapshot"

DELETED = ".deleted"
CLEANED = ".cleaned"
SWAP = ".swap"

DELETE_DIR = "-delete"
STRAY_DIR = "-stray"
FUTURE_DIR = "-future"

SEGMENT_SUFFIXES = (LOG, OFFSET_INDEX, TIME_INDEX, TXN_INDEX)

_NAME_BYTES_MAX = 255
_MARKED_DIR = re.compile(r"^(\S+)-(\S+)\.(\S+)(-delete|-stray|-future)$")
_PARTITION_DIR = re.compile(r"^(\S+)-(\d{1,10})$")
_FILE = re.compile(r"^(\d{20})(\.log|\.index|\.timeindex|\.txnindex|\.snapshot)$")


class PartitionDir(NamedTuple):
    """What a directory's name says. `mark` is one of the three directory suffixes, or empty."""

    topic: str
    partition: int
    mark: str = ""


def parse_partition_dir(name: str) -> PartitionDir | None:
    """None where the name is no partition's."""
    mark = ""
    marked = _MARKED_DIR.match(name)
    if marked is not None:
        mark = marked[4]
        name = name[: name.rindex(".")]
    elif name.endswith((DELETE_DIR, STRAY_DIR, FUTURE_DIR)):
        return None
    match = _PARTITION_DIR.match(name)
    return None if match is None else PartitionDir(match[1], int(match[2]), mark)


def partition_dir(topic: str, partition: int) -> str:
    """The directory of a partition."""
    return f"{topic}-{partition}"


def marked_dir(topic: str, partition: int, unique: bytes, mark: str) -> str:
    """The directory of a partition set aside; `unique` is 16 random bytes. Long topics are cut."""
    suffix = f"-{partition}.{unique.hex()}{mark}"
    return topic[: _NAME_BYTES_MAX - len(suffix)] + suffix


def file_name(offset: int, suffix: str) -> str:
    """A segment's or a snapshot's file: 20 digits, then what it is."""
    return f"{offset:020d}{suffix}"


def parse_file_name(name: str) -> tuple[int, str] | None:
    """(offset, suffix), None where the name is not one of ours."""
    match = _FILE.match(name)
    return None if match is None else (int(match[1]), match[2])
