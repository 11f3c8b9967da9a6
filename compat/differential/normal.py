"""What two equal brokers may answer differently, and what is compared instead.

Every rule says why. Values that a broker makes up (ids) become names in the order in which they
turn up, so that it is still compared whether two answers speak of the same thing.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from kbroker.storage.batch import CODEC_MASK, TIMESTAMP_TYPE_MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .peer import Entry
    from .tree import Tree

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MOMENT = re.compile(r"\b1[5-9]\d{11}\b")  # of the years 2017 to 2033
CLOCK_BOUNDS = re.compile(r"within \[NOW([+-]\d+), NOW([+-]\d+)\]")
CLUSTER_ID = re.compile(r'(the cluster id ")[^"]*(")')
JUST_NOW_MS = 600_000
LOGGER_SOURCE = 6  # DYNAMIC_BROKER_LOGGER_CONFIG
LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
NO_ID = bytes(16).hex()


@dataclass
class Names:
    """The names given so far to what one broker made up, in one scenario."""

    host: str
    port: int
    prefix: str  # of the names of its topics and groups
    now_ms: int
    node_id: int
    topic_ids: Mapping[str, str]
    given: dict[tuple[str, object], str] = field(default_factory=dict)

    def name(self, kind: str, value: object) -> str:
        """The name of a value, a new one if it is seen for the first time."""
        count = sum(1 for known, _ in self.given if known == kind)
        return self.given.setdefault((kind, value), f"{kind}-{count + 1}")


@dataclass(frozen=True)
class Rule:
    """A field name, and what becomes of its value. `apis` empty: wherever the field stands."""

    fields: tuple[str, ...]
    reason: str
    change: Callable[[Tree, Names], Tree]
    apis: tuple[str, ...] = ()
    within: Callable[[Tree], bool] = lambda _: True  # of the struct the field stands in


def _host(value: Tree, names: Names) -> Tree:
    return "HOST" if value == names.host else value


def _port(value: Tree, names: Names) -> Tree:
    return "PORT" if value == names.port else value


def _cluster_id(value: Tree, names: Names) -> Tree:
    return "CLUSTER" if value else value


def _node(value: Tree, names: Names) -> Tree:
    if isinstance(value, list):
        return [_node(one, names) for one in value]
    return "NODE" if value == names.node_id else value


def _topic_id(value: Tree, names: Names) -> Tree:
    if value == NO_ID:
        return value
    return names.topic_ids.get(str(value)) or names.name("topic-id", value)


def _producer_id(value: Tree, names: Names) -> Tree:
    return names.name("producer", value) if isinstance(value, int) and value >= 0 else value


def _log_dir(value: Tree, names: Names) -> Tree:
    return names.name("log-dir", value) if value else value


def _directory_id(value: Tree, names: Names) -> Tree:
    return value if value == NO_ID else names.name("directory", value)


def _session_id(value: Tree, names: Names) -> Tree:
    return names.name("session", value) if value else value


def _just_now(value: Tree, names: Names) -> Tree:
    if isinstance(value, int) and abs(value - names.now_ms) < JUST_NOW_MS:
        return "JUST NOW"
    return value


def _metadata_offset(value: Tree, names: Names) -> Tree:
    return "SOME" if isinstance(value, int) and value >= 0 else value


def _moment(value: Tree, names: Names) -> Tree:
    if isinstance(value, int) and MOMENT.fullmatch(str(value)):
        return f"NOW{value - names.now_ms:+d}"
    return value


def _stamped(struct: Tree) -> bool:
    """Whether a batch says LogAppendTime."""
    return isinstance(struct, dict) and bool(int(struct.get("attributes", 0)) & TIMESTAMP_TYPE_MASK)


def _compressed(struct: Tree) -> bool:
    """Whether a batch is compressed."""
    return isinstance(struct, dict) and bool(int(struct.get("attributes", 0)) & CODEC_MASK)


def _left_out(value: Tree, names: Names) -> Tree:
    return "LEFT OUT"


def _logger(struct: Tree) -> bool:
    """Whether a described config is a logger's level."""
    return isinstance(struct, dict) and struct.get("config_source") == LOGGER_SOURCE


def _level(value: Tree, names: Names) -> Tree:
    return "LEVEL" if value in LEVELS else value


