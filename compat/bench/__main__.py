"""Arguments, the rounds, and the report."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from compat.bench import __doc__ as package_doc
from compat.bench.rows import GROUPS, OURS, PEER, ROWS, Samples, medians, table
from compat.bench.scenarios import SCENARIOS, Scenario
from compat.bench.sizes import PRESETS, Sizes
from compat.brokers import ApacheKafka, BrokerProcess, CommandBroker, Kbroker

if TYPE_CHECKING:
    from compat.bench.findings import Findings, Point

KEPT_BYTES_MAX = 1 << 20

NewBroker = Callable[[Path], BrokerProcess]


def main() -> int:
    arguments = _arguments()
    if arguments.plots:
        from compat.bench.plots import draw

        draw(json.loads(arguments.results.read_text()), arguments.plots)
        return 0
    groups = frozenset(arguments.rows.split(","))
    if not groups <= set(GROUPS):
        print(f"--rows takes any of {','.join(GROUPS)}", file=sys.stderr)
        return 1
    kinds = _kinds(arguments.command)
    if arguments.only:
        kinds = {name: kind for name, kind in kinds.items() if name in arguments.only}
    if not kinds:
        print(f"--only {arguments.only}: no such broker", file=sys.stderr)
        return 1
    preset = PRESETS[arguments.preset]
    sizes = dataclasses.replace(preset.sizes, **_changed_sizes(arguments.size))
    rounds = arguments.rounds or preset.rounds
    long_rounds = arguments.rounds or preset.long_rounds

    report = Report({name: {} for name in kinds}, {name: {} for name in kinds})
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=arguments.folder))
    try:
        for number in range(max(rounds, long_rounds)):
            # Who goes first changes from round to round.
            names = list(kinds) if number % 2 == 0 else list(reversed(kinds))
            for scenario in SCENARIOS:
                if number >= (long_rounds if scenario.is_long else rounds):
                    continue
                if not scenario.groups & groups:
                    continue
                for name in names:
                    place = folder / f"{len(list(folder.iterdir()))}-{name}"
                    found = _run(scenario, kinds[name](place), sizes, groups)
                    _note(report, number, name, found)
                if arguments.json:  # each time: half a run that was cut short is something too
                    arguments.json.write_text(_json(report, sizes, rounds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table(report.samples))
    return 0


class Report(NamedTuple):
    """Of each broker: a value a round for each row, and the last round's series."""

    samples: Samples
    series: dict[str, dict[str, list[Point]]]


def _json(report: Report, sizes: Sizes, rounds: int) -> str:
    results = {
        "sizes": dataclasses.asdict(sizes),
        "rounds": rounds,
        "units": {row.name: row.unit for row in ROWS},
        "samples": report.samples,
        "medians": medians(report.samples),
        "series": report.series,
    }
    return json.dumps(results, indent=1) + "\n"


def _run(
    scenario: Scenario, broker: BrokerProcess, sizes: Sizes, groups: frozenset[str]
) -> Findings:
    try:
        broker.start()
        return scenario.run(broker, sizes, groups)
    finally:
        broker.kill()
        _empty(broker.folder)


def _empty(folder: Path) -> None:
    """Give back the room, not the names: those go when all is measured.

    After many files were removed, ext4 takes ten times as long to make one, for five minutes: it
    looks for an inode that was not in use lately.
    """
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > KEPT_BYTES_MAX:
            os.truncate(path, 0)


def _note(report: Report, number: int, name: str, found: Findings) -> None:
    for row, value in found.values.items():
        report.samples[name].setdefault(row, []).append(value)
    report.series[name] |= found.series
    shown = ", ".join(f"{row} {value:.3f}" for row, value in found.values.items())
    print(f"round {number + 1}, {name}: {shown}", file=sys.stderr, flush=True)


def _fields() -> list[str]:
    return [field.name for field in dataclasses.fields(Sizes)]


def _changed_sizes(changes: list[str]) -> dict[str, int]:
    """From NAME=NUMBER. SystemExit for what is none of `Sizes`."""
    known = _fields()
    sizes = {}
    for change in changes:
        name, _, number = change.partition("=")
        if name not in known:
            raise SystemExit(f"--size {change}: one of {', '.join(known)}=NUMBER")
        sizes[name] = int(float(number))
    return sizes


def _kinds(commands: list[str]) -> dict[str, NewBroker]:
    kinds: dict[str, NewBroker] = {PEER: ApacheKafka, OURS: Kbroker}
    for command in commands:
        name, _, line = command.partition("=")

        def new(folder: Path, name: str = name, line: str = line) -> BrokerProcess:
            return CommandBroker(folder, name, line)

        kinds[name] = new
    return kinds


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m compat.bench",
        description=package_doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", default=",".join(GROUPS), help=f"of {','.join(GROUPS)}")
    parser.add_argument("--rounds", type=int, help="instead of the preset's, for every row")
    says = "; ".join(f"{name}: {preset.says}" for name, preset in PRESETS.items())
    parser.add_argument("--preset", choices=PRESETS, default="full", help=says)
    parser.add_argument(
        "--size",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help=f"another size than the preset's; of {', '.join(_fields())}; repeatable",
    )
    parser.add_argument("--only", action="append", help="measure this broker only; repeatable")
    parser.add_argument(
        "--command",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="one more broker, with {host}, {port} and {data} filled in",
    )
    parser.add_argument("--folder", type=Path, help="where the brokers' data lie meanwhile")
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="measure nothing, but draw")
    parser.add_argument("results", type=Path, nargs="?", help="what --json wrote, for --plots")
    arguments = parser.parse_args()
    if (arguments.plots is None) != (arguments.results is None):
        parser.error("--plots FOLDER and a file of results go together")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
