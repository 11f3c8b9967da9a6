"""Every field of every request at its limits, one field at a time.

The requests are made from the protocol's definitions: each list has one element, and each field in
turn is empty, null, the smallest, the largest, -1 or a name that does not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import batch, make_topic
from compat.differential.group_asking import await_coordinator
from compat.differential.scenarios import scenario
from kbroker.wire.api_keys import API_TABLE, ApiKey
from kbroker.wire.schema import FIXED, Field, tagged, untagged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.differential.peer import Peer
    from kbroker.wire.message import Message, Struct

# Left to their own scenarios are those that do harm field by field.
BY_FIELD = (
    ApiKey.PRODUCE,
    ApiKey.FETCH,
    ApiKey.LIST_OFFSETS,
    ApiKey.METADATA,
    ApiKey.OFFSET_COMMIT,
    ApiKey.OFFSET_FETCH,
    ApiKey.FIND_COORDINATOR,
    ApiKey.JOIN_GROUP,
    ApiKey.HEARTBEAT,
    ApiKey.LEAVE_GROUP,
    ApiKey.SYNC_GROUP,
    ApiKey.DESCRIBE_GROUPS,
    ApiKey.LIST_GROUPS,
    ApiKey.API_VERSIONS,
    ApiKey.CREATE_TOPICS,
    ApiKey.DELETE_RECORDS,
    ApiKey.INIT_PRODUCER_ID,
    ApiKey.OFFSET_FOR_LEADER_EPOCH,
    ApiKey.DESCRIBE_CONFIGS,
    ApiKey.ALTER_CONFIGS,
    ApiKey.DESCRIBE_LOG_DIRS,
    ApiKey.CREATE_PARTITIONS,
    ApiKey.DELETE_GROUPS,
    ApiKey.ELECT_LEADERS,
    ApiKey.INCREMENTAL_ALTER_CONFIGS,
    ApiKey.ALTER_PARTITION_REASSIGNMENTS,
    ApiKey.LIST_PARTITION_REASSIGNMENTS,
    ApiKey.OFFSET_DELETE,
    ApiKey.DESCRIBE_QUORUM,
    ApiKey.DESCRIBE_CLUSTER,
    ApiKey.DESCRIBE_PRODUCERS,
    ApiKey.UNREGISTER_BROKER,
    ApiKey.LIST_CONFIG_RESOURCES,
    ApiKey.DESCRIBE_TOPIC_PARTITIONS,
    ApiKey.UPDATE_FEATURES,
    ApiKey.ADD_RAFT_VOTER,
    ApiKey.REMOVE_RAFT_VOTER,
    ApiKey.ALTER_REPLICA_LOG_DIRS,
    ApiKey.DELETE_TOPICS,  # the last, as the others ask for the topic
)
# (API, field=value as in the step's name): why it is not asked.
LEFT_OUT = {
    ("Metadata", "allow_auto_topic_creation=True"): "metadata.auto_created asks it",
    ("FindCoordinator", "key_type=1"): "makes an internal topic; groups.coordinators asks it",
    ("FindCoordinator", "key_type=2"): "makes an internal topic; groups.coordinators asks it",
    ("ListGroups", "states_filter=[]"): "all groups of all scenarios",
    ("ListGroups", "types_filter=[]"): "all groups of all scenarios",
    ("ListConfigResources", "resource_types=[]"): "all resources of all scenarios",
    ("CreateTopics", "topics.num_partitions=2147483647"): "Apache Kafka runs out of memory",
    ("CreatePartitions", "topics.count=2147483647"): "Apache Kafka's controller hangs",
    ("Produce", "acks=0"): "is not answered",
    ("Produce", "acks=1"): "the default here",
    ("Produce", "topic_data.partition_data.records=None"): "is not answered",
    ("Fetch", "max_wait_ms=2147483647"): "is not answered for as long",
    ("InitProducerId", "transactional_id=@-a b"): "makes an internal topic",
    ("InitProducerId", f"transactional_id=@-{'x' * 20}"): "makes an internal topic",
    ("UnregisterBroker", "broker_id=1"): "the broker itself",
    ("ElectLeaders", "topic_partitions=None"): "all topics of all scenarios",
    ("ElectLeaders", "topic_partitions=[]"): "all topics of all scenarios",
}
# A millisecond is over or not when the controller begins with it.
LEFT_OUT |= {
    (api, "timeout_ms=1"): "a race"
    for api in (
        "CreateTopics",
        "CreatePartitions",
        "DeleteTopics",
        "ElectLeaders",
        "AlterPartitionReassignments",
    )
}
TIMEOUT_MS = 10_000
# What a whole request has to say, so that it is understood, waits for nothing and changes little.
WHOLE: dict[int, dict[str, object]] = {
    ApiKey.PRODUCE: {"acks": 1, "transactional_id": None},
    ApiKey.METADATA: {"allow_auto_topic_creation": False},
    ApiKey.CREATE_TOPICS: {"validate_only": True, "timeout_ms": TIMEOUT_MS},
    ApiKey.CREATE_PARTITIONS: {"validate_only": True, "timeout_ms": TIMEOUT_MS},
    ApiKey.DELETE_TOPICS: {"timeout_ms": TIMEOUT_MS},
    ApiKey.ALTER_CONFIGS: {"validate_only": True},
    ApiKey.INCREMENTAL_ALTER_CONFIGS: {"validate_only": True},
    ApiKey.API_VERSIONS: {"client_software_name": "a", "client_software_version": "1"},
    ApiKey.INIT_PRODUCER_ID: {"transactional_id": None},
}
# Without a name these ask for everything, or speak of the one group that has none.
NAMED = ("group_id", "groups", "groups_names", "topics")
SIGNED = {"int8": 7, "int16": 15, "int32": 31, "int64": 63}


def filled(peer: Peer, struct: Struct, version: int) -> None:
    """Give each list one element and each string a name that does not exist."""
    for field in fields(struct, version):
        if field.is_array:
            setattr(struct, field.name, [sample(peer, field, version)])
        elif field.element in ("string", "records") or not isinstance(field.element, str):
            setattr(struct, field.name, sample(peer, field, version))


def whole(peer: Peer, key: int, version: int) -> Message:
    """A request with one element in each list, that does no harm."""
    request: Message = API_TABLE[key].request()
    filled(peer, request, version)
    there = {field.name for field in fields(request, version)}
    for name, value in WHOLE.get(key, {}).items():
        if name in there:
            setattr(request, name, value)
    if key == ApiKey.METADATA and "allow_auto_topic_creation" not in there:
        request.topics[0].name = "a b"  # type: ignore[attr-defined]  # else the topic is created
    return request


def sample(peer: Peer, field: Field, version: int) -> object:
    if not isinstance(field.element, str):
        made = field.element()
        filled(peer, made, version)
        return made
    if field.element == "string":
        return peer.name("none")
    if field.element == "records":
        return batch(peer, b"value")
    return 0 if field.element in SIGNED else field.default


def fields(struct: Struct, version: int) -> list[Field]:
    return untagged(type(struct), version) + tagged(type(struct), version)


def limits(kind: str) -> list[int]:
    bits = SIGNED[kind]
    return [-1, -2, 1, 2**bits - 1, -(2**bits)]


def variations(
    peer: Peer, struct: Struct, version: int, path: str = ""
) -> Iterator[tuple[str, Struct, str, object]]:
    """(what is changed, where, which field, its value)."""
    for field in fields(struct, version):
        here = f"{path}{field.name}"
        values: list[object] = []
        if version in field.nullable:
            values.append(None)
        if field.is_array:
            values.append([])
            if isinstance(field.element, str) and field.element in SIGNED:
                values += [[value] for value in limits(field.element)]
            elif field.element == "string":
                values += [[peer.name("a b")], [peer.name("x" * 300)]]
        elif field.element == "string":
            values += ["", peer.name("a b"), peer.name("x" * 300)]
        elif field.element == "bool":
            values += [True, False]
        elif isinstance(field.element, str) and field.element in FIXED and field.element in SIGNED:
            values += limits(field.element)
        for value in values:
            if not (field.name in NAMED and not path and value in ("", [], None)):
                shown = str(value).replace(peer.prefix, "@")[:22]
                yield f"{here}={shown}", struct, field.name, value
        below = getattr(struct, field.name)
        inner = below[0] if field.is_array and below else below
        if not isinstance(field.element, str) and inner is not None:
            yield from variations(peer, inner, version, f"{here}.")


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
    for key in BY_FIELD:
        api = API_TABLE[key].name
        for version in peer.versions.get(key, range(0)):
            request = whole(peer, key, version)
            if not fields(request, version):
                continue  # nothing to vary; frames.damaged sends bytes behind it
            peer.probe(f"{api} v{version} whole", request, version)
            for step, struct, field, value in variations(peer, request, version):
                if (api, step) in LEFT_OUT:
                    continue
                before = getattr(struct, field)
                setattr(struct, field, value)
                peer.probe(f"{api} v{version} {step}", request, version)
                setattr(struct, field, before)
