"""The parts of the documents that are made from code: `python -m kbroker.docs [--check]`.

`--check` writes nothing and fails where a document says something else than the code.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def api_table() -> str:
    """What the broker serves, a row an API."""
    from kbroker.apis import APIS

    rows = ["| API | key | versions |", "|---|---|---|"]
    for api in APIS:
        versions = api.versions if api.is_advertised else f"{api.versions}, not advertised"
        rows.append(f"| {api.name} | {int(api.key)} | {versions} |")
    return "\n".join(rows)


def replaced(document: str, name: str, content: str) -> str:
    """`document` with `content` between its markers `<!-- name -->` and `<!-- /name -->`."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, found, rest = document.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"no markers {begin} ... {end}")
    return f"{head}{begin}\n{content}\n{end}{tail}"


def main() -> int:
    """Update the documents of this checkout; with --check, say which are stale."""
    check = "--check" in sys.argv[1:]
    path = ROOT / "README.md"
    document = path.read_text()
    made = replaced(document, "api table", api_table())
    if made == document:
        return 0
    if check:
        print(f"{path.name} is stale: run python -m kbroker.docs", file=sys.stderr)
        return 1
    path.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
