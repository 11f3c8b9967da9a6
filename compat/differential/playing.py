"""Plays scenarios on brokers, and keeps what came of each step."""

from __future__ import annotations

import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compat.raw import RawClient
from kbroker.wire.api_keys import API_TABLE
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kbroker.wire.messages.metadata import MetadataRequest, MetadataResponse

from .normal import Names
from .peer import Peer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .peer import Entry
    from .scenarios import Scenario

Served = dict[int, range]


@dataclass(frozen=True)
class Side:
    """A broker, and what it says of itself."""

    host: str
    port: int
    node_id: int
    served: Served  # versions by API key, as advertised

    @classmethod
    def of(cls, host: str, port: int) -> Side:
        """Ask it. OSError if it cannot be reached."""
        with RawClient(host, port) as client:
            versions = client.ask(ApiVersionsRequest(), 0, ApiVersionsResponse)
            metadata = client.ask(MetadataRequest(topics=[]), 1, MetadataResponse)
        served = {
            api.api_key: range(api.min_version, api.max_version + 1) for api in versions.api_keys
        }
        mine = [broker.node_id for broker in metadata.brokers if broker.port == port]
        return cls(host, port, mine[0] if mine else metadata.controller_id, served)


@dataclass
class Played:
    """What came of one scenario on one broker. `end` says what ended it before its last step."""

    names: Names
    transcript: list[Entry]
    end: str = ""


def askable(left: Served, right: Served) -> Served:
    """The versions that both serve and that a request can be made of."""
    found = {}
    for key, first in left.items():
        second, api = right.get(key, range(0)), API_TABLE.get(key)
        start, stop = max(first.start, second.start), min(first.stop, second.stop)
        if api is not None and start < stop:
            found[key] = range(max(start, api.min_version), stop)
    return found


def playable(scenarios: Sequence[Scenario], versions: Served) -> list[Scenario]:
    """Those whose APIs there are."""
    return [s for s in scenarios if all(versions.get(r.API_KEY or 0) for r in s.requests)]


def play_all(
    scenarios: Sequence[Scenario],
    sides: Mapping[str, Side],
    versions: Served,
    seed: str,
    *,
    at_once: int,
) -> list[dict[str, Played]]:
    """Each scenario on all sides at the same time, some scenarios at a time, some when all else is
    done.

    The key of a side is a letter that keeps its names apart, should two be the same broker.
    """
    alone = [scenario for scenario in scenarios if scenario.alone]
    together = [scenario for scenario in scenarios if not scenario.alone]
    with ThreadPoolExecutor(at_once) as pool:
        played = list(pool.map(lambda one: _play(one, sides, versions, seed), together))
    played += [_play(scenario, sides, versions, seed) for scenario in alone]
    found = dict(zip([s.name for s in together + alone], played, strict=True))
    return [found[scenario.name] for scenario in scenarios]


def _play(
    scenario: Scenario, sides: Mapping[str, Side], versions: Served, seed: str
) -> dict[str, Played]:
    now_ms = time.time_ns() // 1_000_000
    title = scenario.name.replace("_", "-").replace(".", "-")
    peers = {
        letter: Peer(side.host, side.port, versions, f"diff-{seed}{letter}-{title}", now_ms)
        for letter, side in sides.items()
    }
    ends = dict.fromkeys(peers, "")

    def play(letter: str) -> None:
        peer = peers[letter]
        try:
            scenario.play(peer)
        except Exception as error:  # a thread's edge: what ended a scenario is a result of it
            last = traceback.extract_tb(error.__traceback__)[-1]
            ends[letter] = f"{type(error).__name__}: {error} ({last.name})".replace(
                peer.prefix, "@"
            )
        finally:
            peer.close()

    threads = [threading.Thread(target=play, args=(letter,)) for letter in peers]
    for thread in threads:
        thread.start()
        if scenario.in_turn:
            thread.join()
    for thread in threads:
        thread.join()
    return {
        letter: Played(
            Names(
                peer.host,
                peer.port,
                peer.prefix,
                now_ms,
                sides[letter].node_id,
                peer.topic_ids,
            ),
            peer.transcript,
            ends[letter],
        )
        for letter, peer in peers.items()
    }
