"""The text of a module of `kbroker/releases`, from the facts of a release."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def module_name(version: str) -> str:
    """`v4_3` for 4.3.0."""
    return "v" + "_".join(version.split(".")[:2])


def module_text(version: str, facts: Mapping[str, Any]) -> str:
    """Formatted, as it is committed."""
    levels = [level for level, _, _ in facts["metadata_versions"]]
    features = {
        name: (
            each["latest_production"],
            {int(level): needs for level, needs in each.get("dependencies", {}).items() if needs},
            _changes(levels, each.get("defaults", ())),
        )
        for name, each in facts["features"].items()
    }
    apis = {
        int(key): (each["oldest"], each["latest"], each["unstable"])
        for key, each in facts["apis"].items()
        if each["unstable"] >= 0
    }
    by_listener = {
        listener: tuple(
            int(key)
            for key, each in facts["apis"].items()
            if listener in each["listeners"] and each["unstable"] >= 0
        )
        for listener in ("BROKER", "CONTROLLER")
    }
    keys = {
        resource: {
            name: (
                each["type"],
                None if each["required"] else each["default"],
                each["validator"],
                each["mode"],
                each["internal"],
                tuple(each["synonyms"]),
            )
            for name, each in sorted(found.items())
        }
        for resource, found in facts["keys"].items()
    }
    errors = tuple((code, name, retriable, text) for code, name, retriable, text in facts["errors"])
    versions = tuple((level, name, changed) for level, name, changed in facts["metadata_versions"])
    return "\n".join(
        (
            f'"""Apache Kafka {version}, as its own classes say. Made by `python -m '
            f'compat.releases {version}`."""',
            "# fmt: off",
            "# ruff: noqa: E501",
            "",
            f"VERSION = {_literal(version)}",
            "",
            "# API key: (oldest version, latest stable version, latest of all).",
            _table("APIS", apis),
            "# The keys of the APIs that each kind of listener serves.",
            _table("LISTENERS", by_listener),
            "# (level of metadata.version, its name, whether it changes the metadata).",
            f"METADATA_VERSIONS = {_lines(versions)}",
            "# The level of metadata.version that a new cluster gets.",
            f"METADATA_VERSION_LATEST = {facts['latest_production']}",
            "",
            "# Feature: (highest level in production, what a level needs,",
            "#           from which metadata.version on a cluster gets which level).",
            _table("FEATURES", features),
            "# Record: (lowest version, highest version).",
            _table("RECORDS", dict(sorted(facts["records"].items()))),
            "# Elements of an array, and tagged fields of a section, that are decoded at most.",
            f"ELEMENTS_MAX = {facts['elements_max']}",
            f"TAGGED_FIELDS_MAX = {facts['tagged_fields_max']}",
            "",
            "# (code, name, whether a client may try again, text).",
            f"ERRORS = {_lines(errors)}",
            "# Key: (type, default, valid values, how a broker changes it, internal, synonyms).",
            "KEYS = {",
            *(
                f"    {_literal(resource)}: {_table('', found, indent=4)}"
                for resource, found in keys.items()
            ),
            "}",
            "",
        )
    )


def _changes(levels: list[int], defaults: list[int]) -> dict[int, int]:
    """Where the default level differs from the one before."""
    changes = {}
    last = 0
    for level, default in zip(levels, defaults, strict=True) if defaults else ():
        if default != last:
            changes[level] = last = default
    return changes


def _table(name: str, entries: Mapping[Any, Any], indent: int = 0) -> str:
    space = " " * indent
    body = "".join(
        f"{space}    {_literal(key)}: {_literal(value)},\n" for key, value in entries.items()
    )
    return f"{name} = {{\n{body}}}\n" if name else f"{{\n{body}{space}}},"


def _lines(rows: tuple[tuple[Any, ...], ...]) -> str:
    return "(\n" + "".join(f"    {_literal(row)},\n" for row in rows) + ")\n"


def _literal(value: Any) -> str:
    """As `repr`, but with the project's quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(_literal, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)
