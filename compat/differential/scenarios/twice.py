"""Whatever can stand twice in a request, standing twice: each list of each request at each version.

An element beside its like, beside one that differs in one field (below it as well), and around that
one: which of the two counts, whether both are answered, and in which order. What changes the state
of a broker is asked by `twice_records`, `twice_groups` and `twice_admin`, which look at what has
come of it.
"""

from __future__ import annotations

from copy import deepcopy
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from compat.differential.asking import NO_SUCH_ID, Topic, make_topic
from compat.differential.group_asking import await_coordinator
from compat.differential.scenarios import scenario
from compat.differential.scenarios.boundaries import BY_FIELD, fields, whole
from kbroker.wire.api_keys import API_TABLE, ApiKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.differential.peer import Peer
    from kbroker.wire.message import Struct
    from kbroker.wire.schema import Field

NO_CREATION_SINCE = 4  # before, Metadata creates what is not there
OTHER_ID = b"\x02" * 16
# What is not asked (patterns), and why.
LEFT_OUT = {
    "AlterConfigs resources [ta]*": "not answered: twice_admin.altered_configs asks it once",
    "CreateTopics topics.configs * another name": "a hash map's first is refused",
    "UpdateFeatures * another feature": "a hash map's first is refused",
}


class Named(Topic):
    """A topic that requests name, and another beside it."""

    def __init__(self, topic: Topic, other: Topic) -> None:
        super().__init__(topic.name, topic.id, topic.partitions)
        self.other = other


@scenario()
def nothing_there(peer: Peer) -> None:
    """The topics and the groups that the requests name are not there."""
    one, other = (Topic(peer.name(n), i, 0) for n, i in (("none", NO_SUCH_ID), ("other", OTHER_ID)))
    # What is answered in any order is still told apart.
    peer.topic_ids |= {one.id.hex(): "no such id", other.id.hex(): "no such id either"}
    everything_twice(peer, Named(one, other))


@scenario()
def there(peer: Peer) -> None:
    """The topics are there, and the groups as soon as offsets are committed to them."""
    everything_twice(peer, Named(make_topic(peer, "none", 2), make_topic(peer, "other", 2)))


def everything_twice(peer: Peer, topic: Named) -> None:
    await_coordinator(peer, peer.name("none"))
    for key in BY_FIELD:
        api = API_TABLE[key].name
        creates = key == ApiKey.METADATA and not topic.partitions
        for version in peer.shared(API_TABLE[key].request, NO_CREATION_SINCE if creates else 0):
            request = whole(peer, key, version)
            _with_ids(request, version, topic)
            for step, struct, name, value in _doubled(request, version, topic):
                if any(fnmatchcase(f"{api} {step}", pattern) for pattern in LEFT_OUT):
                    continue
                before = getattr(struct, name)
                setattr(struct, name, value)
                peer.probe(f"{api} v{version} {step}", request, version)
                setattr(struct, name, before)


def _with_ids(struct: Struct, version: int, topic: Topic) -> None:
    """The topic's id wherever one may stand, and then no name where that may be null."""
    for field in fields(struct, version):
        value = getattr(struct, field.name)
        if field.name == "topic_id":
            struct.topic_id = topic.id  # type: ignore[attr-defined]
            if any(f.name == "name" and version in f.nullable for f in fields(struct, version)):
                struct.name = None  # type: ignore[attr-defined]
        elif not isinstance(field.element, str) and field.is_array:
            for below in value or ():
                _with_ids(below, version, topic)


def _doubled(
    struct: Struct, version: int, topic: Named, path: str = ""
) -> Iterator[tuple[str, Struct, str, list[object]]]:
    """(what stands twice and how, where, which list, what it is then)."""
    for field in fields(struct, version):
        if not field.is_array:
            continue
        here = f"{path}{field.name}"
        for element in getattr(struct, field.name) or ():
            yield f"{here} twice", struct, field.name, [element, deepcopy(element)]
            for what, other in _others(field, element, version, topic):
                yield f"{here} twice{what}", struct, field.name, [element, other]
                around = [element, other, deepcopy(element)]
                yield f"{here} around{what}", struct, field.name, around
            if not isinstance(field.element, str):
                yield from _doubled(element, version, topic, f"{here}.")


def _others(
    field: Field, element: object, version: int, topic: Named
) -> Iterator[tuple[str, object]]:
    """The like of an element, with one field changed."""
    if isinstance(field.element, str):
        yield " another", _another(field, element, topic)
        return
    for place in _leaves(element, version):  # type: ignore[arg-type]
        other = deepcopy(element)
        *above, name = place
        struct = other
        for step in above:
            struct = getattr(struct, step)[0]
        leaf = next(f for f in fields(struct, version) if f.name == name)  # type: ignore[arg-type]
        value = getattr(struct, name)
        if leaf.is_array:
            setattr(struct, name, [_another(leaf, one, topic) for one in value])
        else:
            setattr(struct, name, _another(leaf, value, topic))
        yield f", another {'.'.join(place)}", other


def _leaves(struct: Struct, version: int) -> Iterator[tuple[str, ...]]:
    """The ways to the fields that have no fields of their own; what records say is all one here."""
    for field in fields(struct, version):
        value = getattr(struct, field.name)
        if isinstance(field.element, str):
            if value is not None and field.element != "records":
                yield (field.name,)
        elif field.is_array and value:
            for below in _leaves(value[0], version):
                yield (field.name, *below)


def _another(field: Field, value: object, topic: Named) -> object:
    match field.element:
        case "string":
            return topic.other.name
        case "uuid":
            return topic.other.id
        case "bytes":
            return b"other"
        case "bool":
            return not value
    assert isinstance(value, int), field.element
    return value - 1 if value in (2**31 - 1, 2**63 - 1) else value + 1
