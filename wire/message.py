"""The base class of generated messages: equality, repr, and the data that codecs are made from.

A generated class lists its fields once, as data (`FIELDS`). One class represents all versions of a
message; a codec writes the fields that its version has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Protocol, TypeAlias, TypeVar


class SizedRange(Protocol):
    """Record bytes that are elsewhere, such as a range of a file; only their count is known."""

    def __len__(self) -> int: ...


Blob: TypeAlias = bytes | bytearray | memoryview | SizedRange

# Stands for "not given" in constructors, where None would mean Kafka's null.
UNSET: Final[Any] = object()

ZERO_UUID: Final = bytes(16)


class Struct:
    """A group of fields. Not hashable: fields may change."""

    __slots__: ClassVar[tuple[str, ...]] = ()

    # (name, type, versions, options): see schema.py, which reads them.
    FIELDS: ClassVar[tuple[tuple[object, ...], ...]] = ()

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"


class Message(Struct):
    """A whole message or record: a struct with versions of its own."""

    __slots__ = ()

    API_KEY: ClassVar[int | None] = None  # of records: the record type
    MIN_VERSION: ClassVar[int] = 0
    MAX_VERSION: ClassVar[int] = 0
    FLEXIBLE: ClassVar[int | None] = None  # the first flexible version


if TYPE_CHECKING:
    ResponseT_co = TypeVar("ResponseT_co", bound=Message, covariant=True)

    class Request(Message, Generic[ResponseT_co]):
        """A request, whose type says of which class its response is."""

else:

    class Request(Message):
        """While a program runs, `Request["..."]` is this class: typing's would slow the imports."""

        __slots__ = ()

        def __class_getitem__(cls, response: str) -> type[Request]:
            return cls
