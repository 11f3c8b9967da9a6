"""Apache Kafka itself, as a judge: its jars by Maven coordinates, its tools as command lines.

The jars come from Maven Central on first use (`mvn` and Java 17 or newer are needed) and stay in
~/.cache/kbroker/apache-kafka/<version>/libs. $KBROKER_KAFKA_LIBS names a folder that has those of
`VERSION`; other releases are for directories that they wrote, or are to go on with.
"""

from __future__ import annotations

import functools
import os
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = "4.3.0"
NEWEST = "4.4.0"

TOOLS = {
    "acls": "org.apache.kafka.tools.AclCommand",
    "api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "broker": "kafka.Kafka",
    "client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "configs": "kafka.admin.ConfigCommand",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "console-share-consumer": "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "consumer-perf": "org.apache.kafka.tools.ConsumerPerformance",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "e2e-latency": "org.apache.kafka.tools.EndToEndLatency",
    "features": "org.apache.kafka.tools.FeatureCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "groups": "org.apache.kafka.tools.GroupsCommand",
    "leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "producer-perf": "org.apache.kafka.tools.ProducerPerformance",
    "reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "share-groups": "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
    "storage": "kafka.tools.StorageTool",
    "topics": "org.apache.kafka.tools.TopicCommand",
    "transactions": "org.apache.kafka.tools.TransactionsCommand",
    "verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
}

# Of those the releases since 4.4 have another class.
_MOVED = {
    "configs": "org.apache.kafka.tools.ConfigCommand",
    "storage": "org.apache.kafka.tools.StorageTool",
}

# What a JVM that lives a second or two wants: no second compiler, no collector threads.
SHORT_RUN = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")


class ToolError(Exception):
    """A tool of Apache Kafka ended with a status other than 0."""


def libs(version: str = VERSION) -> Path:
    """The folder that holds a release's jars and their dependencies, fetched if need be.

    Raises CalledProcessError if Maven fails, FileNotFoundError if there is no `mvn` or the folder
    that $KBROKER_KAFKA_LIBS names has no kafka-clients jar.
    """
    given = os.environ.get("KBROKER_KAFKA_LIBS")
    if given and version == VERSION:
        folder = Path(given).expanduser()
        if not any(folder.glob("kafka-clients-*.jar")):
            raise FileNotFoundError(f"KBROKER_KAFKA_LIBS={given}: no kafka-clients jar there")
        return folder
    cache = Path("~/.cache/kbroker/apache-kafka").expanduser() / version
    complete = cache / "complete"  # written last: a fetch that was cut short starts again
    if not complete.exists():
        cache.mkdir(parents=True, exist_ok=True)
        pom = cache / "pom.xml"
        pom.write_text(_pom(version))
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={cache / 'libs'}"]
        subprocess.run(["mvn", "-q", "-B", "-f", str(pom), *goal], check=True)
        complete.touch()
    return cache / "libs"


def java_command(
    main_class: str,
    *args: str,
    heap: str = "512M",
    flags: Iterable[str] = (),
    classes: Path | None = None,
    version: str = VERSION,
) -> list[str]:
    """The command line that runs a class of the jars, or of the folder `classes`.

    `flags` go to the JVM, and those of $KAFKA_OPTS after them.
    """
    given = os.environ.get("KAFKA_OPTS", "").split()
    jars = f"{libs(version)}/*"
    path = jars if classes is None else f"{classes}{os.pathsep}{jars}"
    return ["java", f"-Xmx{heap}", *flags, *given, "-cp", path, main_class, *args]


def tool_command(
    name: str,
    *args: str,
    heap: str = "512M",
    flags: Iterable[str] = (),
    version: str = VERSION,
) -> list[str]:
    """The command line of a tool by the name of its shell script (see TOOLS)."""
    main_class = _main_class(name, libs(version))
    return java_command(main_class, *args, heap=heap, flags=flags, version=version)


@functools.cache
def _main_class(name: str, folder: Path) -> str:
    if name in _MOVED:
        for jar in folder.glob("kafka-tools-[0-9]*.jar"):
            with zipfile.ZipFile(jar) as held:
                if f"{_MOVED[name].replace('.', '/')}.class" in held.namelist():
                    return _MOVED[name]
    return TOOLS[name]


def run_tool(
    name: str,
    *args: str,
    timeout_s: float = 120,
    stdin: str | None = None,
    version: str = VERSION,
) -> str:
    """Run a tool to its end; its standard output, then its standard error.

    Raises ToolError if it fails, with both in the message.
    """
    command = tool_command(name, *args, flags=SHORT_RUN, version=version)
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    output = done.stdout + done.stderr
    if done.returncode:
        raise ToolError(f"{name} {' '.join(args)} ended with {done.returncode}:\n{output}")
    return output


def compile_java(sources: Iterable[Path], into: Path) -> Path:
    """Compile Java programs against the jars; the folder of their classes."""
    files = [str(source) for source in sources]
    command = ["javac", "-nowarn", "-cp", f"{libs()}/*", "-d", str(into), *files]
    subprocess.run(command, check=True)
    return into


def _pom(version: str) -> str:
    dependencies = (
        ("org.apache.kafka", "kafka_2.13", version),
        ("org.apache.kafka", "kafka-tools", version),
        ("org.slf4j", "slf4j-nop", "1.7.36"),
    )
    entries = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{number}</version></dependency>"
        for group, artifact, number in dependencies
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>kbroker</groupId><artifactId>apache-kafka</artifactId><version>1</version>"
        f"<dependencies>{entries}</dependencies></project>\n"
    )
