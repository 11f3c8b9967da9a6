"""Makes the source text of an encoder for one (class, version), in one function.

Neighbouring fields of fixed width become one `struct` pack, together with a varint that follows if
it fits in one byte. The pieces are joined once, or once before each `records` field of the message:
records are not copied, and stay separate chunks.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NoReturn

from . import varint
from .compile_decoder import has_records
from .errors import EncodeError, UnsupportedFieldError
from .schema import FIXED, STRING_BYTES_MAX, fields_of, is_flexible, tagged, untagged
from .source import Source

if TYPE_CHECKING:
    from .message import Message, Struct
    from .schema import Field


def encoder_source(cls: type[Message], version: int) -> Source:
    """Defines `encode(message) -> chunks`.

    Raises EncodeError, struct.error, UnicodeEncodeError, TypeError, AttributeError.
    """
    return _EncoderText(cls, version).source


class _EncoderText:
    def __init__(self, cls: type[Message], version: int) -> None:
        self.version = version
        self.source = Source()
        self.pending: list[tuple[str, str]] = []  # (struct format, expression) not yet packed
        self.has_records = has_records(cls)
        source = self.source
        source.name("join", b"".join)
        source.name("one_byte", varint.ONE_BYTE)
        source.name("unsigned", varint.encode_unsigned)
        source.line("def encode(m):")
        with source.block():
            source.line("out = []")
            source.line("w = out.append")
            if self.has_records:
                source.line("chunks = []")
            self.struct(cls, "m", is_flexible(cls, version))
            self.flush()
            if self.has_records:
                source.line("if out:")
                source.line("    chunks.append(join(out))")
                source.line("return chunks")
            else:
                source.line("return [join(out)]")

    def struct(self, cls: type[Struct], value: str, flexible: bool) -> None:
        """Writes a struct that a variable holds. Leaves fields pending."""
        source = self.source
        for field in fields_of(cls):
            if self.version not in field.versions and not field.ignorable:
                source.name("absent", _absent)
                source.line(f"if {self.is_set(field, f'{value}.{field.name}')}:")
                source.line(f"    absent({cls.__name__!r}, {field.name!r}, {self.version})")
        for field in untagged(cls, self.version):
            self.field(field, f"{value}.{field.name}", flexible)
        if flexible:
            self.tags(cls, value)

    def is_set(self, field: Field, value: str) -> str:
        """The condition under which a field has not its default, as Kafka's classes compare it."""
        if field.default is None:
            return f"{value} is not None"
        if field.is_array:
            return f"({value} is None or {value})" if field.nullable else value
        if not isinstance(field.element, str):
            inner = [self.is_set(f, f"{value}.{f.name}") for f in fields_of(field.element)]
            condition = " or ".join(inner)
            return f"({value} is None or {condition})" if field.nullable else f"({condition})"
        if field.default in (False, 0):
            return f"({value} is None or {value})" if field.nullable else value
        return f"{value} != {field.default!r}"

    def field(self, field: Field, value: str, flexible: bool) -> None:
        source = self.source
        flexible = flexible and self.version in field.flexible
        nullable = self.version in field.nullable
        if isinstance(field.element, str) and field.element in FIXED and not field.is_array:
            self.fixed(field, value)
            return
        local = source.fresh("v")
        source.line(f"{local} = {value}")
        if not nullable and (field.nullable or field.default is None):
            source.name("null", _null)
            source.line(f"if {local} is None:")
            source.line(f"    null({field.name!r}, {self.version})")
        if field.is_array:
            self.array(field, local, flexible, nullable)
        elif not isinstance(field.element, str):
            null = field.null_struct(self.version) if nullable else None
            self.nested(field.element, local, flexible, null)
        else:
            self.text_or_bytes(field, local, flexible, nullable)

    def fixed(self, field: Field, value: str) -> None:
        source = self.source
        if field.element == "uuid":
            local = source.fresh("v")
            source.name("bad_uuid", _bad_uuid)
            source.line(f"{local} = {value}")
            source.line(f"if len({local}) != 16:")
            source.line(f"    bad_uuid({field.name!r}, {local})")
            value = local
        self.pending.append((FIXED[str(field.element)][0], value))

    def nested(self, cls: type[Struct], value: str, flexible: bool, null: int | None) -> None:
        """`null` is the byte that stands for null, where that is allowed."""
        source = self.source
        if null is None:
            self.struct(cls, value, flexible)
            return
        self.flush()
        source.line(f"if {value} is None:")
        source.line(f"    w({null.to_bytes(1, signed=True)!r})")
        source.line("else:")
        with source.block():
            self.pending.append(("b", "1"))
            self.struct(cls, value, flexible)
            self.flush()

    def length(self, length: str, flexible: bool, form: str) -> None:
        """Writes what is pending and then a length, which a variable holds (flexible: one more)."""
        source = self.source
        if not flexible:
            self.pending.append((form, length))
            self.flush()
        elif not self.pending:
            source.line(f"w(one_byte[{length}] if {length} < 128 else unsigned({length}))")
        else:
            fixed = list(self.pending)
            source.line(f"if {length} < 128:")
            with source.block():
                self.pending.append(("B", length))
                self.flush()
            source.line("else:")
            with source.block():
                self.pending = fixed
                self.flush()
                source.line(f"w(unsigned({length}))")

    def text_or_bytes(self, field: Field, value: str, flexible: bool, nullable: bool) -> None:
        source = self.source
        kind = field.element
        length = source.fresh("n")
        plus = " + 1" if flexible else ""
        if nullable:
            source.line(f"if {value} is None:")
            source.line(f"    {length} = {0 if flexible else -1}")
            if kind != "records":
                source.line(f"    {value} = b''")
            source.line("else:")
            source.indent += 1
        if kind == "string":
            source.line(f"{value} = {value}.encode()")
        source.line(f"{length} = len({value}){plus}")
        if kind == "string" and flexible:
            source.name("long_text", _long_text)
            source.line(f"if {length} > {STRING_BYTES_MAX + 1}:")
            source.line(f"    long_text({field.name!r}, {length} - 1)")
        if nullable:
            source.indent -= 1
        self.length(length, flexible, "h" if kind == "string" else "i")
        if kind == "records":
            source.line(f"if {length} > {1 if flexible else 0}:")
            source.line("    chunks.append(join(out))")
            source.line(f"    chunks.append({value})")
            source.line("    out.clear()")
        else:
            source.line(f"w({value})")

    def array(self, field: Field, value: str, flexible: bool, nullable: bool) -> None:
        source = self.source
        count = source.fresh("n")
        counted = f"len({value})" + (" + 1" if flexible else "")
        if nullable:
            source.line(f"if {value} is None:")
            source.line(f"    {count} = {0 if flexible else -1}")
            source.line(f"    {value} = ()")
            source.line("else:")
            source.line(f"    {count} = {counted}")
        else:
            source.line(f"{count} = {counted}")
        self.length(count, flexible, "i")
        if isinstance(field.element, str) and field.element in FIXED and field.element != "uuid":
            source.name("pack", struct.pack)
            source.line(f"if {value}:")
            form = FIXED[field.element][0]
            source.line(f'    w(pack(f">{{len({value})}}{form}", *{value}))')
            return
        inner = source.fresh("o")
        source.line(f"for {inner} in {value}:")
        with source.block():
            if not isinstance(field.element, str):
                self.struct(field.element, inner, flexible)
            elif field.element == "uuid":
                self.fixed(field, inner)
            else:
                self.text_or_bytes(field, inner, flexible, False)
            self.flush()

    def tags(self, cls: type[Struct], value: str) -> None:
        source = self.source
        known = tagged(cls, self.version)
        if not known:
            self.pending.append(("x", ""))
            return
        self.flush()
        conditions = [self.is_set(field, f"{value}.{field.name}") for field in known]
        source.line(f"if {' or '.join(conditions)}:")
        with source.block():
            sections, outer = source.fresh("t"), source.fresh("w")
            source.line(f"{sections} = []")
            source.line(f"{outer} = w")
            for field, condition in zip(known, conditions, strict=True):
                source.line(f"if {condition}:")
                with source.block():
                    section = source.fresh("s")
                    source.line(f"{section} = []")
                    source.line(f"w = {section}.append")
                    self.field(field, f"{value}.{field.name}", True)
                    self.flush()
                    source.line(f"{section} = join({section})")
                    head = f"unsigned({field.tag}) + unsigned(len({section}))"
                    source.line(f"{sections}.append({head} + {section})")
            source.line(f"w = {outer}")
            source.line(f"w(unsigned(len({sections})))")
            source.line(f"w(join({sections}))")
        source.line("else:")
        source.line("    w(b'\\0')")

    def flush(self) -> None:
        """Packs what is pending."""
        if not self.pending:
            return
        form = ">" + "".join(each for each, _ in self.pending)
        values = [value for _, value in self.pending if value]
        if values:
            pack = self.source.struct("pack", form)
            self.source.line(f"w({pack}({', '.join(values)}))")
        else:
            self.source.line(f"w({bytes(struct.calcsize(form))!r})")
        self.pending = []


def _absent(cls: str, field: str, version: int) -> NoReturn:
    raise UnsupportedFieldError(f"{cls}.{field} is set, which version {version} lacks")


def _null(field: str, version: int) -> NoReturn:
    raise EncodeError(f"{field} is null, which version {version} cannot say")


def _bad_uuid(field: str, value: object) -> NoReturn:
    raise EncodeError(f"{field} is a UUID and has no 16 bytes: {value!r}")


def _long_text(field: str, length: int) -> NoReturn:
    raise EncodeError(f"{field} takes {length} bytes, over {STRING_BYTES_MAX}")
