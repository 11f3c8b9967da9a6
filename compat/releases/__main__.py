"""Writes `kbroker/releases/v4_3.py` and its like from a release's jars.

    python -m compat.releases 4.4.0 [--check]

`--check` writes nothing, and fails if the file differs. A new release is added to RELEASES in
`kbroker/releases/__init__.py`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import kbroker

from .facts import facts_of
from .module import module_name, module_text

FOLDER = Path(kbroker.__file__).parent / "releases"


def main() -> int:
    """0, or 1 if `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m compat.releases", description=__doc__)
    parser.add_argument("version", help="a release of Apache Kafka, 4.4.0")
    parser.add_argument("--check", action="store_true", help="only say whether the file differs")
    arguments = parser.parse_args()
    path = FOLDER / f"{module_name(arguments.version)}.py"
    text = module_text(arguments.version, facts_of(arguments.version))
    if arguments.check:
        if path.exists() and path.read_text() == text:
            return 0
        print(f"differs: {path.name}")
        return 1
    path.write_text(text)
    print(f"{path.name}: {len(text.splitlines())} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
