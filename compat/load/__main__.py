"""Arguments, a broker, and the report."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from compat.brokers import ApacheKafka, BrokerError, BrokerProcess, Kbroker
from compat.load import __doc__ as package_doc
from compat.load import abuse, soak

if TYPE_CHECKING:
    from compat.load.report import Verdict

BROKERS: dict[str, type[BrokerProcess]] = {"kbroker": Kbroker, "apache": ApacheKafka}


def main() -> int:
    arguments = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="load-", dir=arguments.folder))
    settings = dict(entry.partition("=")[::2] for entry in arguments.set)
    report: abuse.AbuseReport | soak.SoakReport
    if arguments.command == "soak":
        broker = BROKERS[arguments.broker](folder, soak.SETTINGS | settings)
    else:
        broker = BROKERS[arguments.broker](folder, settings)
    try:
        broker.start()
        if arguments.command == "soak":
            report = soak.run(broker, arguments.minutes * 60, arguments.every)
        else:
            report = abuse.run(broker, arguments.connections, arguments.seconds)
        if broker.stop():
            print(f"the broker ended with an error:\n{broker.log_tail()}", file=sys.stderr)
            return 1
    except (ValueError, BrokerError) as error:
        print(f"{error}; the broker's log ends:\n{broker.log_tail(2000)}", file=sys.stderr)
        return 1
    finally:
        broker.wipe()
    print(report.text())
    if arguments.json:
        arguments.json.write_text(json.dumps(report.as_json(), indent=1) + "\n")
    found: list[Verdict] = report.verdicts()
    return 0 if all(each.holds for each in found) else 1


def _arguments() -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--broker", choices=BROKERS, default="kbroker")
    common.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    common.add_argument("--folder", type=Path, help="where the broker's data lie meanwhile")
    common.add_argument("--json", type=Path, help="write everything to this file")
    parser = argparse.ArgumentParser(
        prog="python -m compat.load",
        description=package_doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command")
    one = commands.add_parser("abuse", parents=[common], help="a crowd that behaves badly")
    one.add_argument("--connections", type=int, default=5000)
    one.add_argument("--seconds", type=float, default=20, help="how long each crowd stays")
    two = commands.add_parser("soak", parents=[common], help="full speed for a long time")
    two.add_argument("--minutes", type=float, default=60)
    two.add_argument("--every", type=float, default=10, help="seconds between samples")
    given = sys.argv[1:]
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given = ["abuse", *given]
    return parser.parse_args(given)


if __name__ == "__main__":
    sys.exit(main())
