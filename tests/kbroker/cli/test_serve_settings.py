"""Where `kbroker serve` has its settings from, and what it says of them."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TIMEOUT_S = 120
PORT = "--listen=127.0.0.1:0"
TYPO = {"KAFKA_LISTENRS": "PLAINTEXT://:9092"}


def served(
    folder: Path, words: list[str], variables: dict[str, str], *, port: Sequence[str] = (PORT,)
) -> tuple[str, str]:
    """Standard output and error of a broker that is stopped as soon as it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kbroker", "serve", *port, "--topic=t", *words],
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
    assert ("keys set by the environment: KAFKA_NUM_PARTITIONS" in errors) is (variable is not None)


def test_the_cluster_id_is_that_of_the_environment_while_the_directory_is_new(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    served(tmp_path, [f"--data={data}"], {"CLUSTER_ID": "4L6g3nShT-eMCtK--X86sw"})
    assert "cluster.id=4L6g3nShT-eMCtK--X86sw" in (data / "meta.properties").read_text()
    out, errors = served(tmp_path, [f"--data={data}"], {"CLUSTER_ID": "another"})
    assert out.startswith("ready: ")
    assert f"{data} belongs to cluster 4L6g3nShT-eMCtK--X86sw, not to cluster another" in errors


def test_what_is_set_without_effect_is_one_warning(tmp_path: Path) -> None:
    words = ["--set=zookeeper.connect=a:1", "--set=num.io.threads=3", "--set=super.users=User:a"]
    out, errors = served(tmp_path, words, {"KAFKA_BROKERS": "a:1", "KAFKA_OPTS": "x", **TYPO})
    assert out.startswith("ready: ")
    warnings = [line.partition("WARNING ")[2] for line in errors.splitlines() if "WARNING" in line]
    assert warnings == [
        "kbroker: ignoring environment variables that name no key: KAFKA_BROKERS, "
        "KAFKA_LISTENRS (did you mean KAFKA_LISTENERS?)",
        "kbroker.broker: these settings have no effect: keys that kbroker does not "
        "use: num.io.threads; "
        "keys of older Kafka releases: zookeeper.connect; keys of plugins: super.users",
    ]


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def listed(port: int) -> str:
    """The address that clients are told who dial that port."""
    words = ["cluster", "status", "--json", f"--bootstrap=127.0.0.1:{port}"]
    done = subprocess.run(
        [sys.executable, "-m", "kbroker", *words],
        stdout=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    (broker,) = json.loads(done.stdout)["brokers"]
    return f"{broker['host']}:{broker['port']}"


def test_it_listens_where_the_environment_says_that_it_is(tmp_path: Path) -> None:
    """The quickstart of the images: what is advertised is all there is."""
    inside, outside = free_ports(2)
    variables = {
        "KAFKA_ADVERTISED_LISTENERS": f"IN://kafka.invalid:{inside},OUT://localhost:{outside}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "IN:PLAINTEXT,OUT:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "IN",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "kbroker", "serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), **variables},
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == f"ready: 0.0.0.0:{inside},0.0.0.0:{outside}\n"
        assert listed(inside) == f"kafka.invalid:{inside}"
        assert listed(outside) == f"localhost:{outside}"
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT_S)


@pytest.mark.parametrize(
    ("words", "host"),
    [
        (["--listen=127.0.0.1:0"], "127.0.0.1"),
        (["--set=listeners=PLAINTEXT://127.0.0.1:0"], "127.0.0.1"),
        (["--set=listeners=PLAINTEXT://localhost:0"], "127.0.0.1"),
    ],
)
def test_what_says_where_to_listen_is_over_what_the_environment_advertises(
    tmp_path: Path, words: list[str], host: str
) -> None:
    (port,) = free_ports(1)
    variables = {"KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://kafka.invalid:{port}"}
    out, _ = served(tmp_path, words, variables, port=[])
    assert out.startswith(f"ready: {host}:")
    assert not out.endswith(f":{port}\n")


@pytest.mark.parametrize(
    "word", ["--set=advertised.listeners=PLAINTEXT://localhost:1", "--advertise=localhost:1"]
)
def test_where_something_else_is_advertised_nothing_is_derived(tmp_path: Path, word: str) -> None:
    """It would be IN, which has no protocol. The default's port may be taken on this machine."""
    variables = {"KAFKA_ADVERTISED_LISTENERS": "IN://kafka.invalid:1"}
    out, errors = served(tmp_path, [word], variables, port=[])
    assert out.startswith("ready: 127.0.0.1:9092") or "cannot listen on 127.0.0.1:9092" in errors


@pytest.mark.parametrize(
    ("words", "variables", "sentence"),
    [
        (
            ["--set=num.partitons=3"],
            {},
            "Invalid value 3 for configuration num.partitons: no Kafka has this key; "
            "did you mean num.partitions?",
        ),
        (
            ["--set=group.id=g"],
            {},
            "Invalid value g for configuration group.id: this key is for clients, and no broker "
            "uses it",
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
