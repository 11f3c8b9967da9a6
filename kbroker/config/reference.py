"""The keys as tables in Markdown, from which docs/configuration.md is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.config.keys.former import FORMER_KEYS
from kbroker.releases.release import NAMES, RELEASES

from .broker import BROKER_KEYS, BrokerConfig
from .client_metrics import CLIENT_METRICS_KEYS
from .key import READ_ONLY, Key
from .topic import GROUP_KEYS, TOPIC_KEYS
from .values import ConfigType, Value, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kbroker.releases.release import ConfiguredResource


def reference() -> str:
    """Every key of every resource, and the keys of older Kafkas."""
    parts = [
        "## Topics",
        _table("TOPIC", TOPIC_KEYS, "broker's key", _synonyms),
        "## Groups",
        _table("GROUP", GROUP_KEYS, "broker's key", _synonyms),
        "## Client metrics subscriptions",
        _table("CLIENT_METRICS", CLIENT_METRICS_KEYS, "broker's key", _synonyms),
        "## Brokers",
        _table("BROKER", BROKER_KEYS, "while running", _scope),
        "## Keys of older Kafkas",
        "These keys are accepted without effect, and a warning names them at the start: "
        + ", ".join(_code(name) for name in sorted(FORMER_KEYS))
        + ".",
    ]
    return "\n\n".join(parts)


def _table(
    resource: ConfiguredResource,
    keys: Mapping[str, Key[Value]],
    last: str,
    shown_last: Callable[[Key[Value]], str],
) -> str:
    rows = [
        f"| key | type | default | valid values | {last} | effect here |",
        "|---|---|---|---|---|---|",
    ]
    for name in sorted(keys):
        key = keys[name]
        cells = (
            f"`{name}`" + (" (internal)" if key.internal else "") + _since(resource, name),
            key.type.name.lower(),
            _default(key),
            _code(key.validator.text) if key.validator is not None else "",
            shown_last(key),
            key.doc or "none",
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _since(resource: ConfiguredResource, name: str) -> str:
    """The release that brought the key, unless the oldest one has it already."""
    first = next(each for each in RELEASES.values() if name in each.keys(resource))
    return "" if first.name == NAMES[0] else f" (since {first.name})"


def _default(key: Key[Value]) -> str:
    if key.default is None:
        return "none"
    if key.type is ConfigType.PASSWORD:
        return "hidden"
    text = text_of(key.default)
    if not text:
        return "empty"
    return _code(text) + (" (Kafka has none)" if BrokerConfig.is_required(key.name) else "")


def _scope(key: Key[Value]) -> str:
    shown = "" if key.scope is READ_ONLY else key.scope.value
    if key.synonyms:
        shown += (", " if shown else "") + "the first that is set of " + _synonyms(key)
    return shown


def _synonyms(key: Key[Value]) -> str:
    return ", ".join(_code(synonym.name) for synonym in key.synonyms)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
