"""Random members, coming, going, late and silent; the log may commit late or not at all.

Invariants: there is one generation at a time, and it only grows; all members of a generation are
told the same of it, and exactly its leader is told its members; every assignment is the one that
the generation's leader gave; who is told an assignment is told once it is stored; the log alone
says what the live shard says.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kbroker.coordinators.group.classic.group import GroupState
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.leave_group import MemberIdentity
from tests.kbroker.coordinators.rig import (
    GROUP,
    ShardRig,
    commit_request,
    join_request,
    subscription,
    sync_request,
)

if TYPE_CHECKING:
    from kbroker.coordinators.group.shard import GroupShard
    from kbroker.coordinators.result import Parked
    from kbroker.wire.messages.join_group import JoinGroupResponse
    from kbroker.wire.messages.sync_group import SyncGroupResponse

CLIENTS_MAX = 5
PROTOCOLS = [
    {"range": subscription("t")},
    {"range": subscription("t", "u")},
    {"sticky": subscription("t"), "range": subscription("t")},
    {"range": subscription("t"), "sticky": subscription("t")},
]


@dataclass
class Consumer:
    """A client as it sees itself."""

    instance_id: str | None
    member_id: str = ""
    generation_id: int = -1
    is_leader: bool = False
    members: list[str] = field(default_factory=list)
    joining: Parked[JoinGroupResponse] | None = None
    syncing: Parked[SyncGroupResponse] | None = None

    syncing_generation: int = -1
    has_assignment: bool = False

    def forget(self) -> None:
        self.member_id = ""
        self.generation_id = -1
        self.has_assignment = False


class GroupMachine(RuleBasedStateMachine):
    seen: ClassVar[Counter[str]] = Counter()  # what the invariants were held to, in all runs

    def __init__(self) -> None:
        super().__init__()
        self.rig = ShardRig(
            group_initial_rebalance_delay_ms=500,
            group_max_size=4,
            offsets_retention_minutes=1,
            offsets_retention_check_interval_ms=20_000,
        )
        self.consumers = [Consumer(None if i < 3 else f"i{i}") for i in range(CLIENTS_MAX)]
        self.highest_generation = 0
        self.told: dict[int, tuple[str, str | None]] = {}  # generation -> leader, protocol
        self.given: dict[int, dict[str, bytes]] = {}  # generation -> assignment

    # --- clients

    @rule(
        turns=st.lists(st.integers(0, CLIENTS_MAX - 1), min_size=4, max_size=12),
        protocols=st.sampled_from(PROTOCOLS),
        by_ms=st.sampled_from([0, 500, 2_000]),
    )
    def some_do_what_clients_do(
        self, turns: list[int], protocols: dict[str, bytes], by_ms: int
    ) -> None:
        for who in turns:
            consumer = self.consumers[who]
            if consumer.joining is not None or consumer.syncing is not None:
                continue
            if consumer.generation_id < 0:
                self.join(who, protocols)
            elif not consumer.has_assignment:
                self.sync(who)
            else:
                self.heartbeat(who)
        self.rig.advance(by_ms)
        self.listen()

    @rule(who=st.integers(0, CLIENTS_MAX - 1), protocols=st.sampled_from(PROTOCOLS))
    def join(self, who: int, protocols: dict[str, bytes]) -> None:
        consumer = self.consumers[who]
        request = join_request(
            consumer.member_id, instance_id=consumer.instance_id, protocols=protocols
        )
        consumer.syncing = None
        consumer.joining = self.rig.join(request)
        self.listen()

    @rule(who=st.integers(0, CLIENTS_MAX - 1))
    def sync(self, who: int) -> None:
        consumer = self.consumers[who]
        assignment = {}
        if consumer.is_leader and consumer.generation_id >= 0:
            assignment = {
                name: f"{consumer.generation_id}:{name}".encode() for name in consumer.members
            }
        consumer.syncing_generation = consumer.generation_id
        consumer.syncing = self.rig.sync(
            sync_request(
                consumer.member_id,
                consumer.generation_id,
                assignment,
                instance_id=consumer.instance_id,
            )
        )
        response = consumer.syncing.response
        if assignment and (response is None or response.error_code == ErrorCode.NONE):
            self.given.setdefault(consumer.generation_id, assignment)
        self.listen()

    @rule(who=st.integers(0, CLIENTS_MAX - 1))
    def heartbeat(self, who: int) -> None:
        consumer = self.consumers[who]
        error = self.rig.heartbeat(
            consumer.member_id, consumer.generation_id, instance_id=consumer.instance_id
        )
        if error in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID):
            consumer.forget()
        elif error is not ErrorCode.NONE:
            consumer.generation_id = -1

    @rule(who=st.integers(0, CLIENTS_MAX - 1))
    def leave(self, who: int) -> None:
        consumer = self.consumers[who]
        self.rig.leave(
            MemberIdentity(member_id=consumer.member_id, group_instance_id=consumer.instance_id)
        )
        self.restart(who)
        self.listen()

    @rule(who=st.integers(0, CLIENTS_MAX - 1))
    def restart(self, who: int) -> None:
        self.consumers[who] = Consumer(self.consumers[who].instance_id)

    @rule(who=st.integers(0, CLIENTS_MAX - 1), offset=st.integers(0, 100))
    def commit_offset(self, who: int, offset: int) -> None:
        consumer = self.consumers[who]
        before = self.rig.committed(0)
        error = self.rig.commit_offsets(
            commit_request(
                {0: offset},
                member_id=consumer.member_id,
                generation_id=consumer.generation_id,
                instance_id=consumer.instance_id,
            )
        )
        assert self.rig.committed(0) == (offset if error is ErrorCode.NONE else before)

    # --- the world

    @rule(by_ms=st.sampled_from([1, 400, 3_000, 9_000, 30_000, 90_000]))
    def time_passes(self, by_ms: int) -> None:
        self.rig.advance(by_ms)
        self.listen()

    @rule()
    def the_log_hangs(self) -> None:
        self.rig.hold = True

    @precondition(lambda self: self.rig.hold)
    @rule(in_time=st.booleans())
    def the_log_goes_on(self, in_time: bool) -> None:
        self.rig.hold = False
        if in_time:
            self.rig.commit()
        else:
            self.rig.time_out(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        self.listen()

    @rule(is_broken=st.booleans())
    def the_disk_breaks(self, is_broken: bool) -> None:
        self.rig.append_error = ErrorCode.NOT_COORDINATOR if is_broken else ErrorCode.NONE

    # --- what clients are told

    def listen(self) -> None:
        for consumer in self.consumers:
            if consumer.joining is not None and consumer.joining.response is not None:
                self.joined(consumer, consumer.joining.response)
                consumer.joining = None
            if consumer.syncing is not None and consumer.syncing.response is not None:
                self.synced(consumer, consumer.syncing.response)
                consumer.syncing = None

    def joined(self, consumer: Consumer, response: JoinGroupResponse) -> None:
        if response.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            consumer.member_id = response.member_id
            return
        if response.error_code != ErrorCode.NONE:
            if response.error_code != ErrorCode.GROUP_MAX_SIZE_REACHED:
                consumer.forget()
            return
        consumer.member_id = response.member_id
        consumer.generation_id = response.generation_id
        consumer.has_assignment = False
        consumer.is_leader = response.leader == response.member_id
        consumer.members = [member.member_id for member in response.members]
        if consumer.is_leader:
            assert response.member_id in consumer.members
            assert len(consumer.members) <= 4
        else:
            assert consumer.members == []
        if consumer.instance_id is None and not consumer.is_leader:
            # A static leader may change its id without a new generation, and old hands keep the
            # old leader's.
            told = self.told.setdefault(
                response.generation_id, (response.leader, response.protocol_name)
            )
            assert told[1] == response.protocol_name

    def synced(self, consumer: Consumer, response: SyncGroupResponse) -> None:
        consumer.has_assignment = response.error_code == ErrorCode.NONE
        if response.error_code == ErrorCode.NONE:
            given = self.given.get(consumer.syncing_generation, {})
            assert response.assignment in (*given.values(), b"")
            self.seen["assignments"] += response.assignment != b""
            if consumer.instance_id is None and consumer.member_id in given:
                assert response.assignment == given[consumer.member_id]
        elif response.error_code in (
            ErrorCode.UNKNOWN_MEMBER_ID,
            ErrorCode.FENCED_INSTANCE_ID,
        ):
            consumer.forget()
        else:
            consumer.generation_id = -1

    # --- what must hold

    @invariant()
    def generations_only_grow(self) -> None:
        group = self.rig.shard.groups.get(GROUP)
        if group is None:
            self.highest_generation = 0
            self.told.clear()
            self.given.clear()
        else:
            assert group.generation_id >= self.highest_generation
            self.highest_generation = group.generation_id

    @invariant()
    def counts_are_true(self) -> None:
        group = self.rig.shard.groups.get(GROUP)
        if group is None:
            return
        members = group.members.values()
        assert group.awaiting_join_count == sum(m.awaiting_join is not None for m in members)
        assert set(group.static_members.values()) == {
            m.member_id for m in members if m.instance_id is not None
        }
        assert not set(group.pending_joins) & set(group.members)
        assert (group.leader_id is not None) == bool(members)
        assert group.leader_id is None or group.leader_id in group.members
        if group.state is not GroupState.COMPLETING_REBALANCE:
            assert all(m.awaiting_sync is None for m in members)
        if group.state is GroupState.EMPTY:
            assert not members
        if group.state is GroupState.COMPLETING_REBALANCE or group.state is GroupState.STABLE:
            assert members
            assert group.protocol_name is not None

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        """Whoever is parked is waited for by a deadline."""
        group = self.rig.shard.groups.get(GROUP)
        if group is None:
            return
        match group.state:
            case GroupState.PREPARING_REBALANCE:
                assert group.join_due.due_ms >= self.rig.time_ms
                assert group.join_due.armed_ms <= group.join_due.due_ms < 1 << 60
            case GroupState.COMPLETING_REBALANCE if group.pending_syncs:
                assert group.sync_due.due_ms < 1 << 60

    @invariant()
    def the_log_says_the_same(self) -> None:
        """replay(all records) is the live state, in what is stored and not held back."""
        live, replayed = self.rig.shard, self.rig.reload()
        assert set(live.groups) == set(replayed.groups)
        offsets = list(live.offsets.of_group(GROUP))
        assert offsets == list(replayed.offsets.of_group(GROUP))
        self.seen["offsets"] += len(offsets)
        if self.rig.held or self.rig.is_behind:
            return
        group = live.groups.get(GROUP)
        if group is not None and group.state is GroupState.STABLE:
            assert stored_view(live) == stored_view(replayed)
            self.seen["stable groups"] += 1
        if group is not None and group.state is GroupState.EMPTY:
            assert replayed.groups[GROUP].generation_id == group.generation_id
            assert replayed.groups[GROUP].members == {}
            self.seen["empty groups"] += 1


def stored_view(shard: GroupShard) -> object:
    group = shard.groups[GROUP]
    assert group.protocol_name is not None
    return (
        group.generation_id,
        group.leader_id,
        group.protocol_type,
        group.protocol_name,
        group.subscribed_topics,
        {
            m.member_id: (
                m.instance_id,
                m.client_id,
                m.client_host,
                m.session_timeout_ms,
                m.rebalance_timeout_ms,
                m.metadata(group.protocol_name),
                m.assignment,
            )
            for m in group.members.values()
        },
    )


def test_whatever_clients_do_a_group_stays_sound() -> None:
    GroupMachine.seen.clear()
    run_state_machine_as_test(
        GroupMachine,
        settings=settings(
            max_examples=120,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    for what in ("offsets", "stable groups", "empty groups", "assignments"):
        assert GroupMachine.seen[what] > 0, what
