"""`kbroker dump`: prints segment files, indexes, snapshots and checkpoints without a broker.

With --json each row is a line; docs/cli.md shows them.
"""

from __future__ import annotations

import os
import re
from itertools import groupby, islice
from typing import TYPE_CHECKING

from kbroker.commands.shared.arguments import UserError, at_least
from kbroker.commands.shared.output import (
    BAD,
    FAINT,
    GOOD,
    WARNING,
    Column,
    count_text,
    json_line,
    plain,
    print_heading,
    print_table,
)
from kbroker.commands.shared.progress import meter
from kbroker.commands.shared.times import time_text
from kbroker.storage import checkpoints, names
from kbroker.storage.aside import ASIDE
from kbroker.storage.batch import MAGIC
from kbroker.storage.errors import StorageError

from . import files, segments
from .decoders import DECODERS, TOPIC_DECODERS
from .segments import Damage
from .verification import SegmentCheck, offset_index_problems, time_index_problems

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from kbroker.commands.shared.output import Json

    from .decoders import Decoder

PROBLEMS_MAX = 1000  # of one file
TABLE_ROWS = 1000  # then the headings stand again: a file may have millions
_LOG = re.compile(r"\d{20}\.log(\.deleted|\.cleaned|\.swap)?|aside-\d+-\d{20}\.log-\d+")
_METADATA_SNAPSHOT = re.compile(r"(\d{20}-\d{10}|bootstrap)\.checkpoint")
_OFFSET_CHECKPOINTS = (
    checkpoints.RECOVERY_POINT_CHECKPOINT,
    checkpoints.REPLICATION_OFFSET_CHECKPOINT,
    checkpoints.LOG_START_OFFSET_CHECKPOINT,
    checkpoints.CLEANER_OFFSET_CHECKPOINT,
)
_JSON_FILES = ("quorum-state", checkpoints.CLEAN_SHUTDOWN)
_EVERY_RECORD = (1 << 63) - 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example:\n  kbroker dump --records data/orders-0/00000000000000000000.log"
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help="a file, or the directory of a partition"
    )
    parser.add_argument(
        "--records", action="store_true", help="also show the records of each batch"
    )
    parser.add_argument(
        "--decoder",
        choices=["auto", "none", *DECODERS],
        default="auto",
        help="how to decode records (default: chosen by the name of the topic)",
    )
    parser.add_argument(
        "--offset",
        type=at_least(0),
        metavar="N",
        default=0,
        help="start at this batch: skip batches that end before offset N",
    )
    parser.add_argument(
        "--max", type=at_least(1), metavar="N", help="show at most this many batches of each file"
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="check CRCs, records, their order and the indexes; the exit status is 1 if "
        "anything is wrong",
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON for each row")


def run(arguments: argparse.Namespace) -> int:
    paths: list[str] = []
    failures: list[str] = []
    for given in arguments.paths:
        try:
            paths += _files(given)
        except UserError as error:
            failures.append(str(error))
    flaws = 0
    for position, path in enumerate(paths):
        try:
            if arguments.verify:
                flaws += _verify(path, arguments)
                continue
            if len(paths) > 1 and not arguments.json:
                if position:
                    print()
                print_heading(path)
            _show(_rows(path, arguments), arguments)
        except StorageError as error:
            failures.append(f"{path}: {error}.")
        except UnicodeDecodeError as error:
            failures.append(f"{path}: the file is not text: {error}.")
        except OSError as error:
            failures.append(f"{error.filename or path}: {error.strerror}.")
    if flaws:
        of = count_text(len(paths), "file")
        failures.append(f"Found {count_text(flaws, 'problem')} in {of}.")
    if failures:
        raise UserError(" ".join(failures))
    return 0


def _files(path: str) -> list[str]:
    """A file, or what of a directory's files is known. UserError."""
    if not os.path.isdir(path):
        if not os.path.exists(path):
            raise UserError(f"{path}: No such file or directory.")
        if _reader(path) is None:
            raise UserError(f"{path}: the name is not one of Kafka's file names.")
        return [path]
    listed = [name for name in sorted(os.listdir(path)) if not name.startswith(ASIDE)]
    found = [os.path.join(path, name) for name in listed]
    known = [file for file in found if os.path.isfile(file) and _reader(file) is not None]
    if not known:
        raise UserError(f"{path}: the directory contains none of Kafka's files.")
    return known


def _reader(path: str) -> Callable[[argparse.Namespace], Iterator[dict[str, Json]]] | None:
    """By the name; None for a file that is not known."""
    name = os.path.basename(path)
    if _LOG.fullmatch(name) or _METADATA_SNAPSHOT.fullmatch(name):
        return lambda arguments: _segment_rows(path, arguments)
    if name == checkpoints.LEADER_EPOCH_CHECKPOINT:
        return lambda _: files.epoch_rows(path)
    if name in _OFFSET_CHECKPOINTS:
        return lambda _: files.checkpoint_rows(path)
    if name in (checkpoints.META_PROPERTIES, checkpoints.PARTITION_METADATA):
        return lambda _: files.properties_rows(path)
    if name in _JSON_FILES:
        return lambda _: files.json_rows(path)
    parsed = names.parse_file_name(name)
    if parsed is None:
        return None
    base_offset, suffix = parsed
    match suffix:
        case names.OFFSET_INDEX:
            return lambda _: files.offset_index_rows(path, base_offset)
        case names.TIME_INDEX:
            return lambda _: files.time_index_rows(path, base_offset)
        case names.TXN_INDEX:
            return lambda _: files.transaction_index_rows(path, base_offset)
        case _:
            return lambda _: files.snapshot_rows(path)


def _rows(path: str, arguments: argparse.Namespace) -> Iterator[dict[str, Json]]:
    reader = _reader(path)
    assert reader is not None, "the name is known"
    return reader(arguments)


# segments


def _segment_rows(path: str, arguments: argparse.Namespace) -> Iterator[dict[str, Json]]:
    decoder = _decoder(path, arguments.decoder)
    left = arguments.max if arguments.max is not None else _EVERY_RECORD
    with open(path, "rb") as file:
        for found in segments.batches(file):
            if isinstance(found, Damage):
                yield segments.damage_row(path, found)
                return
            if found.header.last_offset < arguments.offset:
                continue
            if not left:
                return
            left -= 1
            yield segments.batch_row(path, found)
            if arguments.records:
                yield from segments.record_rows(path, found, decoder)


def _decoder(path: str, choice: str) -> Decoder | None:
    if choice == "auto":
        if _METADATA_SNAPSHOT.fullmatch(os.path.basename(path)):
            choice = "cluster-metadata"
        else:
            folder = os.path.basename(os.path.dirname(os.path.abspath(path)))
            partition = names.parse_partition_dir(folder)
            topic = "" if partition is None else partition.topic
            choice = TOPIC_DECODERS.get(topic, "none")
    return DECODERS.get(choice)


# output


def _valid_style(valid: Json) -> str:
    return GOOD if valid else BAD


def _flag_style(value: Json) -> str:
    return WARNING if value else FAINT


_COLUMNS: Mapping[str, list[Column]] = {
    "batch": [
        Column("BASE", "base_offset", lambda _: "bold"),
        Column("LAST", "last_offset"),
        Column("POSITION", "position"),
        Column("SIZE", "size_bytes"),
        Column("RECORDS", "records"),
        Column("LARGEST TIME", "time"),
        Column("CODEC", "compression"),
        Column("LEADER EPOCH", "leader_epoch"),
        Column("PRODUCER", "producer"),
        Column("SEQUENCE", "base_sequence"),
        Column("FLAGS", "flags", _flag_style),
        Column("CRC", "crc"),
        Column("VALID", "valid", _valid_style),
    ],
    "damage": [
        Column("DAMAGED AT", "position", lambda _: BAD),
        Column("WHY", "reason", lambda _: BAD),
    ],
    "offset_index": [Column("OFFSET", "offset"), Column("POSITION", "position")],
    "time_index": [
        Column("TIMESTAMP", "timestamp"),
        Column("TIME", "time"),
        Column("OFFSET", "offset"),
    ],
    "transaction_index": [
        Column("PRODUCER", "producer_id"),
        Column("FIRST", "first_offset"),
        Column("LAST", "last_offset"),
        Column("LAST STABLE", "last_stable_offset"),
    ],
    "producer": [
        Column("PRODUCER", "producer_id"),
        Column("EPOCH", "producer_epoch"),
        Column("LAST SEQUENCE", "last_sequence"),
        Column("LAST OFFSET", "last_offset"),
        Column("DELTA", "offset_delta"),
        Column("TIME", "time"),
        Column("COORDINATOR EPOCH", "coordinator_epoch"),
        Column("TRANSACTION FROM", "current_transaction_first_offset"),
    ],
    "leader_epoch": [Column("EPOCH", "epoch"), Column("START", "start_offset")],
    "checkpoint": [
        Column("TOPIC", "topic"),
        Column("PARTITION", "partition"),
        Column("OFFSET", "offset"),
    ],
    "property": [Column("KEY", "key"), Column("VALUE", "value", plain)],
}


def _show(rows: Iterable[dict[str, Json]], arguments: argparse.Namespace) -> None:
    if arguments.json:
        for row in rows:
            print(json_line(row))
        return
    count = 0
    for kind, alike in groupby(rows, key=lambda row: str(row["kind"])):
        while part := [_for_people(row) for row in islice(alike, TABLE_ROWS)]:
            count += len(part)
            if kind == "record":
                for row in part:
                    print(_record_line(row))
            else:
                print_table(_COLUMNS[kind], part)
    if not count:
        print("The file is empty.")


def _for_people(row: dict[str, Json]) -> dict[str, Json]:
    kind = row["kind"]
    if kind == "batch":
        flags = [name for name in ("transactional", "control") if row[name]]
        if row["delete_horizon_ms"] is not None:
            flags.append("delete-horizon")
        if row["timestamp_type"] == "LOG_APPEND_TIME":
            flags.append("append-time")
        if row["magic"] != MAGIC:
            flags.append(f"format-{row['magic']}")
        producer = f"{row['producer_id']}/{row['producer_epoch']}"
        return {
            **row,
            "time": _time(row["max_timestamp"]),
            "producer": None if row["producer_id"] == -1 else producer,
            "base_sequence": None if row["base_sequence"] == -1 else row["base_sequence"],
            "flags": ",".join(flags),
        }
    if kind in ("time_index", "producer"):
        return {**row, "time": _time(row["timestamp"])}
    if kind == "property" and not isinstance(row["value"], str):
        return {**row, "value": json_line(row["value"])}
    return row


def _time(timestamp: Json) -> Json:
    return time_text(timestamp) if isinstance(timestamp, int) and timestamp >= 0 else None


def _record_line(row: dict[str, Json]) -> str:
    parts = [f"  {row['offset']}", str(_time(row["timestamp"]) or row["timestamp"])]
    parts += [f"key {json_line(row['key'])}", f"value {json_line(row['value'])}"]
    if row["headers"]:
        parts.append(f"headers {json_line(row['headers'])}")
    if row["undecoded"] is not None:
        parts.append(f"(not decoded: {row['undecoded']})")
    return "  ".join(parts)


# --verify


def _verify(path: str, arguments: argparse.Namespace) -> int:
    """Prints a line for what is wrong; how many there are."""
    name = os.path.basename(path)
    parsed = names.parse_file_name(name)
    count = "nothing"
    try:
        if _LOG.fullmatch(name) or _METADATA_SNAPSHOT.fullmatch(name):
            with meter(name, os.path.getsize(path), other_is_terminal=False) as progress:
                checked = SegmentCheck(path, _decoder(path, arguments.decoder))
                problems = list(islice(checked.problems(progress), PROBLEMS_MAX))
            count = (
                f"{checked.batches} {'batch' if checked.batches == 1 else 'batches'}, "
                f"{count_text(checked.records, 'record')}"
            )
        elif parsed is not None and parsed[1] in (names.OFFSET_INDEX, names.TIME_INDEX):
            check = (
                offset_index_problems if parsed[1] == names.OFFSET_INDEX else time_index_problems
            )
            problems = list(islice(check(path, parsed[0]), PROBLEMS_MAX))
            count = "every entry"
        else:
            count = count_text(sum(1 for _ in _rows(path, arguments)), "line")
            problems = []
    except StorageError as error:
        problems = [str(error)]
    if arguments.json:
        row: dict[str, Json] = {"kind": "verified", "file": path, "checked": count}
        print(json_line({**row, "problems": list(problems)}))
    else:
        for problem in problems:
            print(f"{path}: {problem}")
        if not problems:
            print(f"{path}: {count} checked")
    return len(problems)
