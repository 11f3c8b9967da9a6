"""Record classes by record type, imported when they are first asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from .records import tables

if TYPE_CHECKING:
    from .message import Message


def metadata_record(api_key: int) -> type[Message]:
    """The class of a record of `__cluster_metadata`. KeyError if there is no such type."""
    return _load(tables.METADATA[api_key])


def group_record(record_type: int) -> tuple[type[Message], type[Message]]:
    """Key and value class of a record of `__consumer_offsets`. KeyError if there is none such."""
    key, value = tables.GROUP[record_type]
    return _load(key), _load(value)


def transaction_record(record_type: int) -> tuple[type[Message], type[Message]]:
    """Key and value class of a record of `__transaction_state`. KeyError if there is none such."""
    key, value = tables.TRANSACTION[record_type]
    return _load(key), _load(value)


def share_record(record_type: int) -> tuple[type[Message], type[Message]]:
    """Key and value class of a record of `__share_group_state`. KeyError if there is none such."""
    key, value = tables.SHARE[record_type]
    return _load(key), _load(value)


@cache
def _load(name: str) -> type[Message]:
    module = "".join("_" + c.lower() if c.isupper() else c for c in name)[1:]
    loaded: type[Message] = getattr(import_module(f".records.{module}", __package__), name)
    return loaded
