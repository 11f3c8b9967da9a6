"""Outside judges: other people's software against one broker.

    pytest compat                        # kbroker of this checkout
    pytest compat --broker apache        # Apache Kafka 4.3.0: is the suite itself right?
    pytest compat --bootstrap HOST:PORT  # any broker that runs already

`-m ci` takes the few minutes that every change must pass. A tool that is missing is a failure, but
for a broker that is someone else's (`--bootstrap`): what needs Java, or a broker of its own to
restart, is then not judged, and the verdict at the end says so. `verdict.py` has its shape.
"""

from __future__ import annotations

import faulthandler
import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compat import apache
from compat.brokers import Address, ApacheKafka, Broker, BrokerError, BrokerProcess, Kbroker
from compat.leftovers import made_by, remove
from compat.raw import RawClient
from compat.verdict import FAILED, NOT_JUDGED, PASSED, Verdict
from kbroker.wire.api_keys import API_TABLE, ApiKey
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Mapping

    NewBroker = Callable[..., BrokerProcess]

# Their assertions shall say what they compared. Nothing has imported them yet.
pytest.register_assert_rewrite(
    "compat.behaviour.asking",
    "compat.behaviour.consumer_groups",
    "compat.behaviour.groups",
    "compat.behaviour.share_groups",
    "compat.behaviour.transactions",
    "compat.clients.member",
    "compat.clients.records",
    "compat.late",
)

# What clients leave open or use for long is theirs to mend.
FOREIGN_WARNINGS = ("default", "ignore::DeprecationWarning", "ignore::ResourceWarning")

# What judges a broker that runs already; the other folders judge this checkout.
JUDGES = ("behaviour", "clients")
KINDS: Mapping[str, type[Kbroker | ApacheKafka]] = {"kbroker": Kbroker, "apache": ApacheKafka}
CLIENTS = ("kafka-python", "aiokafka", "librdkafka", "java")
OF_TRANSACTIONS = (
    ApiKey.ADD_PARTITIONS_TO_TXN,
    ApiKey.ADD_OFFSETS_TO_TXN,
    ApiKey.END_TXN,
    ApiKey.TXN_OFFSET_COMMIT,
)
VERDICT = pytest.StashKey[Verdict]()
SESSION = pytest.StashKey[str]()  # what the names of this session's topics and groups have in them
SERVED = pytest.StashKey[dict[int, range]]()
ASKED = pytest.StashKey[set[tuple[int, int]]]()

# Tests want groups to form at once; everything else is as a user finds it.
SETTINGS = {"group.initial.rebalance.delay.ms": "0"}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("compat")
    group.addoption(
        "--broker", default="kbroker", choices=KINDS, help="start one of these (default kbroker)"
    )
    group.addoption(
        "--bootstrap", type=Address.parse, metavar="HOST:PORT", help="judge one that runs already"
    )
    group.addoption(
        "--matrix", type=Path, action="append", default=[], help="FILE.json, .html or .md"
    )
    group.addoption("--kills", type=int, help="how often the crash tests kill a broker")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ci: runs for every change")
    config.addinivalue_line("markers", "full: takes minutes; runs on demand")
    config.addinivalue_line("markers", "item(*numbers): what of compat/items.py a test judges")
    config.addinivalue_line("markers", "client(name): which of the stock clients judges")
    config.addinivalue_line("markers", "java: needs Java and Maven")
    config.addinivalue_line("markers", "own_broker: starts one itself, whichever is judged")
    config.addinivalue_line("markers", "needs(*requests): not judged where these are not served")
    # Errors are for warnings of ours: at import these come from the clients' own modules.
    config.addinivalue_line("filterwarnings", r"ignore::DeprecationWarning:(aio)?kafka\.")
    bootstrap = config.getoption("bootstrap")
    kind = config.getoption("broker")
    config.stash[VERDICT] = Verdict(bootstrap.bootstrap if bootstrap else kind)
    config.stash[SESSION] = f"{os.getpid():x}{os.urandom(2).hex()}"
    if bootstrap and config.option.tbstyle == "auto":
        # The verdict says it shorter; --tb=short and -rA bring it back.
        config.option.tbstyle = "no"
        if config.option.reportchars == "fE":
            config.option.reportchars = ""


