"""Our codecs against Apache Kafka's own Java classes, byte for byte and value for value.

Every schema at every version, with random messages made on either side. By default ten of each;
$KBROKER_CODEC_SAMPLES says how many (`all` for 200), $KBROKER_CODEC_SEED repeats a run.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compat import apache
from compat.codecs.kafka_codecs import KafkaCodecs, as_json
from kbroker.wire import codec, generate
from kbroker.wire.errors import EncodeError, ErrorCode, ProtocolError
from tests.wire.random_messages import all_versions, random_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbroker.wire.message import Message

pytestmark = pytest.mark.ci

SAMPLES_GIVEN = os.environ.get("KBROKER_CODEC_SAMPLES", "10")
SAMPLES = 200 if SAMPLES_GIVEN == "all" else int(SAMPLES_GIVEN)
SEED = int(os.environ.get("KBROKER_CODEC_SEED") or random.SystemRandom().randrange(2**32))

EVERY_VERSION = pytest.mark.parametrize(
    ("cls", "version"),
    [pytest.param(cls, version, id=f"{cls.__name__}-{version}") for cls, version in all_versions()],
)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCodecs]:
    sources = (Path(__file__).parent / "java").glob("*.java")
    folder = apache.compile_java(sources, tmp_path_factory.mktemp("codecs"))
    classpath = f"{folder}:{apache.libs(apache.NEWEST)}/*"
    with KafkaCodecs(
        ["java", "-Xmx512M", "-XX:+UseSerialGC", "-cp", classpath, "Codecs"]
    ) as codecs:
        yield codecs


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    seed = f"{SEED} {request.node.name}"
    print(f"KBROKER_CODEC_SEED={SEED} repeats this")
    return random.Random(seed)


@EVERY_VERSION
def test_kafka_reads_what_we_write(
    kafka: KafkaCodecs, rng: random.Random, cls: type[Message], version: int
) -> None:
    for _ in range(SAMPLES):
        message = random_message(cls, version, rng)
        encoded = codec.encode(message, version)
        answer = kafka.parse(cls.__name__, version, encoded)
        assert answer.encoded == encoded
        assert answer.shown == as_json(message, version)


@EVERY_VERSION
def test_we_read_what_kafka_writes(
    kafka: KafkaCodecs, rng: random.Random, cls: type[Message], version: int
) -> None:
    for _ in range(SAMPLES):
        answer = kafka.random(cls.__name__, version, rng.getrandbits(63))
        message = codec.decode(cls, version, answer.encoded)
        assert as_json(message, version) == answer.shown
        assert codec.encode(message, version) == answer.encoded


@EVERY_VERSION
def test_defaults_are_kafkas(kafka: KafkaCodecs, cls: type[Message], version: int) -> None:
    answer = kafka.default(cls.__name__, version)
    assert as_json(cls(), version) == answer.shown
    assert codec.encode(cls(), version) == answer.encoded


@EVERY_VERSION
def test_what_we_accept_kafka_accepts(
    kafka: KafkaCodecs, rng: random.Random, cls: type[Message], version: int
) -> None:
    """Damaged bytes: we may refuse more than Kafka does, never read them as something else."""
    for _ in range(SAMPLES):
        damaged = bytearray(codec.encode(random_message(cls, version, rng), version))
        if damaged:
            damaged[rng.randrange(len(damaged))] = rng.choice((0, 1, 2, 0x7F, 0xFF))
        try:
            message = codec.decode(cls, version, bytes(damaged))
        except ProtocolError:
            continue
        answer = kafka.parse(cls.__name__, version, bytes(damaged))
        assert answer.shown == as_json(message, version)


@EVERY_VERSION
def test_other_versions_say_what_they_can(
    kafka: KafkaCodecs, rng: random.Random, cls: type[Message], version: int
) -> None:
    """Fields that a version lacks are left out where they are ignorable, and refused elsewhere."""
    for _ in range(SAMPLES):
        other = rng.randint(cls.MIN_VERSION, cls.MAX_VERSION)
        encoded = codec.encode(random_message(cls, version, rng), version)
        expected = kafka.convert(cls.__name__, version, encoded, other)
        message = codec.decode(cls, version, encoded)
        try:
            converted: bytes | None = codec.encode(message, other)
        except EncodeError:
            converted = None
        assert converted == expected


def test_error_codes_are_kafkas(kafka: KafkaCodecs) -> None:
    for code in ErrorCode:
        assert kafka.error(code) == (code.name, code.retriable, code.message)
    # Kafka answers UNKNOWN_SERVER_ERROR for a code that it does not have.
    assert kafka.error(max(ErrorCode) + 1)[0] == ErrorCode.UNKNOWN_SERVER_ERROR.name


def test_the_generated_files_are_those_of_the_jars() -> None:
    assert generate.main(["--jars", str(apache.libs(apache.NEWEST)), "--check"]) == 0
