"""Clients in older releases, each in an environment of its own, see what they see on Apache Kafka.

Which is what they ought to see: none of these programs comes to an error there.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from compat.clients.records import CODECS
from compat.foreign.environments import virtualenv
from compat.foreign.older import story

if TYPE_CHECKING:
    from compat.brokers import Broker

PROGRAMS = Path(__file__).parent / "older"
CODEC_LIBRARIES = ("lz4", "python-snappy", "zstandard")
TIMEOUT_S = 300
EACH = 10  # records of a partition
SHOWN = {"partitions": 2, "groups": 1, "offsets": [[0, 2 * EACH], [1, 2 * EACH]], "deleted": [0]}


@dataclass(frozen=True, slots=True)
class Release:
    """A client's release, the Python it runs on, and its program with the arguments of it."""

    python: str
    requirements: tuple[str, ...]
    program: str
    arguments: tuple[str, ...] = ()
    created: Any = "created"
    shown: Any = None  # by its admin client, at last
    quick: bool = True  # and on a Python that kbroker runs on too


KAFKA_PYTHON_2_0 = ("kafka-python==2.0.2", *CODEC_LIBRARIES)
RELEASES = (
    # It does not know the newest brokers: it has to guess, or to be told.
    Release("3.11", KAFKA_PYTHON_2_0, "kafka_python", ("",), [0], SHOWN),
    Release("3.11", KAFKA_PYTHON_2_0, "kafka_python", ("2.5",), [0], SHOWN, quick=False),
    Release("3.11", ("kafka-python==2.2.15", *CODEC_LIBRARIES), "kafka_python", ("",), [0], SHOWN),
    Release(
        "3.11",
        ("aiokafka==0.8.1", "kafka-python==2.0.2", *CODEC_LIBRARIES),
        "aiokafka",
        (),
        [0],
        SHOWN,
    ),
    Release(
        "3.10",
        ("confluent-kafka==1.9.2",),
        "confluent",
        shown={"partitions": 2, "groups": 1},
        quick=False,
    ),
)


def name(release: Release) -> str:
    return " ".join((release.requirements[0], *filter(None, release.arguments)))


@pytest.mark.parametrize(
    "release",
    [
        pytest.param(one, marks=pytest.mark.ci if one.quick else pytest.mark.full)
        for one in RELEASES
    ],
    ids=name,
)
def test_an_older_client_works(release: Release, broker: Broker) -> None:
    python = virtualenv(release.python, *release.requirements)
    program = PROGRAMS / f"{release.program}_program.py"
    command = [str(python), str(program), broker.bootstrap, *release.arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout)
    expected = expectations(release)
    assert found.keys() == expected.keys()
    for step, outcome in expected.items():
        assert found[step] == outcome, f"{step}\n{done.stderr[-4000:]}"


def expectations(release: Release) -> dict[str, Any]:
    """What each step comes to."""
    offsets = [i // story.PARTITIONS for i in range(len(story.records()))]
    rows = sorted(
        story.row(partition, offset, key, value, headers, story.TIMESTAMP_MS + i)
        for i, ((partition, key, value, headers), offset) in enumerate(
            zip(story.records(), offsets, strict=True)
        )
    )
    wanted: dict[str, Any] = {}
    for codec in CODECS:
        wanted[f"create {codec}"] = release.created
        wanted[f"produce {codec}"] = offsets
        wanted[f"consume {codec}"] = rows
    partitions = range(story.PARTITIONS)
    wanted["create"] = release.created
    wanted["produce idempotently"] = offsets
    wanted["share"] = {
        "first": [[p, offset] for p in partitions for offset in range(EACH)],
        "more": [offset + EACH for offset in offsets],
        "third": [[p, offset] for p in partitions for offset in range(EACH, 2 * EACH)],
    }
    wanted["administer"] = release.shown
    return wanted