def _append_time(value: Tree, names: Names) -> Tree:
    return "APPEND TIME"


RULES: tuple[Rule, ...] = (
    Rule(("host",), "each broker has its address", _host),
    Rule(("port",), "the controller's listener has another", _left_out, ("DescribeQuorum",)),
    Rule(("port",), "each broker has its port", _port),
    Rule(("cluster_id",), "each cluster has its id; whether there is one is compared", _cluster_id),
    Rule(
        (
            "node_id",
            "leader_id",
            "controller_id",
            "broker_id",
            "replica_id",
            "replica_nodes",
            "isr_nodes",
        ),
        "the broker's own node id; others, such as -1, are compared",
        _node,
    ),
    Rule(("topic_id",), "topic ids are random", _topic_id),
    Rule(("producer_id",), "producer ids are given out in blocks to all who ask", _producer_id),
    Rule(("session_id",), "fetch session ids are random", _session_id),
    Rule(("log_append_time_ms",), "the broker's clock", _just_now),
    Rule(
        ("max_timestamp",),
        "the broker's clock, where it stamped a batch",
        _append_time,
        within=_stamped,
    ),
    Rule(
        ("timestamp", "base_timestamp", "max_timestamp"),
        "the time when a scenario began, from which it counts; a recording has another",
        _moment,
    ),
    Rule(
        ("size_bytes",),
        "two compressors make different bytes of the same records, which are compared",
        _left_out,
        within=_compressed,
    ),
    Rule(("log_dir",), "each broker has its directories", _log_dir),
    Rule(("total_bytes", "usable_bytes"), "the disk, which changes", _metadata_offset),
    Rule(
        ("log_end_offset", "high_watermark"),
        "the metadata log, which grows",
        _metadata_offset,
        ("DescribeQuorum",),
    ),
    Rule(
        ("leader_epoch",),
        "how often the quorum's leader was elected",
        _metadata_offset,
        ("DescribeQuorum",),
    ),
    Rule(
        ("last_fetch_timestamp", "last_caught_up_timestamp", "last_timestamp"),
        "the broker's clock",
        _just_now,
    ),
    Rule(
        ("value",),
        "loggers have the level that a broker was started with",
        _level,
        ("DescribeConfigs",),
        within=_logger,
    ),
    Rule(("replica_directory_id",), "directory ids are random", _directory_id),
    Rule(("finalized_features_epoch",), "an offset of the metadata log", _metadata_offset),
)

# What becomes of text, wherever it stands: `_text`.
TEXTS = (
    ("names of topics and groups, in text", "each run makes its own, so that none is in its way"),
    ("the cluster's id in text", "each cluster has its id"),
    ("UUIDs in text", "member ids have random parts; which is which is compared"),
    ("topic ids in text", "topic ids are random"),
    ("times in text", "counted from the scenario's beginning"),
    ("bounds of timestamps in text", "taken from the broker's clock; how far apart is compared"),
)
HASHED = "filled from a hash map or set, in an order that depends on hash codes"
SHUFFLED = {
    "DeleteTopics": "shuffled on purpose (ReplicationControlManager.deleteTopics)",
}
# Lists whose order says nothing: they are compared by these fields of their elements.
UNORDERED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("ApiVersions", "api_keys"): ("api_key",),
    ("ApiVersions", "supported_features"): ("name",),
    ("ApiVersions", "finalized_features"): ("name",),
    ("ListGroups", "groups"): ("group_id",),
    ("CreatePartitions", "results"): ("name",),
    ("DescribeConfigs", "configs"): ("name",),
    ("Produce", "responses"): ("topic_id", "name"),
    ("Produce", "partition_responses"): ("index",),
    ("ListOffsets", "topics"): ("name",),
    ("ListOffsets", "partitions"): ("partition_index",),
    ("JoinGroup", "members"): ("group_instance_id", "member_id"),
    ("DescribeGroups", "groups"): ("group_id",),
    ("ListConfigResources", "config_resources"): ("resource_type", "resource_name"),
    ("DescribeGroups", "members"): ("group_instance_id", "member_id"),
    ("OffsetFetch", "topics"): ("name", "topic_id"),
    ("OffsetFetch", "partitions"): ("partition_index",),
    ("DeleteGroups", "results"): ("group_id",),
    ("DescribeProducers", "active_producers"): ("producer_id",),
    ("DeleteRecords", "topics"): ("name",),
    ("DeleteRecords", "partitions"): ("partition_index",),
    ("AlterReplicaLogDirs", "results"): ("topic_name",),
    ("AlterReplicaLogDirs", "partitions"): ("partition_index",),
    ("DescribeLogDirs", "topics"): ("name",),
    ("DescribeLogDirs", "partitions"): ("partition_index",),
    ("DeleteTopics", "responses"): ("name", "topic_id", "error_code"),
}
# Lists that come in parts, such as what is there and what is not: the parts come in an order, and
# the elements of one part in none. (what a part has in common, by which fields it is compared)
IN_PARTS: Mapping[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("Metadata", "topics"): ("error_code", ("name", "topic_id")),
}


