"""Where `kbroker serve` has its settings from, and what it says of them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 120
PORT = "--listen=127.0.0.1:0"


def served(folder: Path, words: list[str], variables: dict[str, str]) -> tuple[str, str]:
    """Standard output and error of a broker that is stopped as soon as it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kbroker", "serve", PORT, "--topic=t", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), **variables},
    )
    assert process.stdout is not None
    try:
        ready = process.stdout.readline()
        process.terminate()
        out, errors = process.communicate(timeout=TIMEOUT_S)
        return ready + out, errors
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("file", "variable", "words", "partitions"),
    [
        ("num.partitions=2", None, [], 2),
        ("num.partitions=2", "3", [], 3),
        ("num.partitions=2", "3", ["--set=num.partitions=4"], 4),
        ("", "3", [], 3),
    ],
)
def test_the_environment_is_over_the_file_and_under_the_options(
    tmp_path: Path, file: str, variable: str | None, words: list[str], partitions: int
) -> None:
    config, data = tmp_path / "server.properties", tmp_path / "data"
    config.write_bytes(f"# caf\xe9\r\n{file}\r\n".encode("latin-1"))
    variables = {} if variable is None else {"KAFKA_NUM_PARTITIONS": variable}
    out, errors = served(tmp_path, [f"--config={config}", f"--data={data}", *words], variables)
    assert out.startswith("ready: ")
    assert len(list(data.glob("t-*"))) == partitions
    assert ("set by the environment: KAFKA_NUM_PARTITIONS" in errors) is (variable is not None)


def test_the_cluster_id_is_that_of_the_environment_while_the_directory_is_new(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    served(tmp_path, [f"--data={data}"], {"CLUSTER_ID": "4L6g3nShT-eMCtK--X86sw"})
    assert "cluster.id=4L6g3nShT-eMCtK--X86sw" in (data / "meta.properties").read_text()
    out, errors = served(tmp_path, [f"--data={data}"], {"CLUSTER_ID": "another"})
    assert out.startswith("ready: ")
    assert f"{data} is of cluster 4L6g3nShT-eMCtK--X86sw, and not of another" in errors


def test_what_is_set_without_effect_is_one_warning(tmp_path: Path) -> None:
    words = ["--set=zookeeper.connect=a:1", "--set=num.io.threads=3", "--set=super.users=User:a"]
    out, errors = served(tmp_path, words, {"KAFKA_BROKERS": "a:1", "KAFKA_OPTS": "x"})
    assert out.startswith("ready: ")
    warnings = [line.partition("WARNING ")[2] for line in errors.splitlines() if "WARNING" in line]
    assert warnings == [
        "kbroker: environment variables that name no key are ignored: KAFKA_BROKERS",
        "kbroker.broker: set without effect: keys that are not used here: num.io.threads; "
        "keys of older Kafkas: zookeeper.connect; keys of plugins: super.users",
    ]


@pytest.mark.parametrize(
    ("words", "variables", "sentence"),
    [
        (
            ["--set=num.partitons=3"],
            {},
            "Invalid value 3 for configuration num.partitons: no Kafka knows this key; "
            "did you mean num.partitions?",
        ),
        (
            [],
            {"KAFKA_NUM_PARTITONS": "3"},
            "KAFKA_NUM_PARTITONS=3: no Kafka knows the key num.partitons; "
            "did you mean KAFKA_NUM_PARTITIONS?",
        ),
        (
            [],
            {"KAFKA_NUM_PARTITIONS": "x"},
            "Invalid value x for configuration num.partitions: Not a number of type INT",
        ),
    ],
)
def test_a_mistake_ends_the_start_with_a_sentence(
    tmp_path: Path, words: list[str], variables: dict[str, str], sentence: str
) -> None:
    out, errors = served(tmp_path, words, variables)
    assert out == ""
    assert errors.splitlines()[-1] == f"kbroker: {sentence}"
