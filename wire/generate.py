"""Writes messages/, records/ and api_keys.py from Kafka's own definitions.

    python -m kbroker.wire.generate --jars DIR [--check]      DIR holds Kafka's jars
    python -m kbroker.wire.generate --schemas DIR [--check]   DIR/<jar's name>/*.json, extracted

Only names, types, versions and defaults are taken, not the text of the definitions. `--check`
writes nothing and fails if a file differs. Definitions without valid versions are listed in
api_keys.py and otherwise left out.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from .schema_json import Definition, definition_from_json, snake_case
from .source_text import api_keys_module, message_module, record_tables_module

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HERE = Path(__file__).parent


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 1 if `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="kbroker.wire.generate", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--jars", type=Path, help="folder with Kafka's jars")
    source.add_argument("--schemas", type=Path, help="folder with extracted definitions")
    parser.add_argument("--check", action="store_true", help="only say what differs")
    options = parser.parse_args(argv)
    texts = texts_of_jars(options.jars) if options.jars else texts_of_folder(options.schemas)
    definitions = definitions_of(texts)
    if not definitions:
        print("no definitions found", file=sys.stderr)
        return 1
    files = generate(definitions)
    stale = [name for name in existing_files() if name not in files]
    changed = [name for name, text in files.items() if _current(name) != text]
    if options.check:
        for name in changed:
            print(f"differs: {name}")
        for name in stale:
            print(f"not generated any more: {name}")
        return 1 if changed or stale else 0
    for name in changed:
        path = HERE / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(files[name])
    for name in stale:
        (HERE / name).unlink()
    print(f"{len(definitions)} definitions, {len(files)} files, {len(changed)} written")
    return 0


def definitions_of(texts: Iterable[tuple[str, str]]) -> list[Definition]:
    """Each text as a definition; `texts` as `texts_of_jars` gives them."""
    return [definition_from_json(module, _load(text)) for module, text in texts]


def generate(definitions: list[Definition]) -> dict[str, str]:
    """File name (relative to this folder) -> text."""
    live = [definition for definition in definitions if definition.versions is not None]
    modules: dict[str, list[Definition]] = {}
    for definition in live:
        modules.setdefault(_module_of(definition), []).append(definition)
    files = {name: message_module(members) for name, members in sorted(modules.items())}
    files["messages/__init__.py"] = files["records/__init__.py"] = ""
    files["records/tables.py"] = record_tables_module(live)
    files["api_keys.py"] = api_keys_module(definitions)
    return files


def texts_of_jars(folder: Path) -> Iterator[tuple[str, str]]:
    """(jar's name without its version, JSON text) of every definition."""
    for jar in sorted(folder.glob("kafka-*.jar")):
        with zipfile.ZipFile(jar) as archive:
            for name in sorted(archive.namelist()):
                if name.startswith("common/") and name.endswith(".json"):
                    yield re.sub(r"-\d.*", "", jar.name), archive.read(name).decode()


def texts_of_folder(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*/*.json")):
        yield path.parent.name, path.read_text()


def existing_files() -> list[str]:
    return [
        f"{folder}/{path.name}"
        for folder in ("messages", "records")
        for path in sorted((HERE / folder).glob("*.py"))
    ]


def _current(name: str) -> str | None:
    path = HERE / name
    return path.read_text() if path.exists() else None


def _load(text: str) -> dict[str, object]:
    """Kafka's JSON has whole lines of // comments."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("//"))
    loaded = json.loads("\n".join(lines))
    assert isinstance(loaded, dict)
    return loaded


def _module_of(definition: Definition) -> str:
    if definition.kind in ("request", "response"):
        return f"messages/{snake_case(definition.api_name)}.py"
    if definition.kind == "header":
        return "messages/header.py"
    return f"records/{snake_case(definition.name)}.py"


if __name__ == "__main__":
    sys.exit(main())
