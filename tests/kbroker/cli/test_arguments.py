"""The forms of arguments, and the one sentence of each mistake."""

from __future__ import annotations

import argparse

import pytest

from kbroker.cli import COMMANDS, main
from kbroker.commands import serve
from kbroker.commands.arguments import (
    PartitionsArgument,
    TopicArgument,
    UserError,
    address_text,
    parse_address,
    parse_partitions,
    parse_topic,
)
from kbroker.commands.times import parse_duration_ms, parse_time_ms, time_text

DIGITS = "9" * 5000  # more than int() takes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("orders", TopicArgument("orders", None, {})),
        ("orders:3", TopicArgument("orders", 3, {})),
        ("orders::a=b", TopicArgument("orders", None, {"a": "b"})),
        ("orders:3:a=b,c=d", TopicArgument("orders", 3, {"a": "b", "c": "d"})),
        (
            "orders:1:cleanup.policy=compact,delete,x=y=z",
            TopicArgument("orders", 1, {"cleanup.policy": "compact,delete", "x": "y=z"}),
        ),
    ],
)
def test_topics(text: str, expected: TopicArgument) -> None:
    assert parse_topic(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "--topic : a topic needs a name"),
        (":3", "--topic :3: a topic needs a name"),
        ("a:x", "'x' is no number of partitions"),
        ("a:0", "'0' is no number of partitions"),
        ("a:2147483648", "'2147483648' is no number of partitions"),
        (f"a:{DIGITS}", "is no number of partitions"),
        ("a:1:compact", "'compact' is not of the form KEY=VALUE"),
        ("a:1:=x", "'=x' is not of the form KEY=VALUE"),
    ],
)
def test_topics_that_cannot_be(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as raised:
        parse_topic(text)
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9092", "127.0.0.1", 9092),
        ("[::1]:0", "::1", 0),
        (":9092", "", 9092),
        ("kafka.example:65535", "kafka.example", 65535),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_address(text, "--listen") == (host, port)
    assert address_text(host, port) == text


@pytest.mark.parametrize(
    "text", ["", "a", "a:", "a:x", "a:65536", "a:-1", "::1:9092", f"a:{DIGITS}"]
)
def test_addresses_that_cannot_be(text: str) -> None:
    with pytest.raises(UserError, match="--listen"):
        parse_address(text, "--listen")


def serve_keys(*words: str) -> dict[str, str]:
    """What `kbroker serve` makes of its options, as the broker's static configuration."""
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    settings = serve._settings(parser.parse_args(words))
    return settings.config.static


def test_serve_listens_on_loopback_unless_told() -> None:
    assert serve_keys()["listeners"] == "PLAINTEXT://127.0.0.1:9092"
    assert serve_keys("--listen", "[::1]:0")["listeners"] == "PLAINTEXT://[::1]:0"
    assert serve_keys("--set", "listeners=PLAINTEXT://:1")["listeners"] == "PLAINTEXT://:1"


def test_serve_reads_the_file_then_set_then_its_own_options(tmp_path: object) -> None:
    path = f"{tmp_path}/server.properties"
    with open(path, "w") as file:
        file.write("listeners=PLAINTEXT://:1\nnum.partitions=2\nlog.retention.hours=5\n")
    keys = serve_keys(
        "--config", path, "--set", "num.partitions=3", "--listen", "h:2", "--data", "/d"
    )
    assert keys["listeners"] == "PLAINTEXT://h:2"
    assert keys["num.partitions"] == "3"
    assert keys["log.retention.hours"] == "5"
    assert keys["log.dirs"] == "/d"


def test_advertise() -> None:
    assert "advertised.listeners" not in serve_keys()
    assert serve_keys("--advertise", "a:1")["advertised.listeners"] == "PLAINTEXT://a:1"
    keys = serve_keys("--set", "advertised.listeners=PLAINTEXT://a:1", "--advertise", "auto")
    assert "advertised.listeners" not in keys


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "A command is missing: one of serve, run,"),
        (["foo"], "There is no command 'foo'"),
        (["serve", "--foo"], "Unrecognized arguments: --foo"),
        (["serve", "--lis", "a:1"], "Unrecognized arguments: --lis a:1"),
        (["serve", "--listen"], "Argument --listen: expected one argument"),
        (["serve", "--listen", "a"], "--listen a: it must be HOST:PORT."),
        (["serve", "--set", "x"], "--set x: it must be KEY=VALUE."),
        (
            ["serve", "--set", "num.partitions=x"],
            "Invalid value x for configuration num.partitions",
        ),
        (["serve", "--config", "/nope"], "Cannot read /nope: No such file or directory."),
        (["serve", "--topic", "a:b"], "'b' is no number of partitions."),
        (["serve", "--set", "listeners=SSL://:1"], "The listener SSL asks for SSL"),
        (["run"], "A command to run is missing"),
        (["run", "--"], "A command to run is missing"),
        (["topics"], "The following arguments are required: ACTION"),
        (
            ["topics", "create", "t", "--partitions", "0"],
            "Argument --partitions: 0: it must be 1 or more",
        ),
        (["topics", "create", "t", "--config", "x"], "--config x: it must be KEY=VALUE."),
        (["topics", "list", "--bootstrap", "x"], "--bootstrap x: it must be HOST:PORT."),
        (["produce"], "The following arguments are required: TOPIC"),
        (["produce", "t", "--key", "a", "--key-separator", ":"], "exclude each other"),
        (["produce", "t", "--acks", "2"], "Argument --acks: invalid choice: '2'"),
        (["consume", "t", "--max", "0"], "Argument --max/--max-messages: 0: it must be 1 or more"),
        (
            ["consume", "t", "--timeout", "-1"],
            "Argument --timeout: -1: it must be a number of seconds",
        ),
        (["consume", "t", "--group", "g", "--offset", "1"], "--offset and --partition go with no"),
        (["consume", "t", "--since", "x"], "--since x: it must be a time"),
        (["consume", "t", "--offset", "x"], "--offset x: it must be a number, earliest or latest."),
        (["consume", "t", "--until", "x"], "--until x: it must be a time"),
        (["consume", "t", "--until", "1", "--until-end"], "not allowed with argument --until"),
        (["produce", "t", "--repartition"], "--repartition goes with --json."),
        (["produce", "t", "--json", "--null", "x"], "--key-separator and --null go with no --json"),
        (["produce", "t", "--file", "/nope"], "--file /nope: No such file or directory."),
        (["produce", "t", "--partition", "-1"], "-1: it must be 0 or more"),
        (["produce", "t", "--timestamp", "x"], "--timestamp x: it must be a time"),
        (["topics", "offsets", "t:x"], "'x' is no partition, nor a range as 2-4."),
        (["topics", "offsets", "t:4-2"], "'4-2' is no partition, nor a range as 2-4."),
        (["topics", "offsets", f"t:0-{DIGITS}"], "is no partition, nor a range as 2-4."),
        (["topics", "offsets", ":1"], "it must be TOPIC or TOPIC:PARTITIONS"),
        (["topics", "delete-records", "--all"], "The topics are missing"),
        (["topics", "delete-records", "t"], "One of the arguments --before-offset"),
        (["topics", "delete-records", "--offset-json-file", "/nope"], "No such file or directory."),
        (["topics", "alter", "t"], "required: --partitions"),
        (["configs", "describe"], "One of the arguments --topic --broker"),
        (["configs", "describe", "--broker", "x"], "--broker x: it must be a broker's id."),
        (["configs", "set", "--topic", "t", "x"], "set x: it must be KEY=VALUE."),
        (["configs", "unset", "--topic", "t", "x=1"], "unset x=1: it takes a key without a value."),
        (["groups", "list", "--state", "full"], "--state full: it must be one of Assigning, "),
        (["groups", "list", "--type", "old"], "--type old: it must be one of classic, consumer, "),
        (["groups", "describe"], "Name the groups, or give --all-groups."),
        (["groups", "describe", "g", "--watch", "0"], "--watch 0.0: it must be 0.1 or more."),
        (["groups", "reset-offsets", "g", "--topic", "t"], "One of the arguments --to-earliest"),
        (["groups", "reset-offsets", "g", "--to-latest"], "or --all-topics is missing."),
        (["groups", "reset-offsets", "--to-latest"], "either groups or --all-groups."),
        (
            ["groups", "reset-offsets", "g", "--all-topics", "--by-duration", "soon"],
            "--by-duration soon: it must be a duration, as 10m or P1DT2H.",
        ),
        (["groups", "reset-offsets", "g", "--from-file", "/nope"], "No such file or directory."),
        (["log-dirs", "move", "t", "--broker", "1", "--to", "x"], "it must be an absolute path."),
        (["cluster", "elect-leaders", "--type", "preferred"], "either partitions or --all."),
        (["cluster", "features", "upgrade", "x=y"], "x=y: 'y' is no level."),
        (["cluster", "features", "upgrade", f"x={DIGITS}"], "is no level."),
        (["cluster", "features", "upgrade", f"metadata.version={DIGITS}"], "is no level."),
        (["serve", "--set", f"log.retention.ms={DIGITS}"], "Not a number of type LONG"),
        (["dump", "/nope"], "/nope: No such file or directory."),
        (["dump", "/etc/passwd"], "/etc/passwd: by its name this is no file of Kafka's."),
        (["dump", "/usr"], "/usr: there is no file of Kafka's in it."),
    ],
)
def test_a_mistake_is_one_sentence_and_status_1(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("kbroker: ")
    assert sentence in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"kbroker {command}" in capsys.readouterr().out


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for command in COMMANDS:
        assert command in out


NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1700000000000", 1_700_000_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000_000),
        ("now", NOW_MS),
        ("10m", NOW_MS - 600_000),
        ("1.5h", NOW_MS - 5_400_000),
        ("250ms", NOW_MS - 250),
        ("2d", NOW_MS - 172_800_000),
        ("PT10M", NOW_MS - 600_000),
        ("P1DT2H3M4.5S", NOW_MS - 93_784_500),
        ("-PT1S", NOW_MS + 1000),
    ],
)
def test_times(text: str, expected: int) -> None:
    assert parse_time_ms(text, "--since", NOW_MS) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("yesterday", "it must be a time as"),
        ("9" * 400 + "d", "it must be a time as"),
        ("9223372036854775808", "it must be at most 9223372036854775807 ms after 1970"),
        ("-P99999999999999D", "it must be at most"),
        ("3000w", "it must not be before 1970"),
        ("1969-12-31T00:00:00Z", "it must not be before 1970"),
    ],
)
def test_times_that_cannot_be(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_time_ms(text, "--since", NOW_MS)


@pytest.mark.parametrize(
    "text", ["", "10", "10x", "P", "PT", "P1", "1h30m", "-10m", "9" * 400 + "d"]
)
def test_durations_that_cannot_be(text: str) -> None:
    with pytest.raises(UserError, match="it must be a duration"):
        parse_duration_ms(text, "--by-duration")


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        ((1 << 63) - 1, "9223372036854775807"),
    ],
)
def test_times_as_text(timestamp: int, text: str) -> None:
    assert time_text(timestamp) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t", PartitionsArgument("t", None)),
        ("t:3", PartitionsArgument("t", (3,))),
        ("t:0,2-4,2", PartitionsArgument("t", (0, 2, 3, 4))),
    ],
)
def test_partitions(text: str, expected: PartitionsArgument) -> None:
    assert parse_partitions(text, "--topic") == expected
