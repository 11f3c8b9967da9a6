"""Arguments, the rounds, and the report."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from compat.bench import __doc__ as package_doc
from compat.bench.rows import GROUPS, OURS, PEER, ROWS, Samples, medians, table
from compat.bench.scenarios import QUICK, SCENARIOS, Sizes
from compat.brokers import ApacheKafka, BrokerProcess, CommandBroker, Kbroker

NewBroker = Callable[[Path], BrokerProcess]


def main() -> int:
    arguments = _arguments()
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
    sizes = QUICK if arguments.quick else Sizes()
    if arguments.gb:
        sizes = dataclasses.replace(sizes, gb=int(arguments.gb * 1e9))
    rounds = arguments.rounds or (1 if arguments.quick else 3)

    samples: Samples = {name: {} for name in kinds}
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=arguments.folder))
    try:
        for round_number in range(rounds):
            _round(round_number, kinds, groups, sizes, folder, samples)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table(samples))
    if arguments.json:
        report = {
            "sizes": dataclasses.asdict(sizes),
            "rounds": rounds,
            "units": {row.name: row.unit for row in ROWS},
            "samples": samples,
            "medians": medians(samples),
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


def _round(
    number: int,
    kinds: dict[str, NewBroker],
    groups: frozenset[str],
    sizes: Sizes,
    folder: Path,
    samples: Samples,
) -> None:
    """Every scenario once on each broker; who goes first changes from round to round."""
    names = list(kinds) if number % 2 == 0 else list(reversed(kinds))
    for wanted, scenario in SCENARIOS:
        if not wanted & groups:
            continue
        for name in names:
            broker = kinds[name](folder / name)
            try:
                broker.start()
                values = scenario(broker, sizes, groups)
            finally:
                broker.wipe()
            for row, value in values.items():
                samples[name].setdefault(row, []).append(value)
            shown = ", ".join(f"{row} {value:.3f}" for row, value in values.items())
            print(f"round {number + 1}, {name}: {shown}", file=sys.stderr, flush=True)


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
    parser.add_argument("--rounds", type=int, help="3, or 1 with --quick")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--gb", type=float, help="how much 'a GB' is (1)")
    parser.add_argument("--only", action="append", help="measure this broker only; repeatable")
    parser.add_argument(
        "--command",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="one more broker, with {host}, {port} and {data} filled in",
    )
    parser.add_argument("--folder", type=Path, help="where the brokers' data lie meanwhile")
    parser.add_argument("--json", type=Path, help="write samples and medians to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