def pytest_report_header(config: pytest.Config) -> list[str]:
    bootstrap = config.getoption("bootstrap")
    if not bootstrap:
        return []
    lines = [f"judging the broker at {bootstrap.bootstrap}, which is neither stopped nor restarted"]
    if missing := missing_java():
        lines.append(f"not judged, as {missing} is not installed: Java's client and tools")
    return lines


def missing_java() -> str | None:
    """The first of the tools that Java's client needs and that is not here."""
    tools = (
        ("java", "javac", "mvn") if "KBROKER_KAFKA_LIBS" not in os.environ else ("java", "javac")
    )
    return next((tool for tool in tools if shutil.which(tool) is None), None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    bootstrap = config.getoption("bootstrap")
    if bootstrap:
        others = [item for item in items if item.path.relative_to(folder).parts[0] not in JUDGES]
        items[:] = [item for item in items if item not in others]
        config.hook.pytest_deselected(items=others)
    for item in items:
        why = _not_judged(item) if bootstrap else None
        if why:
            item.add_marker(pytest.mark.skip(reason=why))
        marks = {mark.name for mark in item.iter_markers()} & {"ci", "full"}
        if folder not in item.path.parents:
            continue
        if len(marks) != 1:
            raise pytest.UsageError(f"{item.nodeid} must be marked either ci or full")
        item.add_marker(pytest.mark.filterwarnings(*FOREIGN_WARNINGS))


def _not_judged(item: pytest.Item) -> str | None:
    """Why a test cannot judge a broker that runs already, or None if it can."""
    fixtures = getattr(item, "fixturenames", ())
    if "new_broker" in fixtures or item.get_closest_marker("own_broker"):
        return "needs a broker of its own"
    call = getattr(item, "callspec", None)
    parameters = call.params.values() if call else ()
    needs_java = item.get_closest_marker("java") or "java" in fixtures or "java" in parameters
    missing = missing_java()
    return f"needs Java: {missing} is not installed" if needs_java and missing else None


@pytest.fixture(autouse=True)
def _patience() -> None:
    """Foreign suites take longer than a test of ours may, and have time limits of their own."""
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def _asked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Note which versions of which APIs a test asks frame by frame."""
    asked: set[tuple[int, int]] = set()
    request.node.stash[ASKED] = asked
    served = request.config.stash.get(SERVED, {})
    is_theirs = request.config.getoption("bootstrap") and served

    def note(key: int, version: int) -> None:
        asked.add((key, version))
        if is_theirs and version not in served.get(key, ()):
            name = API_TABLE[key].name if key in API_TABLE else key
            pytest.skip(f"{name} v{version} is not served")

    RawClient.noting = note
    yield
    RawClient.noting = None


@pytest.fixture(autouse=True)
def _needed(request: pytest.FixtureRequest) -> None:
    """What whole APIs a test needs, of any broker: one that lacks them is not judged by it."""
    needed = {one.API_KEY for mark in request.node.iter_markers("needs") for one in mark.args}
    if needed:
        request.getfixturevalue("broker")
        _skip_unless_served(request.config, needed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the verdict what became of a test: of its setup if that went wrong, else of itself."""
    report = yield
    if report.when == "call" or not report.passed:
        outcome = {"passed": PASSED, "failed": FAILED}.get(report.outcome, NOT_JUDGED)
        if report.skipped and hasattr(report, "wasxfail"):
            outcome = FAILED  # though it is known
        why = ""
        if call.excinfo is not None:
            shown = getattr(call.excinfo.value, "msg", None) or call.excinfo.exconly()
            why = str(shown).splitlines()[0]
            bootstrap = item.config.getoption("bootstrap")
            if bootstrap and isinstance(call.excinfo.value, ConnectionRefusedError):
                gone = f"{bootstrap.bootstrap} takes no more connections"
                item.session.shouldstop = gone
                item.config.stash[VERDICT].ended = f"{gone}, since {item.name} or the one before"
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        named = item.get_closest_marker("client")
        clients = [*(named.args if named else ()), *parameters.values()]
        client = next((one for one in clients if one in CLIENTS), None)
        item.config.stash[VERDICT].add(
            outcome,
            item.name,
            why,
            items=set(mark.args) if (mark := item.get_closest_marker("item")) else set(),
            asked=item.stash.get(ASKED, set()),
            client=client,
        )
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    bootstrap = session.config.getoption("bootstrap")
    if bootstrap and not session.config.option.collectonly:
        left = remove(bootstrap, session.config.stash[SESSION])
        session.config.stash[VERDICT].left_behind = left
    for path in session.config.getoption("matrix"):
        session.config.stash[VERDICT].write(path)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if not (config.getoption("bootstrap") or config.getoption("matrix")):
        return
    terminalreporter.section("verdict")
    for line in config.stash[VERDICT].lines():
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def start_broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Mapping[str, str]], BrokerProcess]:
    """Start a broker of the chosen kind, with settings of its own besides the common ones."""
    chosen = KINDS[request.config.getoption("broker")]

    def start(settings: Mapping[str, str]) -> BrokerProcess:
        broker = chosen(tmp_path_factory.mktemp("broker"), SETTINGS | dict(settings))
        try:
            broker.start()
        except BaseException:
            broker.wipe()
            raise
        return broker

    return start


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """The broker that all tests share."""
    bootstrap = request.config.getoption("bootstrap")
    if bootstrap:
        try:
            request.config.stash[SERVED] = _served(bootstrap)
        except (OSError, ValueError) as error:
            pytest.exit(f"no broker at {bootstrap.bootstrap}: {error}", returncode=1)
        yield bootstrap
        return
    start: Callable[[Mapping[str, str]], BrokerProcess] = request.getfixturevalue("start_broker")
    try:
        process = start({})
    except BrokerError as error:
        pytest.exit(f"no broker to test: {error}", returncode=1)  # not the same error 400 times
    request.config.stash[SERVED] = _served(process)
    yield process
    died = not process.running
    log = process.log_tail()
    if not died:
        process.stop()
    process.wipe()
    assert not died, f"the shared broker died:\n{log}"


