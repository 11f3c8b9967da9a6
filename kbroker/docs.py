"""Writes the parts of the documents that are made from code: `python -m kbroker.docs [--check]`.

`--check` writes nothing, and fails if a document differs from what the code says.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent


def api_table() -> str:
    """What the broker serves, a row an API."""
    from kbroker.apis import apis_of
    from kbroker.releases.release import DEFAULT

    rows = ["| API | key | versions |", "|---|---|---|"]
    for api in apis_of(DEFAULT):
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


def documents() -> Iterator[tuple[Path, str]]:
    """Every document that has something made from code, as it should be."""
    from kbroker.config.reference import reference

    readme = ROOT / "README.md"
    yield readme, replaced(readme.read_text(), "api table", api_table())
    configuration = ROOT / "docs" / "configuration.md"
    yield configuration, replaced(configuration.read_text(), "keys", reference())


def main() -> int:
    """Update the documents of this checkout; with --check, say which are stale."""
    check = "--check" in sys.argv[1:]
    status = 0
    for path, made in documents():
        if made == path.read_text():
            continue
        if check:
            print(f"{path.name} is out of date: run python -m kbroker.docs", file=sys.stderr)
            status = 1
        else:
            path.write_text(made)
    return status


if __name__ == "__main__":
    sys.exit(main())
