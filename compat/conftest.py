"""Outside judges: other people's software against one broker, which `--broker` chooses.

    pytest compat                        # kbroker of this checkout
    pytest compat --broker apache        # Apache Kafka 4.3.0: is the suite itself right?
    pytest compat --broker HOST:PORT     # one that runs already; what must restart it is skipped

`-m ci` takes the few minutes that every change must pass. A tool that is missing is a failure.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compat import apache
from compat.brokers import Address, ApacheKafka, Broker, BrokerError, BrokerProcess, Kbroker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    NewBroker = Callable[..., BrokerProcess]

# Their assertions shall say what they compared. Nothing has imported them yet.
pytest.register_assert_rewrite(
    "compat.behaviour.asking",
    "compat.behaviour.groups",
    "compat.clients.member",
    "compat.clients.records",
)

# What clients leave open or use for long is theirs to mend.
FOREIGN_WARNINGS = ("default", "ignore::DeprecationWarning", "ignore::ResourceWarning")

# Tests want groups to form at once; everything else is as a user finds it.
SETTINGS = {"group.initial.rebalance.delay.ms": "0"}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("compat")
    group.addoption("--broker", default="kbroker", help="kbroker, apache or HOST:PORT")
    group.addoption("--kills", type=int, help="how often the crash tests kill a broker")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ci: runs for every change")
    config.addinivalue_line("markers", "full: takes minutes; runs on demand")
    # Errors are for warnings of ours: at import these come from the clients' own modules.
    config.addinivalue_line("filterwarnings", r"ignore::DeprecationWarning:(aio)?kafka\.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    for item in items:
        marks = {mark.name for mark in item.iter_markers()} & {"ci", "full"}
        if folder not in item.path.parents:
            continue
        if len(marks) != 1:
            raise pytest.UsageError(f"{item.nodeid} must be marked either ci or full")
        item.add_marker(pytest.mark.filterwarnings(*FOREIGN_WARNINGS))


@pytest.fixture(scope="session")
def start_broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Mapping[str, str]], BrokerProcess]:
    """Start a broker of the chosen kind, with settings of its own besides the common ones."""
    kind = request.config.getoption("broker")

    def start(settings: Mapping[str, str]) -> BrokerProcess:
        chosen = {"kbroker": Kbroker, "apache": ApacheKafka}.get(kind)
        if chosen is None:
            pytest.skip(f"needs a broker of its own, and {kind} is someone's")
        broker = chosen(tmp_path_factory.mktemp("broker"), SETTINGS | dict(settings))
        try:
            broker.start()
        except BaseException:
            broker.wipe()
            raise
        return broker

    return start


@pytest.fixture(scope="session")
def broker(
    request: pytest.FixtureRequest, start_broker: Callable[[Mapping[str, str]], BrokerProcess]
) -> Iterator[Broker]:
    """The broker that all tests share."""
    kind = request.config.getoption("broker")
    if kind not in ("kbroker", "apache"):
        yield Address.parse(kind)
        return
    try:
        process = start_broker({})
    except BrokerError as error:
        pytest.exit(f"no broker to test: {error}", returncode=1)  # not the same error 400 times
    yield process
    died = not process.running
    log = process.log_tail()
    if not died:
        process.stop()
    process.wipe()
    assert not died, f"the shared broker died:\n{log}"


@pytest.fixture
def new_broker(
    start_broker: Callable[[Mapping[str, str]], BrokerProcess],
) -> Iterator[NewBroker]:
    """`new_broker(settings)`: a broker for this test alone, which it may stop, kill and restart."""
    started: list[BrokerProcess] = []

    def new(settings: Mapping[str, str] | None = None) -> BrokerProcess:
        process = start_broker(settings or {})
        started.append(process)
        return process

    yield new
    for process in started:
        process.wipe()


@pytest.fixture(scope="session")
def unique() -> Callable[[str], str]:
    """`unique(prefix)`: a name that no other test, and no earlier session, has used."""
    session = f"{os.getpid():x}{os.urandom(2).hex()}"
    numbers = itertools.count()
    return lambda prefix: f"{prefix}-{session}-{next(numbers)}"


@pytest.fixture(scope="session")
def java_classes() -> Iterator[Path]:
    """The folder of our compiled Java programs (compat/clients/java)."""
    with tempfile.TemporaryDirectory(prefix="compat-java-") as folder:
        sources = (Path(__file__).parent / "clients" / "java").glob("*.java")
        yield apache.compile_java(sources, Path(folder))
