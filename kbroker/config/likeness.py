"""Suggestions for keys that no Kafka knows.

A suggestion must be right, or there is none. Therefore a word that occurs in keys is never taken
for a misspelling of another such word (`fetch.min.bytes` is not `fetch.max.bytes`). A key that
resembles one of a client's keys is assumed to be that one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from kbroker.config.keys.client import CLIENT_KEYS
from kbroker.config.keys.former import FORMER_KEYS

from .broker import BROKER_KEYS
from .topic import TOPIC_KEYS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

SUGGESTIONS_MAX = 4
_WORD_LIKENESS_MIN = 0.65  # of difflib: a letter less, more, another, or two exchanged
_SEPARATORS = re.compile(r"[._\-]+")


def nearest(name: str) -> tuple[str, ...]:
    """The keys that `name` most probably stands for, best first; none where that is not clear."""
    topic_key = TOPIC_KEYS.get(name)
    if topic_key is not None and topic_key.synonyms:
        return (topic_key.synonyms[0].name,)
    words = _words(name)
    known = (*BROKER_KEYS, *FORMER_KEYS, *CLIENT_KEYS)
    for found in (_written_otherwise(words, known), _misspelt(name, words, known)):
        if found:
            is_clear = len(found) == 1 and found[0] not in CLIENT_KEYS
            return found if is_clear else ()
    return _cut_short(words)


def meant(names: tuple[str, ...]) -> str:
    """The question that suggests these keys; empty without any."""
    if not names:
        return ""
    *others, last = names
    return f"did you mean {', '.join(others)} or {last}?" if others else f"did you mean {last}?"


def _written_otherwise(words: list[str], known: Iterable[str]) -> tuple[str, ...]:
    """The same letters with other separators, or the same words in another order."""
    letters, in_order = "".join(words), sorted(words)
    return tuple(
        key
        for key in known
        if "".join(other := _words(key)) == letters or sorted(other) == in_order
    )


def _misspelt(name: str, words: list[str], known: Collection[str]) -> tuple[str, ...]:
    """The most alike of those that differ by typos alone."""
    from difflib import get_close_matches  # 5 ms, for a mistake only

    vocabulary = {word for key in (*known, *TOPIC_KEYS) for word in _words(key)}
    alike = [key for key in known if _is_typo(words, _words(key), vocabulary)]
    return tuple(get_close_matches(name.lower(), alike, n=1, cutoff=0))


def _is_typo(words: list[str], others: list[str], vocabulary: set[str]) -> bool:
    """Whether each word is the other one, or one that nobody writes on purpose."""
    if len(words) != len(others):
        return False
    wrong = [
        pair for pair in zip(words, others, strict=True) if pair[0] != pair[1] and not _ends(*pair)
    ]
    if any(word in vocabulary for word, _ in wrong):
        return False
    from difflib import SequenceMatcher

    return all(
        SequenceMatcher(None, word, other).ratio() >= _WORD_LIKENESS_MIN for word, other in wrong
    )


def _cut_short(words: list[str]) -> tuple[str, ...]:
    """Keys that have one word more, before these or behind them."""
    if len(words) < 2:
        return ()
    found = tuple(
        key
        for key in BROKER_KEYS
        if len(longer := _words(key)) == len(words) + 1
        and (_same(words, longer[:-1]) or _same(words, longer[1:]))
    )
    return found if len(found) <= SUGGESTIONS_MAX else ()


def _same(words: list[str], others: list[str]) -> bool:
    return all(a == b or _ends(a, b) for a, b in zip(words, others, strict=True))


def _ends(word: str, other: str) -> bool:
    """Whether they are one word with two endings: topic and topics, enable and enabled."""
    return any(word + end == other or other + end == word for end in "sd")


@lru_cache(1000)
def _words(name: str) -> list[str]:
    return [word for word in _SEPARATORS.split(name.lower()) if word]
