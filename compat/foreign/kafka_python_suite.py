"""kafka-python's own integration tests, in their external broker mode ($KAFKA_URI).

They come with the source distribution, pinned by its hash. It lacks two files of the folder
`test`: the package's __init__ and `service.py`, of which that mode uses nothing but a class that
does nothing; both are made here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING

from compat.foreign.environments import virtualenv

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "3.0.12"
SHA256 = "4ccda3616b9aa5c353d74a97f2770d6cd1b950890d77ab0e8890e09a48eeed65"
REQUIREMENTS = ("pytest>=8", "pytest-timeout", "py", "lz4", "python-snappy", "zstandard", "crc32c")
TIMEOUT_S = 900
TEST_TIMEOUT_S = 60

# The settings of its own template that its tests depend on.
SETTINGS = {
    "node.id": "0",
    "num.partitions": "4",
    "offsets.topic.num.partitions": "2",
    "group.min.session.timeout.ms": "1000",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.enable": "false",
}

_SERVICE = """\
class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def open(self):
        pass

    close = dump_logs = open

    def wait_for(self, pattern, timeout=30):
        pass


class SpawnedService:
    def __init__(self, *args, **kwargs):
        raise RuntimeError("the suite runs against an external broker")
"""


def run(host: str, port: int, folder: Path) -> dict[str, str]:
    """Run them in a folder of their own; the outcome of each by its name."""
    requirement = folder / "requirements.txt"
    requirement.write_text(f"kafka-python=={VERSION} --hash=sha256:{SHA256}\n")
    python = virtualenv("3.11", f"kafka-python=={VERSION}", *REQUIREMENTS)
    options = ("--no-deps", "--no-binary", "kafka-python", "--require-hashes")
    command = [str(python), "-m", "pip", "download", "-q", *options, "-r", str(requirement)]
    subprocess.run([*command, "-d", str(folder)], check=True)
    (archive,) = folder.glob("kafka_python-*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    shutil.copytree(folder / f"kafka_python-{VERSION}" / "test", folder / "test")
    (folder / "test" / "__init__.py").touch()
    (folder / "test" / "service.py").write_text(_SERVICE)
    report = folder / "report.xml"
    environment = os.environ | {
        "KAFKA_URI": f"kafka://{host}:{port}",
        "KAFKA_VERSION": "4.3",
        "KAFKA_ROOT": str(folder),  # where it would look for scripts to start a broker
    }
    command = [str(python), "-m", "pytest", "test/integration", "-q", f"--junit-xml={report}"]
    command += ["-p", "no:cacheprovider", f"--timeout={TEST_TIMEOUT_S}", "--timeout-method=signal"]
    log = folder / "output"
    with log.open("wb") as output:
        subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            timeout=TIMEOUT_S,
            check=False,
        )
    if not report.exists():
        raise RuntimeError(f"the suite gave no report:\n{log.read_text()[-4000:]}")
    return _outcomes(report)


def _outcomes(report: Path) -> dict[str, str]:
    """From pytest's report; an error in a fixture is a failure."""
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        failed = bool(kinds & {"failure", "error"})
        outcome = "failed" if failed else "skipped" if "skipped" in kinds else "passed"
        module, name = (
            case.attrib["classname"].removeprefix("test.integration."),
            case.attrib["name"],
        )
        found[f"{module}::{name}"] = outcome
    return found
