"""A plain codec that follows the definitions field by field. It is slow and easy to check.

Tests compare the compiled codec (codec.py) with it. A broker does not use it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, TypeVar, cast

from . import varint
from .errors import EncodeError, ProtocolError, UnsupportedFieldError
from .limits import NO_LIMITS
from .schema import (
    FIXED,
    STRING_BYTES_MAX,
    check_version,
    element_size_min,
    fields_of,
    is_flexible,
    tagged,
    tags_of_other_versions,
    untagged,
)

if TYPE_CHECKING:
    from .limits import Limits
    from .message import Message, Struct
    from .schema import Field
    from .varint import Buffer

    M = TypeVar("M", bound=Message)
else:
    M = TypeVar("M")


def decode(
    cls: type[M], version: int, buffer: Buffer, position: int = 0, limits: Limits = NO_LIMITS
) -> M:
    """A message that fills the buffer from `position` to its end. ProtocolError if it does not."""
    check_version(cls, version)
    reader = _Reader(memoryview(buffer), position, version, limits)
    message = reader.read_struct(cls, is_flexible(cls, version))
    if reader.position != len(buffer):
        raise ProtocolError(f"{len(buffer) - reader.position} bytes follow {cls.__name__}")
    return cast(M, message)


def encode(message: Message, version: int) -> bytes:
    """EncodeError for what the version cannot say."""
    cls = type(message)
    check_version(cls, version)
    writer = _Writer(version)
    try:
        writer.write_struct(message, is_flexible(cls, version))
    except (struct.error, UnicodeEncodeError, TypeError, AttributeError) as error:
        raise EncodeError(f"{cls.__name__} version {version}: {error}") from error
    return bytes(writer.written)


class _Reader:
    def __init__(self, buffer: memoryview, position: int, version: int, limits: Limits) -> None:
        self.limits = limits
        self.buffer = buffer
        self.position = position
        self.version = version

    def read_struct(self, cls: type[Struct], flexible: bool) -> Struct:
        value = cls()
        for field in untagged(cls, self.version):
            setattr(value, field.name, self.read_field(field, flexible))
        if flexible:
            self.read_tags(value, {f.tag: f for f in tagged(cls, self.version)})
        return value

    def read_tags(self, value: Struct, known: dict[int, Field]) -> None:
        last = -1
        count, most = self.read_varint(), self.limits.tagged_fields_max
        if most is not None and count > most:
            raise ProtocolError(f"a section has {count} tagged fields")
        for _ in range(count):
            tag, size = self.read_varint(), self.read_varint()
            if tag <= last:
                raise ProtocolError(f"tag {tag} follows tag {last}")
            last = tag
            end = self.position + size
            if tag in tags_of_other_versions(type(value), self.version):
                raise ProtocolError(f"tag {tag} is not one of version {self.version}")
            if tag not in known:
                self.read_raw(size)
                continue
            setattr(value, known[tag].name, self.read_field(known[tag], True))
            if self.position != end:
                raise ProtocolError(f"tag {tag} has another size than its {size} bytes")

    def read_field(self, field: Field, flexible: bool) -> object:
        flexible = flexible and self.version in field.flexible
        if field.is_array:
            return self.read_array(field, flexible)
        if not isinstance(field.element, str) and self.version in field.nullable:
            present = int.from_bytes(self.read_raw(1), signed=True)
            if present == field.null_struct(self.version):
                return None
            if present != 1:
                raise ProtocolError(f"{field.name} starts with {present}, neither null nor present")
        return self.read_value(field, flexible, self.version in field.nullable)

    def read_array(self, field: Field, flexible: bool) -> list[object] | None:
        count = self.read_length(flexible, 4)
        if count == -1 and self.version in field.nullable:
            return None
        left = len(self.buffer) - self.position
        if not 0 <= count * element_size_min(field, self.version, flexible) <= left:
            raise ProtocolError(f"{field.name} has {count} elements, {left} bytes are left")
        if self.limits.elements_max is not None and count > self.limits.elements_max:
            raise ProtocolError(f"{field.name} has {count} elements")
        return [self.read_value(field, flexible, False) for _ in range(count)]

    def read_value(self, field: Field, flexible: bool, nullable: bool) -> object:
        kind = field.element
        if not isinstance(kind, str):
            return self.read_struct(kind, flexible)
        if kind in FIXED:
            form, size = FIXED[kind]
            return struct.unpack(">" + form, self.read_raw(size))[0]
        length = self.read_length(flexible, 2 if kind == "string" else 4)
        if length == -1 and nullable:
            return None
        if length < 0 or (kind == "string" and length > STRING_BYTES_MAX):
            raise ProtocolError(f"{field.name} has length {length}")
        raw = self.read_raw(length)
        if kind == "records":
            return raw
        if kind == "bytes":
            return bytes(raw)
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError as error:
            raise ProtocolError(f"{field.name} is not UTF-8: {error}") from error

    def read_length(self, flexible: bool, size: int) -> int:
        if flexible:
            return self.read_varint() - 1
        return int.from_bytes(self.read_raw(size), signed=True)

    def read_varint(self) -> int:
        value, self.position = varint.decode_unsigned(self.buffer, self.position)
        return value

    def read_raw(self, size: int) -> memoryview:
        end = self.position + size
        if end > len(self.buffer):
            left = len(self.buffer) - self.position
            raise ProtocolError(f"{size} bytes wanted, {left} are left")
        raw = self.buffer[self.position : end]
        self.position = end
        return raw


class _Writer:
    def __init__(self, version: int) -> None:
        self.written = bytearray()
        self.version = version

    def write_struct(self, value: Struct, flexible: bool) -> None:
        cls = type(value)
        for field in fields_of(cls):
            known = self.version in field.versions or field.ignorable
            if not known and not field.is_default(getattr(value, field.name)):
                where = f"{cls.__name__}.{field.name}"
                raise UnsupportedFieldError(f"{where} is set, which version {self.version} lacks")
        for field in untagged(cls, self.version):
            self.write_field(field, getattr(value, field.name), flexible)
        if flexible:
            self.write_tags(value)

    def write_tags(self, value: Struct) -> None:
        fields = [
            (field, getattr(value, field.name))
            for field in tagged(type(value), self.version)
            if not field.is_default(getattr(value, field.name))
        ]
        self.written += varint.encode_unsigned(len(fields))
        for field, each in fields:
            inner = _Writer(self.version)
            inner.write_field(field, each, True)
            self.written += varint.encode_unsigned(field.tag)
            self.written += varint.encode_unsigned(len(inner.written))
            self.written += inner.written

    def write_field(self, field: Field, value: object, flexible: bool) -> None:
        flexible = flexible and self.version in field.flexible
        if value is None and self.version not in field.nullable:
            raise EncodeError(f"{field.name} is null, which version {self.version} cannot say")
        if field.is_array:
            values = cast("list[object] | None", value)
            self.write_length(-1 if values is None else len(values), flexible, 4)
            for each in values or ():
                self.write_value(field, each, flexible)
            return
        if not isinstance(field.element, str) and self.version in field.nullable:
            null = field.null_struct(self.version)
            self.written += (null if value is None else 1).to_bytes(1, signed=True)
            if value is None:
                return
        self.write_value(field, value, flexible)

    def write_value(self, field: Field, value: object, flexible: bool) -> None:
        kind = field.element
        if not isinstance(kind, str):
            self.write_struct(cast("Struct", value), flexible)
            return
        if kind in FIXED:
            if kind == "uuid" and len(cast(bytes, value)) != 16:
                raise EncodeError(f"{field.name} is a UUID and has no 16 bytes: {value!r}")
            self.written += struct.pack(">" + FIXED[kind][0], value)
            return
        size = 2 if kind == "string" else 4
        if value is None:
            self.write_length(-1, flexible, size)
            return
        raw = cast(str, value).encode() if kind == "string" else cast("Buffer", value)
        if kind == "string" and len(raw) > STRING_BYTES_MAX:
            raise EncodeError(f"{field.name} takes {len(raw)} bytes, over {STRING_BYTES_MAX}")
        self.write_length(len(raw), flexible, size)
        self.written += raw

    def write_length(self, length: int, flexible: bool, size: int) -> None:
        if flexible:
            self.written += varint.encode_unsigned(length + 1)
        else:
            self.written += length.to_bytes(size, signed=True)
