"""The commands at work, in this process, against a broker in another thread."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from kbroker.cli import main
from kbroker.testing import broker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbroker.testing import Kafka


@pytest.fixture(scope="module")
def served() -> Iterator[Kafka]:
    with broker(topics=("orders:3:retention.ms=100000",)) as kafka:
        yield kafka


class Terminal:
    """Runs commands as a person would, and reads what they print."""

    def __init__(
        self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, bootstrap: str
    ) -> None:
        self._capfd = capfd
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap)

    def run(self, *words: str, typed: str = "", status: int = 0) -> str:
        """Standard output, or standard error where the status is not 0."""
        read, write = os.pipe()
        os.write(write, typed.encode())
        os.close(write)
        with os.fdopen(read) as stdin:
            self._monkeypatch.setattr(sys, "stdin", stdin)
            assert main(list(words)) == status
        captured = self._capfd.readouterr()
        return captured.err if status else captured.out


@pytest.fixture
def terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, served: Kafka
) -> Terminal:
    return Terminal(capfd, monkeypatch, served.bootstrap)


def test_topics(terminal: Terminal) -> None:
    assert "orders" in terminal.run("topics", "list")
    out = terminal.run("topics", "create", "new", "--partitions", "2", "--config", "retention.ms=5")
    assert out == "Created new: 2 partitions, 1 replica each.\n"
    assert terminal.run("topics", "describe", "new") == (
        "new: 2 partitions\n"
        "  retention.ms=5\n"
        "PARTITION  LEADER  EPOCH  REPLICAS  ISR  START  END\n"
        "        0       1      0  1         1        0    0\n"
        "        1       1      0  1         1        0    0\n"
    )
    assert "already exists" in terminal.run("topics", "create", "new", status=1)
    assert terminal.run("topics", "delete", "new") == "Deleted new.\n"
    assert "There is no topic 'new'." in terminal.run("topics", "describe", "new", status=1)
    assert "There is no topic 'new'." in terminal.run("topics", "delete", "new", status=1)


def test_lines_go_through_a_topic(terminal: Terminal) -> None:
    terminal.run("topics", "create", "lines", "--partitions", "1")
    terminal.run("produce", "lines", typed="one\ntwo\nthree")
    assert terminal.run("consume", "lines", "--from-beginning", "--max", "3") == "one\ntwo\nthree\n"
    assert terminal.run("consume", "lines", "--offset", "1", "--max", "1") == "two\n"
    assert terminal.run("consume", "lines", "--offset", "-1", "--max", "1") == "three\n"
    assert terminal.run("consume", "lines", "--partition", "0", "--since", "0", "--max", "1") == (
        "one\n"
    )
    assert terminal.run("consume", "lines", "--timeout", "0") == ""


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_codecs(terminal: Terminal, codec: str) -> None:
    terminal.run("produce", f"codec-{codec}", "--compression", codec, typed="x" * 1000 + "\n")
    out = terminal.run("consume", f"codec-{codec}", "--from-beginning", "--max", "1")
    assert out == "x" * 1000 + "\n"


def test_keys_headers_and_nulls(terminal: Terminal) -> None:
    terminal.run(
        "produce",
        "keyed",
        "--key-separator",
        ":",
        "--header",
        "h=1",
        "--null",
        "NULL",
        typed="a:b\nc:NULL\n",
    )
    out = terminal.run(
        "consume", "keyed", "--from-beginning", "--max", "2", "--keys", "--headers", "--offsets"
    )
    assert out == "0:0\th=1\ta\tb\n0:1\th=1\tc\tnull\n"
    terminal.run("produce", "one.key", "--key", "k", typed="v\n")
    out = terminal.run(
        "consume", "one.key", "--from-beginning", "--max", "1", "--keys", "--separator", "="
    )
    assert out == "k=v\n"


def test_bytes_that_are_no_text_pass_unchanged(terminal: Terminal) -> None:
    terminal.run("produce", "raw", typed="caf\u00e9 \u2713\n")
    assert terminal.run("consume", "raw", "--from-beginning", "--max", "1") == "café ✓\n"


def test_a_group_goes_on_where_it_was(terminal: Terminal) -> None:
    terminal.run("topics", "create", "shared", "--partitions", "2")
    terminal.run("produce", "shared", "--partition", "0", typed="1\n2\n3\n")
    words = ("consume", "shared", "--group", "g", "--from-beginning")
    assert terminal.run(*words, "--max", "2") == "1\n2\n"
    assert terminal.run("groups", "list").splitlines()[1].split() == [
        "g",
        "Empty",
        "classic",
        "consumer",
    ]
    out = terminal.run("groups", "describe", "g")
    assert out.startswith("g: Empty, classic, 0 members\n")
    assert out.splitlines()[2].split() == ["shared", "0", "2", "3", "1", "-", "-"]
    assert terminal.run(*words, "--timeout", "0.1") == "3\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("consume", "nope"), "There is no topic 'nope'."),
        (("consume", "orders", "--partition", "9"), "orders has the partitions 0 to 2."),
        (("produce", "orders", "--partition", "9"), "orders has the partitions 0 to 2."),
        (("produce", "a b"), "INVALID_TOPIC_EXCEPTION"),
        (("consume", "orders", "--max", "1", "--timeout", "0"), "Only 0 of 1 records came"),
        (("groups", "describe", "nope"), "There is no group 'nope'."),
        (("topics", "create", "x", "--replicas", "3"), "INVALID_REPLICATION_FACTOR"),
        (("topics", "list", "--bootstrap", "127.0.0.1:1"), "No broker answers at 127.0.0.1:1"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    terminal: Terminal, words: tuple[str, ...], sentence: str
) -> None:
    error = terminal.run(*words, status=1)
    assert error.startswith("kbroker: ")
    assert sentence in error
    assert error.count("\n") == 1


def test_a_line_without_the_separator_is_named(terminal: Terminal) -> None:
    error = terminal.run("produce", "orders", "--key-separator", ":", typed="a:b\nc\n", status=1)
    assert "Line 2 has no ':' after a key." in error
