"""The command line of the differential runner."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from compat.brokers import Address, BrokerError

from .recording import APACHE_KAFKA, SETTINGS, RecordingError, read, record, write
from .report import as_html, as_json, as_text
from .run import AT_ONCE, compare_brokers, compare_with_recording, new_seed
from .scenarios import all_scenarios

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .scenarios import Scenario


def main() -> int:
    """0 without differences that count, 1 with some, 2 if it could not compare."""
    words = sys.argv[1:]
    if words[:1] == ["record"]:
        return _record(words[1:])
    parser = argparse.ArgumentParser(
        prog="python -m compat.differential",
        description="Send the same requests to two brokers and compare every field of the answers.",
        epilog="`record --help` says how to write the answers of a broker to a file.",
    )
    parser.add_argument(
        "judge",
        nargs="?",
        default=str(APACHE_KAFKA),
        help="HOST:PORT or a recording; left out, the answers of Apache Kafka 4.3.0 as recorded "
        f"here, for a broker with {' '.join(f'{k}={v}' for k, v in SETTINGS.items())}",
    )
    parser.add_argument("judged", type=Address.parse, metavar="HOST:PORT", help="the judged")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the report as JSON")
    parser.add_argument("--html", type=Path, metavar="OUT", help="write the report as a page")
    parser.add_argument("--list", action="store_true", help="name the scenarios and stop")
    _common(parser)
    arguments = parser.parse_args(words)

    scenarios = _chosen(arguments.only)
    if arguments.list:
        print("\n".join(s.name for s in scenarios))
        return 0
    options = {"at_once": arguments.at_once, "seed": arguments.seed}
    try:
        if Path(arguments.judge).exists():
            recording = read(Path(arguments.judge))
            run = compare_with_recording(recording, arguments.judged, scenarios, **options)
        else:
            judge = Address.parse(arguments.judge)
            run = compare_brokers(judge, arguments.judged, scenarios, **options)
    except (OSError, ValueError, RecordingError) as error:
        print(f"cannot compare {arguments.judge} and {arguments.judged.bootstrap}: {error}")
        return 2
    sys.stdout.write(as_text(run.report))
    if arguments.json:
        arguments.json.write_text(as_json(run.report))
    if arguments.html:
        arguments.html.write_text(as_html(run.report))
    return 1 if run.report.differences or run.report.lacking else 0


def _record(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m compat.differential record",
        description="Write the answers of a broker to a file, to compare others with later.",
    )
    parser.add_argument(
        "broker",
        nargs="?",
        metavar="HOST:PORT",
        help="left out, Apache Kafka 4.3.0 is started for it (Java 17 and Maven)",
    )
    parser.add_argument("--to", type=Path, default=APACHE_KAFKA, metavar="FILE", help="%(default)s")
    parser.add_argument("--name", help="what the recording calls it; needed with HOST:PORT")
    _common(parser)
    arguments = parser.parse_args(words)
    if arguments.broker and not arguments.name:
        parser.error("HOST:PORT needs a --name, such as 'Apache Kafka 4.1.0'")
    from .own import apache_kafka

    try:
        with apache_kafka(arguments.broker) as side:
            recording = record(
                side,
                _chosen(arguments.only),
                software=arguments.name or "Apache Kafka 4.3.0",
                settings=SETTINGS,
                seed=arguments.seed or new_seed(),
                at_once=arguments.at_once,
            )
    except (OSError, ValueError, BrokerError) as error:
        print(f"cannot record: {error}")
        return 2
    ended = [f"{name}: {one.end}" for name, one in recording.scenarios.items() if one.end]
    if ended:
        print("\n".join(["not written; these scenarios did not reach their end:", *ended]))
        return 1
    write(recording, arguments.to)
    steps = sum(len(one.transcript) for one in recording.scenarios.values())
    size = arguments.to.stat().st_size
    print(f"{arguments.to}: {len(recording.scenarios)} scenarios, {steps} steps, {size:,} bytes")
    return 0


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", metavar="NAME,...", help="APIs, or parts of scenarios' names")
    parser.add_argument(
        "--at-once",
        type=int,
        default=AT_ONCE,
        help="scenarios at a time (default %(default)s)",
    )
    parser.add_argument("--seed", default="", help="for the names of topics and groups")


def _chosen(only: str | None) -> list[Scenario]:
    """The scenarios that words name."""
    scenarios = all_scenarios()
    if not only:
        return scenarios
    wanted = [word.lower() for word in only.split(",")]
    return [
        s
        for s in scenarios
        if any(
            word in s.name.lower()
            or any(word == r.__name__.removesuffix("Request").lower() for r in s.requests)
            for word in wanted
        )
    ]


if __name__ == "__main__":
    sys.exit(main())