def normalisations() -> list[tuple[str, str]]:
    """(what is not compared as it is, why) of everything here, for reports."""
    rules = [
        (
            ", ".join(rule.fields) + (" of " if rule.apis else "") + ", ".join(rule.apis),
            rule.reason,
        )
        for rule in RULES
    ]
    orders = [
        (f"the order of {name} of {api}, by {' and '.join(keys)}", SHUFFLED.get(api, HASHED))
        for (api, name), keys in UNORDERED.items()
    ]
    parts = [
        (f"the order of {name} of {api} with the same {common}, by {' and '.join(keys)}", HASHED)
        for (api, name), (common, keys) in IN_PARTS.items()
    ]
    return [*rules, *TEXTS, *orders, *parts]


def normalised(transcript: Sequence[Entry], names: Names) -> list[Tree]:
    """The answers of a transcript, as they are compared."""
    return [_normal(entry.api, "", entry.answer, names) for entry in transcript]


def _normal(api: str, name: str, value: Tree, names: Names, struct: Tree = None) -> Tree:
    for rule in RULES:
        if name in rule.fields and (not rule.apis or api in rule.apis) and rule.within(struct):
            return rule.change(value, names)
    if isinstance(value, dict):
        return {key: _normal(api, str(key), one, names, value) for key, one in value.items()}
    if isinstance(value, list):
        keys = UNORDERED.get((api, name))
        if keys is not None:
            return _by_key(api, keys, value, names)
        if (api, name) in IN_PARTS:
            return _by_part(api, *IN_PARTS[api, name], value, names)
        return [_normal(api, "", one, names) for one in value]
    if isinstance(value, str):
        return _text(value, names)
    return value


def _by_key(api: str, keys: Sequence[str], elements: Sequence[Tree], names: Names) -> Tree:
    """The elements by the values of fields, with a number where several have the same."""
    found: dict[str, Tree] = {}
    for element in [_normal(api, "", one, names) for one in elements]:
        text = _key(element, keys)
        number = sum(1 for known in found if known.partition("#")[0] == text)
        found[f"{text}#{number}" if number else text] = element
    return dict(sorted(found.items()))


def _by_part(
    api: str, common: str, keys: Sequence[str], elements: Sequence[Tree], names: Names
) -> Tree:
    """The elements in runs of those with the same value of a field, each run by keys."""
    runs = groupby(elements, lambda one: _key(one, [common]))
    return [[part, _by_key(api, keys, list(run), names)] for part, run in runs]


def _key(element: Tree, keys: Sequence[str]) -> str:
    assert isinstance(element, dict)
    return " ".join(str(element[key]) for key in keys if key in element)


def _text(text: str, names: Names) -> str:
    """Strings, with the prefix shortened, random parts named (member ids, ids in messages), times
    counted from the scenario's beginning, and the broker's clock left out.
    """
    text = text.replace(names.prefix, "@")
    text = MOMENT.sub(lambda found: f"NOW{int(found.group()) - names.now_ms:+d}", text)
    text = CLOCK_BOUNDS.sub(
        lambda found: f"within [CLOCK, CLOCK+{int(found[2]) - int(found[1])}]", text
    )
    text = CLUSTER_ID.sub(r"\1CLUSTER\2", text)
    text = UUID.sub(lambda found: names.name("uuid", found.group()), text)
    for topic_id, name in names.topic_ids.items():
        text = text.replace(base64.urlsafe_b64encode(bytes.fromhex(topic_id)).decode()[:22], name)
    return text
