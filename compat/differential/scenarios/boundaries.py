"""Every field of the requests that change nothing, at its limits, one field at a time.

The requests are made from the protocol's definitions: each list has one element, and each field in
turn is empty, null, the smallest, the largest, -1 or a name that does not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import make_topic
from compat.differential.group_asking import await_coordinator
from compat.differential.scenarios import scenario
from kbroker.wire.api_keys import API_TABLE, ApiKey
from kbroker.wire.schema import FIXED, Field, tagged, untagged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.differential.peer import Peer
    from kbroker.wire.message import Message, Struct

HARMLESS = (
    ApiKey.LIST_OFFSETS,
    ApiKey.OFFSET_COMMIT,
    ApiKey.OFFSET_FETCH,
    ApiKey.HEARTBEAT,
    ApiKey.LEAVE_GROUP,
    ApiKey.SYNC_GROUP,
    ApiKey.DESCRIBE_GROUPS,
    ApiKey.DELETE_GROUPS,
    ApiKey.DELETE_RECORDS,
    ApiKey.OFFSET_FOR_LEADER_EPOCH,
    ApiKey.DESCRIBE_CONFIGS,
    ApiKey.DESCRIBE_LOG_DIRS,
    ApiKey.OFFSET_DELETE,
    ApiKey.DESCRIBE_QUORUM,
    ApiKey.DESCRIBE_CLUSTER,
    ApiKey.DESCRIBE_PRODUCERS,
    ApiKey.DESCRIBE_TOPIC_PARTITIONS,
    ApiKey.LIST_PARTITION_REASSIGNMENTS,
)
# Without a name these ask for everything, or speak of the one group that has none.
NAMED = ("group_id", "groups", "groups_names", "topics")
SIGNED = {"int8": 7, "int16": 15, "int32": 31, "int64": 63}


def filled(peer: Peer, struct: Struct, version: int) -> None:
    """Give each list one element and each string a name that does not exist."""
    for field in fields(struct, version):
        if field.is_array:
            setattr(struct, field.name, [sample(peer, field, version)])
        elif field.element == "string" or not isinstance(field.element, str):
            setattr(struct, field.name, sample(peer, field, version))


def sample(peer: Peer, field: Field, version: int) -> object:
    if not isinstance(field.element, str):
        made = field.element()
        filled(peer, made, version)
        return made
    if field.element == "string":
        return peer.name("none")
    return 0 if field.element in SIGNED else field.default


def fields(struct: Struct, version: int) -> list[Field]:
    return untagged(type(struct), version) + tagged(type(struct), version)


def variations(
    struct: Struct, version: int, path: str = ""
) -> Iterator[tuple[str, Struct, str, object]]:
    """(what is changed, where, which field, its value)."""
    for field in fields(struct, version):
        here = f"{path}{field.name}"
        values: list[object] = []
        if version in field.nullable:
            values.append(None)
        if field.is_array:
            values.append([])
        elif field.element == "string":
            values += ["", "a b", "x" * 300]
        elif field.element == "bool":
            values += [True, False]
        elif isinstance(field.element, str) and field.element in FIXED and field.element in SIGNED:
            bits = SIGNED[field.element]
            values += [-1, -2, 1, 2**bits - 1, -(2**bits)]
        for value in values:
            if not (field.name in NAMED and not path and value in ("", [], None)):
                yield f"{here}={str(value)[:22]}", struct, field.name, value
        below = getattr(struct, field.name)
        inner = below[0] if field.is_array and below else below
        if not isinstance(field.element, str) and inner is not None:
            yield from variations(inner, version, f"{here}.")


@scenario()
def nothing_there(peer: Peer) -> None:
    """The topic and the group that the requests name are not there."""
    one_field_at_a_time(peer)


@scenario()
def there(peer: Peer) -> None:
    """The topic is there, and the group as soon as offsets are committed to it."""
    make_topic(peer, "none", 2)
    one_field_at_a_time(peer)


def one_field_at_a_time(peer: Peer) -> None:
    await_coordinator(peer, peer.name("none"))
    for key in HARMLESS:
        for version in peer.versions.get(key, range(0)):
            request: Message = API_TABLE[key].request()
            filled(peer, request, version)
            name = f"{API_TABLE[key].name} v{version}"
            peer.probe(f"{name} whole", request, version)
            for step, struct, field, value in variations(request, version):
                before = getattr(struct, field)
                setattr(struct, field, value)
                peer.probe(f"{name} {step}", request, version)
                setattr(struct, field, before)
