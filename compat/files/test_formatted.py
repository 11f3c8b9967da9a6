"""Directories that another release formatted or wrote: kbroker goes on with them, and after it the
newest Apache Kafka.

Up to 4.3 `kafka-storage format` leaves what the cluster begins with in `bootstrap.checkpoint`, from
4.4 on in a snapshot before the log; up to 3.6 it gives a directory no id.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaException

from compat.apache import NEWEST, VERSION, run_tool
from compat.brokers import ApacheKafka, Kbroker
from compat.clients.conftest import create_topic
from compat.clients.librdkafka import Librdkafka
from compat.clients.records import CODECS, Position, sample_records
from compat.files.using import PARTITIONS, levels, metadata_version_of, use
from compat.late import comes_to

if TYPE_CHECKING:
    from pathlib import Path

    from compat.brokers import BrokerProcess
    from compat.files.using import Records

pytestmark = [pytest.mark.full, pytest.mark.java]

SCRAM = ("--add-scram", "SCRAM-SHA-256=[name=alice,password=secret]")
# No listener that a controller would have to be reached at, as format --standalone wants it.
DYNAMIC = {"controller.quorum.voters": "", "controller.quorum.bootstrap.servers": "127.0.0.1:1"}


def first_records(data: Path) -> list[str]:
    """What the first leader wrote after its LeaderChange, as Apache Kafka reads it."""
    log = data / "__cluster_metadata-0" / f"{0:020}.log"
    text = run_tool("dump-log", "--cluster-metadata-decoder", "--files", str(log), version=NEWEST)
    batches = re.split(r"^baseOffset: ", text, flags=re.MULTILINE)[2:]
    return re.findall(r"payload: (.*)", batches[0])


@pytest.mark.parametrize(
    ("version", "release", "options"),
    [
        (NEWEST, "3.3", ()),
        (NEWEST, "3.9", SCRAM),
        (NEWEST, "4.0", ("--standalone",)),
        (NEWEST, "4.3", SCRAM),
        (VERSION, "3.3", ()),
        (VERSION, "3.9", ("--standalone", *SCRAM)),
        (VERSION, "4.3", SCRAM),
    ],
)
def test_a_cluster_begins_as_its_directory_was_formatted(
    tmp_path: Path, version: str, release: str, options: tuple[str, ...]
) -> None:
    settings = DYNAMIC if "--standalone" in options else {}
    newest = ApacheKafka(tmp_path / "ours", settings, release=release, version=NEWEST)
    theirs = ApacheKafka(tmp_path / "theirs", settings, release=release, version=NEWEST)
    kbroker = Kbroker(tmp_path / "ours")
    sent: Records = {}
    try:
        ApacheKafka(tmp_path / "ours", settings, release=release, version=version).format(*options)
        kbroker.start()
        at_first = levels(kbroker)
        assert at_first["metadata.version"] == metadata_version_of(release)
        use(kbroker, "by kbroker", sent)
        kbroker.stop()

        newest.start()
        assert levels(newest) == at_first
        use(newest, "by the newest", sent)
        assert_alice(newest, is_there=SCRAM[0] in options)
        newest.stop()

        kbroker.start()
        assert levels(kbroker) == at_first
        use(kbroker, "and back", sent)
        kbroker.stop()

        theirs.format(*options)
        theirs.start()
        assert levels(theirs) == at_first
        theirs.stop()
        assert without_secrets(first_records(kbroker.data)) == without_secrets(
            first_records(theirs.data)
        )
    finally:
        for broker in (kbroker, newest, theirs):
            broker.kill()


def assert_alice(broker: BrokerProcess, *, is_there: bool) -> None:
    bootstrap = ("--bootstrap-server", broker.bootstrap)
    users = run_tool("configs", *bootstrap, "--describe", "--entity-type", "users", version=NEWEST)
    assert ("SCRAM-SHA-256=iterations=4096" in users and "alice" in users) is is_there, users


def without_secrets(payloads: list[str]) -> list[str]:
    """Each format makes a salt of its own."""
    return [re.sub(r'"(salt|storedKey|serverKey)":"[^"]*"', r'"\1"', each) for each in payloads]


def write(broker: BrokerProcess, codec: str, sent: Records) -> None:
    """As `use`, by what a client has that goes by what the broker serves."""
    client = Librdkafka()
    topic = create_topic(broker.bootstrap, codec, PARTITIONS, retention_ms="-1")
    sent[topic] = sample_records(PARTITIONS)
    client.produce(broker.bootstrap, topic, sent[topic], codec=codec, idempotent=True)
    where = (next(iter(sent)), 0, Position(len(sent), ""))

    def commits() -> bool:
        try:
            client.commit(broker.bootstrap, "group", *where, wait=True)
        except KafkaException:  # the coordinator is not there at once
            return False
        return True

    comes_to(commits, True)


@pytest.mark.parametrize("end", ["stopped", "killed"])
@pytest.mark.parametrize("version", ["3.3.2", "3.6.2"])
def test_a_directory_that_an_old_kafka_wrote_goes_on(
    tmp_path: Path, version: str, end: str
) -> None:
    old = ApacheKafka(tmp_path, version=version)
    newest = ApacheKafka(tmp_path, version=NEWEST)
    kbroker = Kbroker(tmp_path)
    meta = tmp_path / "data" / "meta.properties"
    sent: Records = {}
    try:
        old.start()
        for codec in CODECS:
            write(old, codec, sent)
        if end == "stopped":
            old.stop()
        old.kill()
        assert "directory.id" not in meta.read_text()

        kbroker.start()
        release = version.rpartition(".")[0]
        assert levels(kbroker) == {"metadata.version": metadata_version_of(release)}
        use(kbroker, "by kbroker", sent)
        kbroker.stop()
        (directory_id,) = re.findall("directory.id=.*", meta.read_text())

        newest.start()
        use(newest, "by the newest", sent)
        newest.stop()

        kbroker.start()
        use(kbroker, "and back", sent)
        kbroker.stop()
        assert re.findall("directory.id=.*", meta.read_text()) == [directory_id]
    finally:
        for broker in (old, newest, kbroker):
            broker.kill()
