"""Makes the source text of a decoder for one (class, version), in one function.

Neighbouring fields of fixed width become one `struct` unpack, together with the first byte of a
varint that follows. The generated code never looks at the version. If the buffer is too short,
struct.error or IndexError shows it, and the caller raises ProtocolError; the generated code itself
checks only slices, which would be shortened silently.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NoReturn

from . import varint
from .errors import ProtocolError
from .limits import NO_LIMITS
from .schema import (
    FIXED,
    STRING_BYTES_MAX,
    element_size_min,
    fields_of,
    is_flexible,
    tagged,
    tags_of_other_versions,
    untagged,
)
from .source import Source
from .tags import skip_tags, tag_at

if TYPE_CHECKING:
    from .limits import Limits
    from .message import Message, Struct
    from .schema import Field


def decoder_source(
    cls: type[Message], version: int, exact: bool = True, limits: Limits = NO_LIMITS
) -> Source:
    """Defines `decode(buffer, position) -> message`, whose message ends the buffer if `exact`.

    `buffer` is bytes, or for classes with records (`has_records`) a memoryview. Raises
    ProtocolError, struct.error, IndexError, UnicodeDecodeError.
    """
    return _DecoderText(cls, version, exact, limits).source


class _DecoderText:
    def __init__(self, cls: type[Message], version: int, exact: bool, limits: Limits) -> None:
        self.version = version
        self.limits = limits
        # Slices of bytes decode faster than those of a memoryview, so only records call for one.
        self.is_view = has_records(cls)
        self.source = Source()
        self.pending: list[tuple[str, str]] = []  # (struct format, target) not yet unpacked
        source = self.source
        source.name("new", object.__new__)
        source.name("more", varint.continue_unsigned)
        source.name("bad_length", _bad_length)
        source.line("def decode(b, p):")
        with source.block():
            source.line("end = len(b)")
            self.struct(cls, "m", is_flexible(cls, version))
            self.flush()
            if exact:
                source.line("if p != end:")
                source.line(f"    bad_end({cls.__name__!r}, end - p)")
            source.line("return m")
        source.name("bad_end", _bad_end)

    def struct(self, cls: type[Struct], target: str, flexible: bool) -> None:
        """Creates the object as `target` and fills it. Leaves fields pending."""
        source = self.source
        present = untagged(cls, self.version)
        source.line(f"{target} = new({source.name(cls.__name__, cls)})")
        for field in fields_of(cls):
            if field not in present:
                source.line(f"{target}.{field.name} = {self.default(field)}")
        for field in present:
            self.field(field, f"{target}.{field.name}", flexible)
        if flexible:
            self.tags(cls, target)

    def default(self, field: Field) -> str:
        if field.default is None:
            return "None"
        if field.is_array:
            return "[]"
        if isinstance(field.element, str):
            return repr(field.default)
        return f"{self.source.name(field.element.__name__, field.element)}()"

    def field(self, field: Field, target: str, flexible: bool) -> None:
        flexible = flexible and self.version in field.flexible
        nullable = self.version in field.nullable
        if field.is_array:
            self.array(field, target, flexible, nullable)
        elif not isinstance(field.element, str):
            null = field.null_struct(self.version) if nullable else None
            self.nested(field.element, target, flexible, null)
        elif field.element in FIXED:
            self.pending.append((FIXED[field.element][0], target))
        else:
            self.text_or_bytes(field, target, flexible, nullable)

    def nested(self, cls: type[Struct], target: str, flexible: bool, null: int | None) -> None:
        """`null` is the byte that stands for null, where that is allowed."""
        source = self.source
        inner = source.fresh("o")
        if null is None:
            self.struct(cls, inner, flexible)
            source.line(f"{target} = {inner}")
            return
        present = source.fresh("n")
        self.pending.append(("b", present))
        self.flush()
        source.line(f"if {present} == 1:")
        with source.block():
            self.struct(cls, inner, flexible)
            self.flush()
            source.line(f"{target} = {inner}")
        source.line(f"elif {present} == {null}:")
        source.line(f"    {target} = None")
        source.line("else:")
        source.line(f"    bad_length({cls.__name__!r}, {present}, end - p)")

    def length(self, flexible: bool, form: str) -> tuple[str, int]:
        """Reads a length into a variable; the number that stands for null comes with its name."""
        source = self.source
        if not flexible:
            length = source.fresh("n")
            self.pending.append((form, length))
            self.flush()
            return length, -1
        length = self.first_byte()
        source.line(f"if {length} > 127:")
        source.line(f"    {length}, p = more(b, p, {length})")
        return length, 0

    def first_byte(self) -> str:
        """Reads a varint's first byte into a variable; `more` reads the rest if it is over 127."""
        source = self.source
        first = source.fresh("n")
        if self.pending:
            self.pending.append(("B", first))
            self.flush()
        else:
            source.line(f"{first} = b[p]")
            source.line("p += 1")
        return first

    def text_or_bytes(self, field: Field, target: str, flexible: bool, nullable: bool) -> None:
        source = self.source
        kind = field.element
        length, null = self.length(flexible, "h" if kind == "string" else "i")
        end = source.fresh("e")
        if nullable:
            source.line(f"if {length} == {null}:")
            source.line(f"    {target} = None")
            source.line("else:")
            source.indent += 1
        source.line(f"{end} = p + {length}" + (" - 1" if flexible else ""))
        limit = f" or {length} > {STRING_BYTES_MAX + 1}" if kind == "string" and flexible else ""
        source.line(f"if not p <= {end} <= end{limit}:")
        source.line(f"    bad_length({field.name!r}, {end} - p, end - p)")
        piece = f"b[p:{end}]"
        if self.is_view and kind != "records":
            piece += ".tobytes()"
        source.line(f"{target} = {piece}" + (".decode()" if kind == "string" else ""))
        source.line(f"p = {end}")
        if nullable:
            source.indent -= 1

    def array(self, field: Field, target: str, flexible: bool, nullable: bool) -> None:
        source = self.source
        count, null = self.length(flexible, "i")
        if nullable:
            source.line(f"if {count} == {null}:")
            source.line(f"    {target} = None")
            source.line("else:")
            source.indent += 1
        if flexible:
            source.line(f"{count} -= 1")
        size_min = element_size_min(field, self.version, flexible)
        times = f" * {size_min}" if size_min > 1 else ""
        most = self.limits.elements_max
        limit = f" or {count} > {most}" if most is not None else ""
        source.line(f"if not 0 <= {count}{times} <= end - p{limit}:")
        source.line(f"    bad_length({field.name!r}, {count}, end - p)")
        if isinstance(field.element, str) and field.element in FIXED:
            self.fixed_elements(field.element, target, count)
        else:
            self.elements(field, target, count, flexible)
        if nullable:
            source.indent -= 1

    def fixed_elements(self, kind: str, target: str, count: str) -> None:
        source = self.source
        form, size = FIXED[kind]
        if kind == "uuid":
            bare = "b[i:i + 16]" + (".tobytes()" if self.is_view else "")
            source.line(f"{target} = [{bare} for i in range(p, p + 16 * {count}, 16)]")
        else:
            source.name("unpack_from", struct.unpack_from)
            source.line(f'{target} = list(unpack_from(f">{{{count}}}{form}", b, p))')
        source.line(f"p += {count}" + (f" * {size}" if size > 1 else ""))

    def elements(self, field: Field, target: str, count: str, flexible: bool) -> None:
        source = self.source
        values = source.fresh("l")
        source.line(f"{target} = {values} = []")
        source.line(f"for _ in range({count}):")
        with source.block():
            inner = source.fresh("o")
            if isinstance(field.element, str):
                self.text_or_bytes(field, inner, flexible, False)
            else:
                self.struct(field.element, inner, flexible)
                self.flush()
            source.line(f"{values}.append({inner})")

    def tags(self, cls: type[Struct], target: str) -> None:
        source = self.source
        count = self.first_byte()
        known = tagged(cls, self.version)
        refused = tags_of_other_versions(cls, self.version)
        source.line(f"if {count}:")
        with source.block():
            source.line(f"if {count} > 127:")
            source.line(f"    {count}, p = more(b, p, {count})")
            if self.limits.tagged_fields_max is not None:
                source.name("too_many_tags", _too_many_tags)
                source.line(f"    if {count} > {self.limits.tagged_fields_max}:")
                source.line(f"        too_many_tags({count})")
            if not known and not refused:
                source.name("skip_tags", skip_tags)
                source.line(f"p = skip_tags(b, p, {count}, end)")
                return
            last, tag, stop = source.fresh("t"), source.fresh("t"), source.fresh("e")
            source.name("tag_at", tag_at)
            source.line(f"{last} = -1")
            source.line(f"for _ in range({count}):")
            with source.block():
                source.line(f"{tag}, p, {stop} = tag_at(b, p, {last}, end)")
                source.line(f"{last} = {tag}")
                for field in known:
                    source.line(f"if {tag} == {field.tag}:")
                    with source.block():
                        self.field(field, f"{target}.{field.name}", True)
                        self.flush()
                        source.line(f"if p != {stop}:")
                        source.line(f"    bad_length({field.name!r}, {stop}, p)")
                        source.line("continue")
                for number in refused:
                    source.name("bad_tag", _bad_tag)
                    source.line(f"if {tag} == {number}:")
                    source.line(f"    bad_tag({number}, {self.version})")
                source.line(f"p = {stop}")

    def flush(self) -> None:
        """Unpacks what is pending."""
        if not self.pending:
            return
        source = self.source
        form = ">" + "".join(each for each, _ in self.pending)
        targets = "".join(f"{target}, " for _, target in self.pending)
        source.line(f"{targets}= {source.struct('unpack_from', form)}(b, p)")
        source.line(f"p += {struct.calcsize(form)}")
        self.pending.clear()


def has_records(cls: type[Struct]) -> bool:
    """Whether a field of the class, or of one nested in it, holds records."""
    return any(
        field.element == "records" if isinstance(field.element, str) else has_records(field.element)
        for field in fields_of(cls)
    )


def _bad_length(name: str, length: int, left: int) -> NoReturn:
    raise ProtocolError(f"{name} has length or count {length}, {left} bytes are left")


def _too_many_tags(count: int) -> NoReturn:
    raise ProtocolError(f"a section has {count} tagged fields")


def _bad_tag(tag: int, version: int) -> NoReturn:
    raise ProtocolError(f"tag {tag} is not one of version {version}")


def _bad_end(name: str, left: int) -> NoReturn:
    raise ProtocolError(f"{left} bytes follow {name}")
