"""A key has a documentation sentence exactly where some code reads it: a start that sets a key
without one says that it has no effect.
"""

from __future__ import annotations

import re
from pathlib import Path

import kbroker
from kbroker.config.broker import BROKER_KEYS
from kbroker.config.topic import TOPIC_KEYS

# Held against the listeners as Kafka does, and otherwise not read.
ONLY_CHECKED = {
    "early.start.listeners",
}
# Modules of kbroker.config that only define keys, check them or hand them on.
NO_READERS = ("topic.py", "schema.py", "checks.py", "client_metrics.py")
# Read where topic.py hands it on as segment_bytes.
READ_THERE = {"internal.segment.bytes"}


def attributes_read() -> set[str]:
    """Every attribute that the project's code reads, and every key that it names in a string."""
    package = Path(kbroker.__file__).parent
    # rglob does not follow the links that these folders are.
    folders = (package, package / "storage", package / "controller")
    found: set[str] = set()
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        in_config = path.parent.name == "config"
        if path.name.endswith("_keys.py") or (in_config and path.name in NO_READERS):
            continue
        text = path.read_text()
        found.update(re.findall(r"\.([a-z][a-z0-9_]+)\b", text))
        if not in_config:
            names = re.findall(r'"([a-z0-9.]+)"', text)
            found.update(name.replace(".", "_") for name in names)
    return found


def test_a_key_is_documented_where_it_is_read() -> None:
    read = attributes_read()
    topic_keys = {name for name, key in TOPIC_KEYS.items() if key.has_effect}
    read_topic_keys = {name for name, key in TOPIC_KEYS.items() if key.attribute in read}
    assert read_topic_keys | READ_THERE == topic_keys
    broker_keys = {name for name, key in BROKER_KEYS.items() if key.has_effect}
    read_broker_keys = {name for name, key in BROKER_KEYS.items() if key.attribute in read}
    defaults = {s.name for name in topic_keys for s in TOPIC_KEYS[name].synonyms}
    assert (read_broker_keys | defaults) - ONLY_CHECKED == broker_keys
