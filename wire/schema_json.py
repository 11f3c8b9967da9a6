"""Kafka's JSON definitions as typed values, for the generator. No running broker imports it."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, field
from typing import cast

INTEGERS = frozenset(("int8", "int16", "uint16", "int32", "uint32", "int64"))
PRIMITIVES = INTEGERS | {"bool", "float64", "string", "uuid", "bytes", "records"}

Json = dict[str, object]
Default = bool | int | float | str | bytes | None


@dataclass(slots=True)
class FieldDefinition:
    """One field. `element` is the type without the `[]` of an array."""

    name: str
    element: str
    is_array: bool
    versions: str
    nullable: str | None
    tag: int | None
    tagged: str | None
    ignorable: bool
    flexible: str | None  # differs from the message's only in RequestHeader's client id
    default: Default  # of arrays and structs: None if null, else "" for an empty one

    @property
    def is_struct(self) -> bool:
        return self.element not in PRIMITIVES


@dataclass(slots=True)
class StructDefinition:
    name: str
    versions: str
    fields: list[FieldDefinition]


@dataclass(slots=True)
class Definition:
    """One JSON file. `structs` come innermost first; the last is the message itself."""

    module: str
    kind: str
    name: str
    api_key: int | None
    versions: tuple[int, int] | None  # None: "none", nothing valid is left
    flexible: int | None
    listeners: list[str]
    latest_unstable: bool
    structs: list[StructDefinition] = field(default_factory=list)

    @property
    def api_name(self) -> str:
        return re.sub(r"(Request|Response)$", "", self.name)


def snake_case(name: str) -> str:
    name = name.replace("KRaft", "Kraft")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return name + "_" if keyword.iskeyword(name) else name


def version_range(text: str) -> tuple[int, int | None] | None:
    """`"none"` -> None, `"3+"` -> (3, None), `"0-4"` -> (0, 4), `"2"` -> (2, 2)."""
    if text == "none":
        return None
    if text.endswith("+"):
        return int(text[:-1]), None
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def definition_from_json(module: str, source: Json) -> Definition:
    valid = version_range(_text(source, "validVersions"))
    flexible = version_range(cast(str, source.get("flexibleVersions", "none")))
    definition = Definition(
        module=module,
        kind=_text(source, "type"),
        name=_text(source, "name"),
        api_key=cast("int | None", source.get("apiKey")),
        versions=valid and (valid[0], valid[0] if valid[1] is None else valid[1]),
        flexible=flexible and flexible[0],
        listeners=cast("list[str]", source.get("listeners", [])),
        latest_unstable=source.get("latestVersionUnstable") is True,
    )
    if valid is not None:
        for common in _list(source, "commonStructs"):
            _add_struct(definition, _text(common, "name"), _text(common, "versions"), common)
        _add_struct(definition, definition.name, _text(source, "validVersions"), source)
        definition.structs = _innermost_first(definition.structs)
    return definition


def _add_struct(definition: Definition, name: str, versions: str, source: Json) -> None:
    fields = []
    for each in _list(source, "fields"):
        parsed = _field(each)
        fields.append(parsed)
        if _list(each, "fields"):
            _add_struct(definition, parsed.element, parsed.versions, each)
    definition.structs.append(StructDefinition(name, versions, fields))


def _innermost_first(structs: list[StructDefinition]) -> list[StructDefinition]:
    by_name = {struct.name: struct for struct in structs}
    assert len(by_name) == len(structs), "a struct name twice in one definition"
    ordered: dict[str, StructDefinition] = {}

    def visit(struct: StructDefinition) -> None:
        for each in struct.fields:
            if each.is_struct:
                visit(by_name[each.element])
        ordered.setdefault(struct.name, struct)

    for struct in structs:
        visit(struct)
    return list(ordered.values())


def _field(source: Json) -> FieldDefinition:
    kind = _text(source, "type")
    is_array = kind.startswith("[]")
    element = kind.removeprefix("[]")
    tagged = cast("str | None", source.get("taggedVersions"))
    # A tagged field may leave `versions` out: it then has those at which it is tagged.
    return FieldDefinition(
        name=snake_case(_text(source, "name")),
        element=element,
        is_array=is_array,
        versions=cast("str", source.get("versions", tagged)),
        nullable=cast("str | None", source.get("nullableVersions")),
        tag=cast("int | None", source.get("tag")),
        tagged=tagged,
        ignorable=source.get("ignorable") is True,
        flexible=cast("str | None", source.get("flexibleVersions")),
        default=_default(element, is_array, source.get("default")),
    )


def _default(element: str, is_array: bool, given: object) -> Default:
    """Kafka's rules: `"null"` is null; JSON's own null, or nothing, is the type's zero."""
    if given == "null":
        return None
    if is_array or element not in PRIMITIVES:
        assert given in (None, ""), given
        return ""
    match element:
        case "bool":
            return str(given).lower() == "true"
        case "float64":
            return float(cast(str, given)) if given is not None else 0.0
        case "string":
            return "" if given is None else str(given)
        case "records":
            return None
        case "bytes":
            assert given is None, given
            return b""
        case "uuid":
            assert given is None, given
            return bytes(16)
        case _:
            assert element in INTEGERS, element
            return int(str(given), 0) if given is not None else 0


def _text(source: Json, key: str) -> str:
    value = source[key]
    assert isinstance(value, str), (key, value)
    return value


def _list(source: Json, key: str) -> list[Json]:
    return cast("list[Json]", source.get(key, []))
