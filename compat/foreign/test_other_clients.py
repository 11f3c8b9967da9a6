"""Clients in other languages: records in each codec, and a group that goes on where it stopped."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compat.clients.records import CODECS
from compat.foreign.environments import GO_MODULE, EnvironmentMissing, go

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker

pytestmark = pytest.mark.full

NODE_PROGRAMS = Path(__file__).parent / "js"
TIMEOUT_S = 180


@pytest.mark.parametrize("client", ["kafkago", "sarama"])
def test_go(client: str, broker: Broker, unique: Callable[[str], str], tmp_path: Path) -> None:
    program = tmp_path / client
    subprocess.run([go(), "build", "-o", str(program), f"./{client}"], cwd=GO_MODULE, check=True)
    found = run([str(program)], broker.bootstrap, unique(client), tmp_path)
    # Both name no compression otherwise.
    counts = {
        "none" if codec in ("", "uncompressed") else codec: n for codec, n in found[0].items()
    }
    assert counts == dict.fromkeys(CODECS, 10)
    assert found[1] == {"gzip": 10}


def test_kafkajs(broker: Broker, unique: Callable[[str], str], tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        raise EnvironmentMissing("needs Node.js and npm, which are not on the path")
    shutil.copytree(NODE_PROGRAMS, tmp_path, dirs_exist_ok=True)
    subprocess.run(["npm", "ci", "--silent"], cwd=tmp_path, check=True)
    found = run(["node", "kafkajs.js"], broker.bootstrap, unique("kafkajs"), tmp_path)
    assert found == ({"none": 10, "gzip": 10}, {"gzip": 10})


def run(
    command: list[str], bootstrap: str, topic: str, folder: Path
) -> tuple[dict[str, int], dict[str, int]]:
    """Records by codec that the group read, before it was closed and after."""
    done = subprocess.run(
        [*command, bootstrap, topic],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout)
    return found["first"], found["second"]
