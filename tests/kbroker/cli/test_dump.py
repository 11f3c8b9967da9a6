"""`kbroker dump`, on the files of a broker that has stopped, whole and damaged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kbroker.cli import main
from kbroker.testing import broker

from .conftest import Terminal

if TYPE_CHECKING:
    from pathlib import Path

LOG = "00000000000000000000.log"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a broker with records of several kinds."""
    folder = tmp_path_factory.mktemp("dumped") / "data"
    settings = {"log.index.interval.bytes": "100", "log.dirs": str(folder)}
    old = "t:1:retention.ms=-1,segment.ms=9223372036854775807"  # its first record is old
    with broker(topics=(old, "packed:1"), settings=settings) as kafka:
        at = ("--bootstrap", kafka.bootstrap)
        lines = folder.parent / "lines"
        lines.write_bytes(b"k1:v1\nk2:-\nk3:\xff\n")
        words = ("--key-separator", ":", "--null", "-", "--header", "h=1", "--file", str(lines))
        assert main(["produce", "t", *words, "--timestamp", "1700000000000", *at]) == 0
        lines.write_text("".join(f"{number}\n" for number in range(2000)))
        assert main(["produce", "packed", "--compression", "zstd", "--file", str(lines), *at]) == 0
        assert main(["produce", "t", "--acks", "1", "--file", str(lines), *at]) == 0
        reset = ("groups", "reset-offsets", "g", "--topic", "t", "--to-latest", "--execute")
        assert main([*reset, *at]) == 0
    return folder


