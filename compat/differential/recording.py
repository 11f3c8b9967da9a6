"""The answers of a broker, in a file: another broker is compared with them where it is not at hand.

What is kept is what was answered, before any normalisation, with what the normalisations need (the
address, the clock, ids): rules may change, and a recording stays good. The file is JSON under zstd:

    {"format": 1, "software": "Apache Kafka 4.3.0", "made": "2026-11-28", "seed": "3f9a01",
     "settings": {...}, "served": {"0": [0, 13], ...},
     "scenarios": {NAME: {"names": {...}, "end": "", "steps": [[step, api, version, request,
     answer], ...]}}}

Requests and answers are fields by name, as `tree.py` makes them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zstandard

from .normal import Names
from .peer import Entry
from .playing import Played, Side, askable, play_all, playable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .playing import Served
    from .scenarios import Scenario

FORMAT = 1
FOLDER = Path(__file__).parent / "recorded"
APACHE_KAFKA = FOLDER / "apache-kafka-4.3.0.json.zst"
COMPRESSION_LEVEL = 19
UNPACKED_BYTES_MAX = 1 << 30
# What a broker must be started with to be compared; groups form at once, else as a user finds it.
SETTINGS = {"node.id": "1", "group.initial.rebalance.delay.ms": "0"}


class RecordingError(Exception):
    """A file that is not a recording, or of another format."""


@dataclass
class Recording:
    """What a broker answered, by scenario, and what made it."""

    software: str
    made: str
    seed: str
    settings: Mapping[str, str]
    served: Served
    scenarios: dict[str, Played]

    def __str__(self) -> str:
        return f"{self.software} as recorded on {self.made} (seed {self.seed})"


def record(
    side: Side,
    scenarios: Sequence[Scenario],
    *,
    software: str,
    settings: Mapping[str, str],
    seed: str,
    at_once: int = 4,
) -> Recording:
    """Play the scenarios on a broker."""
    versions = askable(side.served, side.served)
    chosen = playable(scenarios, versions)
    played = play_all(chosen, {"l": side}, versions, seed, at_once=at_once)
    return Recording(
        software,
        datetime.now(UTC).date().isoformat(),
        seed,
        settings,
        side.served,
        {scenario.name: one["l"] for scenario, one in zip(chosen, played, strict=True)},
    )


def write(recording: Recording, path: Path) -> None:
    document = {
        "format": FORMAT,
        "software": recording.software,
        "made": recording.made,
        "seed": recording.seed,
        "settings": dict(recording.settings),
        "served": {key: [r.start, r.stop - 1] for key, r in sorted(recording.served.items())},
        "scenarios": {name: _packed(one) for name, one in recording.scenarios.items()},
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(text))


def read(path: Path) -> Recording:
    """RecordingError if the file is something else, OSError if there is none."""
    data = path.read_bytes()
    try:
        text = zstandard.ZstdDecompressor().decompress(data, max_output_size=UNPACKED_BYTES_MAX)
        document = json.loads(text)
        found = document["format"]
    except (zstandard.ZstdError, ValueError, KeyError, TypeError) as error:
        raise RecordingError(f"{path} is not a recording: {error}") from error
    if found != FORMAT:
        raise RecordingError(f"{path} is of format {found}, not {FORMAT}: record it again")
    return Recording(
        document["software"],
        document["made"],
        document["seed"],
        document["settings"],
        {int(key): range(first, last + 1) for key, (first, last) in document["served"].items()},
        {name: _unpacked(one) for name, one in document["scenarios"].items()},
    )


def _packed(played: Played) -> dict[str, Any]:
    names = asdict(played.names)
    del names["given"]
    steps = [[e.step, e.api, e.version, e.request, e.answer] for e in played.transcript]
    return {"names": names, "end": played.end, "steps": steps}


def _unpacked(document: Mapping[str, Any]) -> Played:
    transcript = [Entry(*step) for step in document["steps"]]
    return Played(Names(**document["names"]), transcript, document["end"])
