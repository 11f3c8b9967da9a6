"""Consumer groups whose members come and go, with every assignor of every client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.clients.librdkafka import Librdkafka
from compat.clients.member import ASSIGNORS, Member, await_that, shared_out
from compat.clients.records import Record, now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from compat.brokers import Broker
    from compat.conftest import NewBroker

    NewMember = Callable[..., Member]

PARTITIONS = 6
RECORDS = 600

# One of each client, and each assignor once, for every change; the rest on demand.
CI_ASSIGNORS = {
    ("kafka-python", "cooperative-sticky"),
    ("aiokafka", "roundrobin"),
    ("librdkafka", "cooperative-sticky"),
    ("java", "sticky"),
}


@pytest.fixture
def new_member(java_classes: Path) -> Iterator[NewMember]:
    """`new_member(client, bootstrap, group, topic, ...)`: a member that ends with the test."""
    members: list[Member] = []

    def new(client: str, bootstrap: str, group: str, topic: str, **options: str) -> Member:
        member = Member(client, bootstrap, group, topic, java_classes=java_classes, **options)  # type: ignore[arg-type]
        members.append(member)
        return member

    yield new
    for member in members:
        member.kill()


def produce(bootstrap: str, topic: str) -> None:
    """RECORDS more, evenly over the partitions."""
    records = [
        Record(partition=i % PARTITIONS, value=b"%d" % i, timestamp_ms=now_ms())
        for i in range(RECORDS)
    ]
    Librdkafka().produce(bootstrap, topic, records)


def assert_all_consumed_and_committed(
    bootstrap: str, group: str, topic: str, members: list[Member], rounds: int
) -> None:
    """The members together saw every record, and the group's positions are at the end."""
    end = rounds * RECORDS // PARTITIONS
    expected = {(partition, offset) for partition in range(PARTITIONS) for offset in range(end)}

    def positions() -> set[int]:
        found = (Librdkafka().committed(bootstrap, group, topic, p) for p in range(PARTITIONS))
        return {-1 if one is None else one.offset for one in found}

    def seen() -> set[tuple[int, int]]:
        return {place for member in members for place in member.offsets}

    await_that(lambda: seen() == expected and positions() == {end}, members)


@pytest.mark.parametrize(
    ("client", "assignor"),
    [
        pytest.param(*pair, marks=pytest.mark.ci if pair in CI_ASSIGNORS else pytest.mark.full)
        for pair in ASSIGNORS
    ],
)
def test_members_come_and_go(
    broker: Broker,
    new_member: NewMember,
    new_topic: Callable[..., str],
    unique: Callable[[str], str],
    client: str,
    assignor: str,
) -> None:
    topic, group = new_topic(PARTITIONS), unique("group")
    place = (broker.bootstrap, group, topic)
    produce(broker.bootstrap, topic)

    first = new_member(client, *place, assignor=assignor)
    await_that(lambda: shared_out([first], PARTITIONS), [first])
    second = new_member(client, *place, assignor=assignor)
    await_that(lambda: shared_out([first, second], PARTITIONS), [first, second])
    produce(broker.bootstrap, topic)

    third = new_member(client, *place, assignor=assignor)
    await_that(lambda: shared_out([first, second, third], PARTITIONS), [first, second, third])
    second.stop()
    await_that(lambda: shared_out([first, third], PARTITIONS), [first, third])
    produce(broker.bootstrap, topic)

    third.kill()  # says nothing: it is missed when its session has timed out
    await_that(lambda: shared_out([first], PARTITIONS), [first])
    assert_all_consumed_and_committed(*place, [first, second, third], rounds=3)


@pytest.mark.ci
@pytest.mark.java
def test_clients_of_all_kinds_share_a_group(
    broker: Broker,
    new_member: NewMember,
    new_topic: Callable[..., str],
    unique: Callable[[str], str],
) -> None:
    topic, group = new_topic(PARTITIONS), unique("group")
    place = (broker.bootstrap, group, topic)
    members: list[Member] = []
    for client in ("java", "librdkafka", "kafka-python", "aiokafka"):
        members.append(new_member(client, *place, assignor="range"))
        await_that(lambda: shared_out(members, PARTITIONS), members)
    produce(broker.bootstrap, topic)
    assert_all_consumed_and_committed(*place, members, rounds=1)
    rest = members[:]
    while len(rest) > 1:
        rest.pop(0).stop()
        await_that(lambda: shared_out(rest, PARTITIONS), rest)
    produce(broker.bootstrap, topic)
    assert_all_consumed_and_committed(*place, members, rounds=2)


