"""The command line: makes a sample of mutants, runs the tests against each, prints the table."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue

from .checkout import Checkout
from .equivalent import EQUIVALENT
from .report import table
from .sample import SCOPE, Mutant, mutated, sample
from .selection import Selection

_TOP = Path(__file__).resolve().parents[2]
_START_S = 60.0  # to import everything, on a busy machine


def main() -> int:
    """0 if every mutant that is not equivalent was noticed, 1 if some live, 2 if it cannot run."""
    arguments = _arguments()
    try:
        mutants = sample(_TOP, arguments.only or SCOPE, arguments.count, arguments.seed)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    known = {} if arguments.json is None else _known(arguments.json)
    if arguments.again:
        known = {key: verdict for key, verdict in known.items() if verdict != "passed"}
    with tempfile.TemporaryDirectory(prefix="kbroker-mutants-") as scratch:
        folder = Path(scratch)
        traced = arguments.traced or folder / "traced"
        checkouts = [Checkout(_TOP, folder / str(n)) for n in range(arguments.workers)]
        if not (traced / "seconds.json").exists():
            checkouts[0].trace(traced)
        selection = Selection(traced, Path((traced / "top").read_text()))
        left = [mutant for mutant in mutants if mutant.key not in known]
        known |= _run(left, checkouts, selection, arguments.json)
    verdicts = [(mutant, known[mutant.key]) for mutant in mutants]
    print(table(verdicts, EQUIVALENT))
    lived = {m.key for m, verdict in verdicts if verdict == "passed"}
    return 1 if lived - EQUIVALENT.keys() else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--count", type=int, default=600, help="how many mutants (600)")
    parser.add_argument("--seed", type=int, default=1, help="which sample (1)")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time (2)")
    parser.add_argument("--only", action="append", metavar="PATH", help="a module or folder")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="OUT",
        help="write each verdict as a line; what a file that is there says is not run again",
    )
    parser.add_argument(
        "--again", action="store_true", help="run those again that lived in that file"
    )
    parser.add_argument(
        "--traced", type=Path, metavar="DIR", help="keep what the traced run saw, or take it"
    )
    return parser.parse_args()


def _known(path: Path) -> dict[str, str]:
    """The last verdict of each mutant in a file of an earlier run; none where there is no file."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["key"]: row["verdict"] for row in map(json.loads, lines)}


def _run(
    mutants: list[Mutant], checkouts: list[Checkout], selection: Selection, out: Path | None
) -> dict[str, str]:
    """The verdicts, by the mutant's key."""
    idle: SimpleQueue[Checkout] = SimpleQueue()
    for checkout in checkouts:
        idle.put(checkout)
    work = [(mutant, selection.tests(mutant)) for mutant in mutants]
    limits = [_START_S + 5 * selection.seconds(tests) for _, tests in work]
    written = None if out is None else out.open("a")

    def judge(mutant: Mutant, tests: list[str], limit_s: float) -> tuple[str, str]:
        checkout = idle.get()
        started = time.monotonic()
        try:
            verdict = _judge(mutant, tests, limit_s, checkout)
        finally:
            idle.put(checkout)
        row = {**asdict(mutant), "key": mutant.key, "verdict": verdict, "tests": len(tests)}
        row["seconds"] = round(time.monotonic() - started, 1)
        line = json.dumps(row)
        if written is not None:
            print(line, file=written, flush=True)
        mark = "LIVES" if verdict == "passed" else "found"
        print(f"{mark} {mutant.key} [{verdict}, {row['seconds']} s]", flush=True)
        return mutant.key, verdict

    try:
        with ThreadPoolExecutor(len(checkouts)) as pool:
            futures = [
                pool.submit(judge, mutant, tests, limit)
                for (mutant, tests), limit in zip(work, limits, strict=True)
            ]
            return dict(future.result() for future in futures)
    finally:
        if written is not None:
            written.close()


def _judge(mutant: Mutant, tests: list[str], limit_s: float, checkout: Checkout) -> str:
    if not tests:
        return "passed"  # nothing runs this line
    path = checkout.top / mutant.path
    source = path.read_text()
    path.write_text(mutated(source, mutant.operator, mutant.occurrence))
    try:
        return checkout.run(tests, limit_s)
    finally:
        path.write_text(source)


if __name__ == "__main__":
    sys.exit(main())
