"""The command line of the differential runner."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from compat.brokers import Address

from .report import as_html, as_json, as_text
from .run import compare_brokers
from .scenarios import all_scenarios


def main() -> int:
    """0 without differences that count, 1 with some, 2 if a broker cannot be reached."""
    parser = argparse.ArgumentParser(
        prog="python -m compat.differential",
        description="Send the same requests to two brokers and compare every field of the answers.",
    )
    parser.add_argument("left", type=Address.parse, metavar="HOST:PORT", help="the judge")
    parser.add_argument("right", type=Address.parse, metavar="HOST:PORT", help="the judged")
    parser.add_argument("--only", metavar="NAME,...", help="APIs, or parts of scenarios' names")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the report as JSON")
    parser.add_argument("--html", type=Path, metavar="OUT", help="write the report as a page")
    parser.add_argument("--at-once", type=int, default=4, help="scenarios at a time (default 4)")
    parser.add_argument("--list", action="store_true", help="name the scenarios and stop")
    arguments = parser.parse_args()

    scenarios = all_scenarios()
    if arguments.only:
        wanted = [word.lower() for word in arguments.only.split(",")]
        scenarios = [
            s
            for s in scenarios
            if any(
                word in s.name.lower()
                or any(word == r.__name__.removesuffix("Request").lower() for r in s.requests)
                for word in wanted
            )
        ]
    if arguments.list:
        print("\n".join(s.name for s in scenarios))
        return 0
    try:
        report = compare_brokers(
            arguments.left, arguments.right, scenarios, at_once=arguments.at_once
        )
    except OSError as error:
        print(f"cannot compare {arguments.left.bootstrap} and {arguments.right.bootstrap}: {error}")
        return 2
    sys.stdout.write(as_text(report))
    if arguments.json:
        arguments.json.write_text(as_json(report))
    if arguments.html:
        arguments.html.write_text(as_html(report))
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
