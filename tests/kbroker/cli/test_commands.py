"""Records through the commands, against a broker in another thread; and what goes wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kbroker.commands.produce import LINE_BYTES_MAX, READ_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Terminal


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
    rows = [line.split() for line in terminal.run("groups", "list").splitlines()]
    assert ["g", "Empty", "classic", "consumer"] in rows
    out = terminal.run("groups", "describe", "g")
    assert out.startswith("g: Empty, classic, 0 members, lag 1\n")
    assert out.splitlines()[2].split() == ["shared", "0", "2", "3", "1", "-", "-", "-"]
    assert terminal.run(*words, "--timeout", "0.1") == "3\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("consume", "nope"), "There is no topic 'nope'."),
        (("consume", "orders", "--partition", "9"), "the partitions of orders are 0 to 2."),
        (("produce", "orders", "--partition", "9"), "the partitions of orders are 0 to 2."),
        (("produce", "a b"), "INVALID_TOPIC_EXCEPTION"),
        (("consume", "orders", "--max", "1", "--timeout", "0"), "Only 0 of 1 records arrived"),
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


@pytest.mark.parametrize(
    ("words", "good", "bad", "sentence"),
    [
        (("--key-separator", ":"), "a:b", "c", "Line 3 does not contain the key separator ':'."),
        (("--json",), '{"value": "v"}', "{", "Line 3 is not JSON: "),
        (("--json",), '{"value": "v"}', '{"key": "k"}', "Line 3 is not a record: "),
        (
            ("--json",),
            '{"value": "v"}',
            '{"value": "v", "partition": 9}',
            "Line 3: there is no partition 9. ",
        ),
        (
            (),
            "v",
            "x" * (LINE_BYTES_MAX + READ_BYTES),
            f"Line 3 is longer than {LINE_BYTES_MAX} bytes.",
        ),
    ],
)
def test_what_stands_before_a_line_that_is_no_record_is_sent(
    terminal: Terminal, words: tuple[str, ...], good: str, bad: str, sentence: str, tmp_path: Path
) -> None:
    (file := tmp_path / "lines").write_text(f"{good}\n{good}\n{bad}\n{good}\n")
    topic = f"before-{tmp_path.name}"
    error = terminal.run("produce", topic, "--file", str(file), *words, status=1)
    assert error.startswith(f"kbroker: {sentence}")
    assert error.endswith(" Before that, 2 records were sent.\n")
    out = terminal.run("consume", topic, "--from-beginning", "--until-end")
    assert out.count("\n") == 2


def test_what_was_read_before_reading_fails_is_sent(terminal: Terminal, tmp_path: Path) -> None:
    error = terminal.run("produce", "unread", "--file", str(tmp_path), status=1)
    assert (
        error == f"kbroker: --file {tmp_path}: Is a directory. Before that, 0 records were sent.\n"
    )


def test_records_of_other_partitions_are_sent_where_one_is_refused(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.run("topics", "create", "refusing:2:max.message.bytes=70000")
    lines = [(0, "first"), (1, "x" * 80_000), (0, "y" * 60_000), (0, "z" * 60_000), (1, "last")]
    text = "".join(json.dumps({"value": v, "partition": p}) + "\n" for p, v in lines)
    (file := tmp_path / "lines").write_text(text)
    error = terminal.run("produce", "refusing", "--json", "--file", str(file), status=1)
    assert error.startswith("kbroker: Partition refusing-1 rejected the records: ")
    words = ("consume", "refusing", "--from-beginning", "--until-end", "--partition")
    assert [len(line) for line in terminal.run(*words, "0").split()] == [5, 60_000, 60_000]
    assert terminal.run(*words, "1") == ""


def test_until_the_end_a_time_and_between_times(terminal: Terminal) -> None:
    terminal.run("topics", "create", "times:2")
    for hour in range(4):
        time = f"2024-01-01T0{hour}:00:00Z"
        for partition in ("0", "1"):
            terminal.run(
                "produce", "times", "--timestamp", time, "--partition", partition, typed=f"{hour}\n"
            )
    words = ("consume", "times", "--from-beginning")
    assert sorted(terminal.run(*words, "--until-end").split()) == list("00112233")
    assert sorted(terminal.run(*words, "--until", "2024-01-01T02:00:00Z").split()) == list("0011")
    between = ("--since", "2024-01-01T01:00:00Z", "--until", "2024-01-01T03:00:00Z")
    assert sorted(terminal.run("consume", "times", *between).split()) == list("1122")
    assert terminal.run("consume", "times", "--until-end") == ""
    assert terminal.run("consume", "times", "--until-end", "--max", "5") == ""
    assert terminal.run("consume", "times", "--offset", "earliest", "--max", "1") == "0\n"
    assert (
        terminal.run(
            *words, "--partition", "1", "--until-end", "--isolation-level", "read_uncommitted"
        )
        == "0\n1\n2\n3\n"
    )


def test_a_group_reads_until_the_end_and_commits(terminal: Terminal) -> None:
    terminal.run("topics", "create", "ended:3")
    terminal.run("produce", "ended", typed="1\n2\n3\n")
    words = ("consume", "ended", "--group", "ending", "--from-beginning", "--until-end")
    assert sorted(terminal.run(*words).split()) == ["1", "2", "3"]
    assert terminal.run(*words) == ""
    (group,) = terminal.run_json("groups", "describe", "ending")
    assert group["lag"] == 0


def test_json_lines_go_back_unchanged(terminal: Terminal, tmp_path: Path) -> None:
    terminal.run("topics", "create", "first:3")
    terminal.run("topics", "create", "second:3")
    raw = bytes(range(256)).replace(b"\n", b"").replace(b"\r", b"")
    terminal.run("produce", "first", typed=raw + b"\n" + "schön ✓\n".encode())
    terminal.run(
        "produce",
        "first",
        "--key-separator",
        ":",
        "--null",
        "-",
        "--header",
        "a=1",
        "--header",
        "b=",
        "--timestamp",
        "1700000000000",
        "--compression",
        "gzip",
        typed="k:v\nk:-\n-:\n",
    )
    given = {"value": {"base64": "/w=="}, "headers": {"x": None, "y": {"base64": "/w=="}}}
    terminal.run("produce", "first", "--json", typed=json.dumps(given) + "\n")
    lines = terminal.run("consume", "first", "--from-beginning", "--until-end", "--json")
    records = [json.loads(line) for line in lines.splitlines()]
    assert len(records) == 6
    assert {"base64": "/w=="} in [record["value"] for record in records]
    assert [["x", None], ["y", {"base64": "/w=="}]] in [record["headers"] for record in records]
    assert [r["timestamp"] for r in records if r["key"] == "k"] == [1_700_000_000_000] * 2
    file = tmp_path / "records"
    file.write_text(lines)
    terminal.run("produce", "second", "--json", "--file", str(file))
    again = terminal.run("consume", "second", "--from-beginning", "--until-end", "--json")
    assert sorted(again.replace('"topic":"second"', '"topic":"first"').splitlines()) == sorted(
        lines.splitlines()
    )


def test_json_lines_may_choose_partitions_anew(terminal: Terminal) -> None:
    terminal.run("topics", "create", "narrow:1")
    line = '{"value": "v", "partition": 5}\n'
    error = terminal.run("produce", "narrow", "--json", typed=line, status=1)
    assert "Line 1: there is no partition 5. The partitions of narrow are 0 to 0." in error
    terminal.run("produce", "narrow", "--json", "--repartition", "--key", "k", typed=line)
    out = terminal.run("consume", "narrow", "--from-beginning", "--until-end", "--verbose")
    assert out.split("\t")[1:] == ["0:0", "-", "k", "v\n"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("x", "Line 1 is not JSON"),
        ("[]", 'Line 1 is not a record: it must be an object with a "value".'),
        ('{"key": "k"}', 'Line 1 is not a record: it must be an object with a "value".'),
        ('{"value": 1}', 'Line 1: value must be a string, null or {"base64": "..."}.'),
        ('{"value": {"base64": "x"}}', "Line 1: value is not valid base64"),
        ('{"value": "\\ud800"}', "Line 1: value contains half of a surrogate pair."),
        ('{"value": null, "headers": [["a"]]}', "Line 1: each header must be [name, value]."),
        ('{"value": null, "headers": 1}', "Line 1: headers must be"),
        ('{"value": null, "timestamp": -1}', "Line 1: timestamp must be a whole number"),
        ('{"value": null, "partition": true}', "Line 1: partition must be a whole number"),
    ],
)
def test_lines_that_are_no_records(terminal: Terminal, line: str, sentence: str) -> None:
    assert sentence in terminal.run("produce", "orders", "--json", typed=line + "\n", status=1)


def test_without_idempotence(terminal: Terminal) -> None:
    terminal.run("produce", "plain", "--no-idempotence", "--acks", "all", typed="x\n")
    assert terminal.run("consume", "plain", "--from-beginning", "--until-end") == "x\n"


def test_lines_longer_than_a_read(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    lines = ["x" * 300_000, "", "y", "z" * 262_144]
    file.write_text("\n".join(lines))
    terminal.run("produce", "long", "--file", str(file), "--partition", "0")
    out = terminal.run("consume", "long", "--from-beginning", "--until-end")
    assert out.split("\n") == [*lines, ""]
