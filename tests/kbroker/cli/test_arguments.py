"""The forms of arguments, and the one sentence of each mistake."""

from __future__ import annotations

import argparse

import pytest

from kbroker.cli import COMMANDS, main
from kbroker.commands import serve
from kbroker.commands.shared.arguments import (
    PartitionsArgument,
    TopicArgument,
    UserError,
    address_text,
    parse_address,
    parse_partitions,
    parse_topic,
)
from kbroker.commands.shared.times import parse_duration_ms, parse_time_ms, time_text

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
        ("", "--topic : the topic name is missing"),
        (":3", "--topic :3: the topic name is missing"),
        ("a:x", "'x' is not a valid number of partitions"),
        ("a:0", "'0' is not a valid number of partitions"),
        ("a:2147483648", "'2147483648' is not a valid number of partitions"),
        (f"a:{DIGITS}", "is not a valid number of partitions"),
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
        ([], "No command was given. The commands are: serve, run,"),
        (["foo"], "Unknown command 'foo'"),
        (["serve", "--foo"], "Unrecognized arguments: --foo"),
        (["serve", "--lis", "a:1"], "Unrecognized arguments: --lis a:1"),
        (["serve", "--listen"], "Argument --listen: expected one argument"),
        (["serve", "--listen", "a"], "--listen a: expected HOST:PORT."),
        (["serve", "--set", "x"], "--set x: expected KEY=VALUE."),
        (
            ["serve", "--set", "num.partitions=x"],
            "Invalid value x for configuration num.partitions",
        ),
        (["serve", "--config", "/nope"], "Cannot read /nope: No such file or directory."),
        (["serve", "--topic", "a:b"], "'b' is not a valid number of partitions."),
        (["serve", "--set", "listeners=SSL://:1"], "Listener SSL uses SSL"),
        (["run"], "No command was given"),
        (["run", "--"], "No command was given"),
        (["topics"], "The following arguments are required: ACTION"),
        (
            ["topics", "create", "t", "--partitions", "0"],
            "Argument --partitions: 0 is too small: the minimum is 1",
        ),
        (["topics", "create", "t", "--config", "x"], "--config x: expected KEY=VALUE."),
        (["topics", "list", "--bootstrap", "x"], "--bootstrap x: expected HOST:PORT."),
        (["produce"], "The following arguments are required: TOPIC"),
        (["produce", "t", "--key", "a", "--key-separator", ":"], "cannot be combined"),
        (["produce", "t", "--acks", "2"], "Argument --acks: invalid choice: '2'"),
        (
            ["consume", "t", "--max", "0"],
            "Argument --max/--max-messages: 0 is too small: the minimum is 1",
        ),
        (
            ["consume", "t", "--timeout", "-1"],
            "Argument --timeout: '-1' is not a number of seconds",
        ),
        (
            ["consume", "t", "--group", "g", "--offset", "1"],
            "--offset and --partition cannot be combined with --group.",
        ),
        (["consume", "t", "--since", "x"], "--since x: expected a time"),
        (["consume", "t", "--offset", "x"], "--offset x: expected a number, earliest or latest."),
        (["consume", "t", "--until", "x"], "--until x: expected a time"),
        (["consume", "t", "--until", "1", "--until-end"], "not allowed with argument --until"),
        (["produce", "t", "--repartition"], "--repartition requires --json."),
        (
            ["produce", "t", "--json", "--null", "x"],
            "--key-separator and --null cannot be combined with --json",
        ),
        (["produce", "t", "--file", "/nope"], "--file /nope: No such file or directory."),
        (["produce", "t", "--partition", "-1"], "-1 is too small: the minimum is 0"),
        (["produce", "t", "--timestamp", "x"], "--timestamp x: expected a time"),
        (["topics", "offsets", "t:x"], "'x' is not a partition number or a range such as 2-4."),
        (["topics", "offsets", "t:4-2"], "'4-2' is not a partition number or a range such as 2-4."),
        (
            ["topics", "offsets", f"t:0-{DIGITS}"],
            "is not a partition number or a range such as 2-4.",
        ),
        (["topics", "offsets", ":1"], "expected TOPIC or TOPIC:PARTITIONS"),
        (["topics", "delete-records", "--all"], "No topics were given"),
        (["topics", "delete-records", "t"], "One of the arguments --before-offset"),
        (["topics", "delete-records", "--offset-json-file", "/nope"], "No such file or directory."),
        (["topics", "alter", "t"], "required: --partitions"),
        (["configs", "describe"], "One of the arguments --topic --broker"),
        (["configs", "describe", "--broker", "x"], "--broker x: expected a broker id."),
        (["configs", "set", "--topic", "t", "x"], "set x: expected KEY=VALUE."),
        (
            ["configs", "unset", "--topic", "t", "x=1"],
            "unset x=1: expected only the key, without a value.",
        ),
        (["groups", "list", "--state", "full"], "--state full: expected one of Assigning, "),
        (["groups", "list", "--type", "old"], "--type old: expected one of classic, consumer, "),
        (["groups", "describe"], "Name the groups or use --all-groups, but not both."),
        (["groups", "describe", "g", "--watch", "0"], "--watch 0.0: the minimum is 0.1."),
        (["groups", "reset-offsets", "g", "--topic", "t"], "One of the arguments --to-earliest"),
        (["groups", "reset-offsets", "g", "--to-latest"], "or --all-topics is required."),
        (
            ["groups", "reset-offsets", "--to-latest"],
            "either groups or --all-groups, but not both.",
        ),
        (
            ["groups", "reset-offsets", "g", "--all-topics", "--by-duration", "soon"],
            "--by-duration soon: expected a duration such as 10m or P1DT2H.",
        ),
        (["groups", "reset-offsets", "g", "--from-file", "/nope"], "No such file or directory."),
        (["log-dirs", "move", "t", "--broker", "1", "--to", "x"], "expected an absolute path."),
        (
            ["cluster", "elect-leaders", "--type", "preferred"],
            "either partitions or --all, but not both.",
        ),
        (["cluster", "features", "upgrade", "x=y"], "x=y: 'y' is not a valid level."),
        (["cluster", "features", "upgrade", f"x={DIGITS}"], "is not a valid level."),
        (["cluster", "features", "upgrade", f"metadata.version={DIGITS}"], "is not a valid level."),
        (["serve", "--set", f"log.retention.ms={DIGITS}"], "Not a number of type LONG"),
        (["dump", "/nope"], "/nope: No such file or directory."),
        (["dump", "/etc/passwd"], "/etc/passwd: the name is not one of Kafka's file names."),
        (["dump", "/usr"], "/usr: the directory contains none of Kafka's files."),
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
        ("yesterday", "expected a time such as"),
        ("9" * 400 + "d", "expected a time such as"),
        ("9223372036854775808", "the time must be at most 9223372036854775807 ms after 1970"),
        ("-P99999999999999D", "the time must be at most"),
        ("3000w", "the time must not be before 1970"),
        ("1969-12-31T00:00:00Z", "the time must not be before 1970"),
    ],
)
def test_times_that_cannot_be(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_time_ms(text, "--since", NOW_MS)


@pytest.mark.parametrize(
    "text", ["", "10", "10x", "P", "PT", "P1", "1h30m", "-10m", "9" * 400 + "d"]
)
def test_durations_that_cannot_be(text: str) -> None:
    with pytest.raises(UserError, match="expected a duration"):
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