@pytest.mark.parametrize(
    "client",
    [
        pytest.param("kafka-python", marks=pytest.mark.full),
        pytest.param("aiokafka", marks=pytest.mark.full),
        pytest.param("librdkafka", marks=pytest.mark.ci),
        pytest.param("java", marks=pytest.mark.ci),
    ],
)
def test_a_static_member_that_restarts_in_time_disturbs_nobody(
    broker: Broker,
    new_member: NewMember,
    new_topic: Callable[..., str],
    unique: Callable[[str], str],
    client: str,
) -> None:
    """KIP-345."""
    topic, group = new_topic(PARTITIONS), unique("group")
    place = (broker.bootstrap, group, topic)
    options = {"session_timeout_ms": 60_000}
    one = new_member(client, *place, instance="one", **options)
    two = new_member(client, *place, instance="two", **options)
    await_that(lambda: shared_out([one, two], PARTITIONS), [one, two])
    part = one.assignment

    one.kill()
    quiet_since = len(two.events)
    again = new_member(client, *place, instance="one", **options)
    await_that(lambda: again.assignment == part, [again, two])
    produce(broker.bootstrap, topic)
    assert_all_consumed_and_committed(*place, [again, two], rounds=1)

    again.stop()  # a static member does not leave
    third = new_member(client, *place, instance="one", **options)
    await_that(lambda: third.assignment == part, [third, two])
    rebalances = [e for e in two.events[quiet_since:] if e["event"] in ("assigned", "revoked")]
    assert not rebalances


@pytest.mark.ci
@pytest.mark.parametrize("client", ["java", "librdkafka"])
def test_a_second_holder_of_an_instance_id_fences_the_first(
    broker: Broker,
    new_member: NewMember,
    new_topic: Callable[..., str],
    unique: Callable[[str], str],
    client: str,
) -> None:
    place = (broker.bootstrap, unique("group"), new_topic(PARTITIONS))
    old = new_member(client, *place, instance="same")
    await_that(lambda: shared_out([old], PARTITIONS), [old])
    new = new_member(client, *place, instance="same")
    await_that(lambda: bool(old.said("error")), [new])
    assert "fenced" in old.said("error")[0]["message"].lower()
    await_that(lambda: shared_out([new], PARTITIONS), [new])


@pytest.mark.parametrize(
    "client",
    [
        pytest.param("kafka-python", marks=pytest.mark.full),
        pytest.param("aiokafka", marks=pytest.mark.full),
        pytest.param("librdkafka", marks=pytest.mark.ci),
        pytest.param("java", marks=pytest.mark.ci),
    ],
)
def test_a_group_goes_on_after_a_restart_of_the_broker(
    new_broker: NewBroker, new_member: NewMember, client: str
) -> None:
    from compat.clients.conftest import create_topic

    broker = new_broker()

    def crash() -> None:
        broker.kill()
        broker.start()

    topic = create_topic(broker.bootstrap, "restarted", PARTITIONS)
    place = (broker.bootstrap, "group", topic)
    members = [new_member(client, *place), new_member(client, *place)]
    await_that(lambda: shared_out(members, PARTITIONS), members)
    produce(broker.bootstrap, topic)
    assert_all_consumed_and_committed(*place, members, rounds=1)
    for rounds, restart in ((2, broker.restart), (3, crash)):
        committed = (rounds - 1) * RECORDS // PARTITIONS
        before = [len(member.offsets) for member in members]
        restart()
        produce(broker.bootstrap, topic)
        assert_all_consumed_and_committed(*place, members, rounds=rounds)
        # A commit may have failed meanwhile, and its records come again; older ones may not.
        for member, seen in zip(members, before, strict=True):
            assert all(offset >= committed for _, offset in member.offsets[seen:])
