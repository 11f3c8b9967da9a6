"""Clusters at the levels of older releases: what is written at each, and the way up to 4.3."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from compat.apache import run_tool
from compat.brokers import ApacheKafka, Kbroker
from compat.files.using import levels, metadata_version_of, use

if TYPE_CHECKING:
    from pathlib import Path

    from compat.brokers import BrokerProcess
    from compat.files.using import Records

RELEASES = ("3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "4.0", "4.1", "4.2", "4.3")


@pytest.mark.parametrize(
    "release",
    [
        pytest.param("3.3", marks=pytest.mark.ci),
        *(pytest.param(release, marks=pytest.mark.full) for release in RELEASES),
    ],
)
def test_a_cluster_of_an_older_release_is_served_raised_and_handed_on(
    tmp_path: Path, release: str
) -> None:
    apache = ApacheKafka(tmp_path, release=release)
    apache.format()
    kbroker = Kbroker(tmp_path)
    sent: Records = {}
    try:
        kbroker.start()
        at_first = levels(kbroker)
        assert at_first["metadata.version"] == metadata_version_of(release)
        use(kbroker, "at the old levels", sent)
        kbroker.restart()
        use(kbroker, "after a restart", sent)
        assert levels(kbroker) == at_first
        bootstrap = ("--bootstrap-server", kbroker.bootstrap)
        run_tool("features", *bootstrap, "upgrade", "--release-version", "4.3")
        raised = levels(kbroker)
        use(kbroker, "at the new levels", sent)
        kbroker.stop()

        apache.start()
        assert levels(apache) == raised
        use(apache, "by Apache Kafka", sent)
        apache.stop()

        kbroker.start()
        assert levels(kbroker) == raised
        use(kbroker, "and back", sent)
        kbroker.stop()
    finally:
        kbroker.kill()
        apache.kill()


@pytest.mark.full
@pytest.mark.parametrize("release", ["3.3", *RELEASES])
def test_at_the_levels_of_a_release_the_records_are_apache_kafkas(
    tmp_path: Path, release: str
) -> None:
    apache = ApacheKafka(tmp_path / "apache", release=release)
    ApacheKafka(tmp_path / "kbroker", release=release).format()
    brokers: list[BrokerProcess] = [apache, Kbroker(tmp_path / "kbroker")]
    written: list[dict[str, set[str]]] = []
    for broker in brokers:
        try:
            broker.start()
            use(broker, "first", {})
            broker.restart()
            use(broker, "second", {})
            broker.stop()
        finally:
            broker.kill()
        log = broker.data / "__cluster_metadata-0" / f"{0:020}.log"
        text = run_tool("dump-log", "--cluster-metadata-decoder", "--files", str(log))
        versions: dict[str, set[str]] = {}
        for kind, version in re.findall(r'payload: \{"type":"(\w+)","version":(\d+)', text):
            versions.setdefault(kind, set()).add(version)
        written.append(versions)
    theirs, ours = written
    # Only to show others that the leader lives, of which a node alone has none.
    theirs.pop("NO_OP_RECORD", None)
    assert ours == theirs