@pytest.fixture
def shell(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """No broker is there."""
    capfd.readouterr()
    return Terminal(capfd, monkeypatch, "127.0.0.1:1")


def rows(shell: Terminal, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shell.run("dump", "--json", *words).splitlines()]


def test_batches_and_records(shell: Terminal, data: Path) -> None:
    found = rows(shell, "--records", "--max", "1", str(data / "t-0" / LOG))
    batch, *records = found
    assert (batch["kind"], batch["base_offset"], batch["last_offset"]) == ("batch", 0, 2)
    assert (batch["position"], batch["valid"], batch["compression"]) == (0, True, "none")
    assert batch["producer_id"] >= 0
    assert batch["max_timestamp"] == 1_700_000_000_000
    assert [(r["offset"], r["key"], r["value"], r["sequence"]) for r in records] == [
        (0, "k1", "v1", 0),
        (1, "k2", None, 1),
        (2, "k3", {"base64": "/w=="}, 2),
    ]
    assert records[0]["headers"] == [["h", "1"]]
    later = rows(shell, "--offset", "3", str(data / "t-0" / LOG))
    assert later[0]["base_offset"] == 3
    assert later[-1]["last_offset"] == 2002
    out = shell.run("dump", "--records", "--max", "1", str(data / "t-0" / LOG))
    assert out.splitlines()[0].split()[:3] == ["BASE", "LAST", "POSITION"]
    assert '  1  2023-11-14T22:13:20.000Z  key "k2"  value null  headers [["h","1"]]' in out


def test_a_directory_with_every_kind_of_file(shell: Terminal, data: Path) -> None:
    kinds = {row["kind"] for row in rows(shell, str(data / "t-0"))}
    assert kinds >= {"batch", "offset_index", "time_index", "producer", "leader_epoch", "property"}
    by_file = rows(shell, str(data))
    assert {"checkpoint", "property", "batch"} <= {row["kind"] for row in by_file}
    out = shell.run("dump", str(data))
    assert "cluster.id" in out
    assert "TOPIC" in out
    packed = rows(shell, str(data / "packed-0" / LOG))
    assert {row["compression"] for row in packed} == {"zstd"}


def test_kafkas_own_records_are_decoded(shell: Terminal, data: Path) -> None:
    logs = [str(path) for path in sorted(data.glob("__consumer_offsets-*"))]
    found = [row for row in rows(shell, "--records", *logs) if row["kind"] == "record"]
    commit = next(row for row in found if row["key"]["type"] == 1)
    assert commit["key"]["data"] == {"group": "g", "topic": "t", "partition": 0}
    assert commit["value"]["data"]["offset"] == 2003
    metadata = rows(shell, "--records", str(data / "__cluster_metadata-0"))
    records = [row for row in metadata if row["kind"] == "record"]
    assert records[0]["key"] == "LEADER_CHANGE"
    assert records[0]["value"]["leaderId"] == 1
    named = [
        r["value"]["data"]["name"] for r in records[1:] if r["value"]["type"] == "TOPIC_RECORD"
    ]
    assert {"t", "packed"} <= set(named)
    assert not any(row["undecoded"] for row in records)
    raw = rows(shell, "--records", "--decoder", "none", str(data / "__cluster_metadata-0" / LOG))
    assert any(isinstance(row.get("value"), dict) and "base64" in row["value"] for row in raw)


def test_whole_files_verify(shell: Terminal, data: Path) -> None:
    directories = [str(path) for path in sorted(data.iterdir()) if path.is_dir()]
    out = shell.run("dump", "--verify", *directories, str(data))
    assert f"{data}/t-0/{LOG}: " in out
    assert "2003 records checked" in out


def damaged(data: Path, into: Path, at: int, change: bytes) -> str:
    """A copy of a log and its indexes with some bytes of the log changed; its path."""
    for file in (data / "t-0").glob("0*"):
        (into / file.name).write_bytes(file.read_bytes())
    log = bytearray((into / LOG).read_bytes())
    log[at : at + len(change)] = change
    (into / LOG).write_bytes(log)
    return str(into / LOG)


@pytest.mark.parametrize(
    ("at", "change", "kind", "sentence"),
    [
        (61, b"\x77", "batch", "record batch is corrupt (stored crc = "),
        (16, b"\x05", "damage", "invalid magic in a record batch: 5"),
        (8, b"\x7f\xff\xff\xff", "damage", "the batch has 2147483659 bytes, but only "),
        (8, b"\x00\x00\x00\x01", "damage", "record batch size 13 is smaller than"),
        # The base offset is outside of the CRC: what tells is that the next batch lies before it.
        (0, b"\x00" * 7 + b"\x09", "batch", "the previous batch ends at offset 11"),
    ],
)
def test_damage_is_named(
    shell: Terminal,
    capfd: pytest.CaptureFixture[str],
    data: Path,
    tmp_path: Path,
    at: int,
    change: bytes,
    kind: str,
    sentence: str,
) -> None:
    log = damaged(data, tmp_path, at, change)
    (first, *_) = rows(shell, log)
    assert first["kind"] == kind
    assert main(["dump", "--verify", log]) == 1
    out = capfd.readouterr()
    assert sentence in out.out
    assert "problem in 1 file." in out.err


def test_a_cut_off_tail_and_room_that_was_set_aside(
    shell: Terminal, data: Path, tmp_path: Path
) -> None:
    log = damaged(data, tmp_path, 0, b"")
    whole = (tmp_path / LOG).read_bytes()
    (tmp_path / LOG).write_bytes(whole[:-5])
    assert rows(shell, log)[-1]["reason"].startswith("the batch has ")
    (tmp_path / LOG).write_bytes(whole + b"\1\2\3")
    assert rows(shell, log)[-1]["reason"] == "there are 3 extra bytes after the last batch"
    (tmp_path / LOG).write_bytes(whole + bytes(1000))
    assert rows(shell, log)[-1]["reason"] == "there are 1000 bytes of zeros"
    shell.run("dump", "--verify", log)  # which is nothing wrong


@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
def test_an_index_that_points_elsewhere(
    shell: Terminal, data: Path, tmp_path: Path, suffix: str
) -> None:
    damaged(data, tmp_path, 0, b"")
    index = tmp_path / LOG.replace(".log", suffix)
    content = bytearray(index.read_bytes())
    assert content
    shell.run("dump", "--verify", str(index))
    content[7] ^= 1
    index.write_bytes(content)
    error = shell.run("dump", "--verify", str(index), status=1)
    assert "problem in 1 file." in error
    index.write_bytes(content[:-1])
    assert "bytes after the last entry" in shell.run("dump", str(index), status=1)


def test_files_that_break_their_format(shell: Terminal, tmp_path: Path) -> None:
    for name, content, sentence in (
        ("leader-epoch-checkpoint", b"0\n2\n0 0\n", "expected 2 entries in a checkpoint, found 1"),
        ("recovery-point-offset-checkpoint", b"7\n", "the checkpoint has version 7"),
        ("00000000000000000005.snapshot", b"\0\1", "a producer snapshot of 2 bytes is too short"),
        ("00000000000000000005.txnindex", b"\0", "the size 1 is not a multiple of 34"),
        ("quorum-state", b"{", "not JSON"),
        ("meta.properties", b"\xff", "the file is not text"),
    ):
        file = tmp_path / name
        file.write_bytes(content)
        assert sentence in shell.run("dump", str(file), status=1)
        file.unlink()


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--records", "damaged/leader-epoch-checkpoint: the file is not UTF-8 text."),
        ("--verify", "Found 1 problem in 2 files."),
    ],
)
def test_a_file_that_cannot_be_shown_costs_the_others_nothing(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, option: str, sentence: str
) -> None:
    good, damaged, missing = (tmp_path / name for name in ("good", "damaged", "missing"))
    for folder, text in ((good, b"0\n1\n0 5\n"), (damaged, b"\xff\n")):
        folder.mkdir()
        (folder / "leader-epoch-checkpoint").write_bytes(text)
    paths = [str(folder) for folder in (missing, damaged, good)]
    assert main(["dump", "--json", option, *paths]) == 1
    out, error = capfd.readouterr()
    assert error.startswith(f"kbroker: {missing}: No such file or directory. ")
    assert sentence in error
    assert error.count("\n") == 1
    last = json.loads(out.splitlines()[-1])
    assert last["file"] == str(good / "leader-epoch-checkpoint")
