"""Looking up the coordinator of a transaction: at every version, and without a trace on groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse

from .asking import assert_none, make_topic
from .groups import commit, describe_group, fetch_offsets, heartbeat, stable_member
from .transactions import TRANSACTION, coordinate_transactions, init_producer_id, retried

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker
    from compat.raw import RawClient

pytestmark = [
    pytest.mark.ci,
    pytest.mark.item(21),
    pytest.mark.usefixtures("transactions"),
]


@pytest.mark.parametrize("version", range(1, 4))
def test_one_by_one(
    raw: RawClient, broker: Broker, unique: Callable[[str], str], version: int
) -> None:
    request = FindCoordinatorRequest(key=unique("transactional"), key_type=TRANSACTION)
    found = retried(
        lambda: raw.ask(request, version, FindCoordinatorResponse), lambda one: one.error_code
    )
    assert_none(found.error_code)
    assert (found.node_id >= 0, found.port > 0, bool(found.host)) == (True, True, True)


@pytest.mark.parametrize("version", range(4, 7))
def test_several_at_once(raw: RawClient, unique: Callable[[str], str], version: int) -> None:
    names = [unique("transactional") for _ in range(5)]
    for name in names:
        coordinate_transactions(raw, name)
    request = FindCoordinatorRequest(key_type=TRANSACTION, coordinator_keys=names)
    found = raw.ask(request, version, FindCoordinatorResponse).coordinators
    assert [(one.key, one.error_code) for one in found] == [(name, 0) for name in names]
    assert all(one.node_id >= 0 and one.port > 0 and one.host for one in found)


def test_a_group_of_the_same_name_goes_on(
    raw: RawClient, group: str, unique: Callable[[str], str]
) -> None:
    topic = unique("undisturbed")
    make_topic(raw, topic)
    joined = stable_member(raw, group)
    member = {"generation": joined.generation_id, "member_id": joined.member_id}
    assert_none(commit(raw, group, topic, 7, **member))  # type: ignore[arg-type]

    def look_up() -> list[tuple[str, int, int]]:
        request = FindCoordinatorRequest(coordinator_keys=[group])
        found = raw.ask(request, 4, FindCoordinatorResponse).coordinators
        return [(one.key, one.node_id, one.error_code) for one in found]

    before = describe_group(raw, group), look_up()
    assert before[0].group_state == "Stable"
    for version in range(1, 7):
        names = {"key": group} if version < 4 else {"coordinator_keys": [group, group + "-other"]}
        request = FindCoordinatorRequest(key_type=TRANSACTION, **names)  # type: ignore[arg-type]
        raw.ask(request, version, FindCoordinatorResponse)
        assert_none(heartbeat(raw, group, joined.generation_id, joined.member_id))
    coordinate_transactions(raw, group)
    assert_none(init_producer_id(raw, group).error_code)
    assert_none(heartbeat(raw, group, joined.generation_id, joined.member_id))
    assert (describe_group(raw, group), look_up()) == before
    found = fetch_offsets(raw, group, {topic: [0]}).topics[0].partitions[0]
    assert (found.error_code, found.committed_offset) == (0, 7)