def _skip_unless_served(config: pytest.Config, keys: Collection[int]) -> None:
    missing = sorted(API_TABLE[key].name for key in keys if key not in config.stash[SERVED])
    if missing:
        pytest.skip(f"{missing[0]} is not served")


def _served(broker: Broker) -> dict[int, range]:
    """The versions of each API that it advertises."""
    with RawClient(broker.host, broker.port) as raw:
        answer = raw.ask(ApiVersionsRequest(), 0, ApiVersionsResponse)
    return {one.api_key: range(one.min_version, one.max_version + 1) for one in answer.api_keys}


@pytest.fixture(scope="session")
def transactions(request: pytest.FixtureRequest, broker: Broker) -> int:
    """The finalized transaction.version; a broker without transactions is not judged."""
    _skip_unless_served(request.config, OF_TRANSACTIONS)
    with RawClient(broker.host, broker.port) as raw:
        asked = ApiVersionsRequest(client_software_name="compat", client_software_version="1")
        answer = raw.ask(asked, 3, ApiVersionsResponse)
    features = {one.name: one.max_version_level for one in answer.finalized_features}
    return features.get("transaction.version", 0)


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
def unique(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """`unique(prefix)`: a name that no other test, and no earlier session, has used."""
    session = request.config.stash[SESSION]
    numbers = itertools.count()
    return lambda prefix: f"{prefix}{made_by(session)}{next(numbers)}"


@pytest.fixture(scope="session")
def java_classes(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder of our compiled Java programs (compat/clients/java).

    Where a broker is judged without Java it is empty, and no test asks for what is in it.
    """
    with tempfile.TemporaryDirectory(prefix="compat-java-") as folder:
        sources = (Path(__file__).parent / "clients" / "java").glob("*.java")
        if request.config.getoption("bootstrap") and missing_java():
            yield Path(folder)
        else:
            yield apache.compile_java(sources, Path(folder))
