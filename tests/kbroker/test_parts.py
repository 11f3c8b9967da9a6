"""A part of a request that fails costs that part alone: the others are done, and answered as done.

Each API whose request has several parts is asked for three of them, and each of the broker's
functions that is called for the one in the middle fails in its turn.
"""

from __future__ import annotations

import errno
import logging
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import trio

from kbroker.apis import APIS
from kbroker.config.describe import describe_topic
from kbroker.coordinators.group.classic.rebalance_rules import RebalanceRules
from kbroker.coordinators.group.shard import GroupShard
from kbroker.coordinators.partition import CoordinatedPartition
from kbroker.coordinators.runtime import CoordinatorRuntime
from kbroker.node.settings import TopicSpec
from kbroker.storage.batch import CRC_AT, HEADER, LENGTH_AT, LOG_OVERHEAD, batch_crc
from kbroker.wire.codes import ResourceType
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages import (
    incremental_alter_configs,
    metadata,
    produce,
)
from kbroker.wire.schema import fields_of
from tests.kbroker.parts.cases import (
    APART,
    CASES,
    WHOLE,
    Case,
)
from tests.kbroker.parts.requests import (
    commit_request,
    delete_groups_request,
    describe_configs_request,
    describe_groups_request,
    group_offsets_request,
    leave_request,
    metadata_request,
)
from tests.kbroker.parts.seams import Planted, Seam, Watch
from tests.kbroker.parts.world import (
    INDEXES,
    MANY,
    SETTINGS,
    UNKNOWN,
    Parts,
    World,
    batch,
    codes,
    groups_apart,
    members,
    new_machine,
    topics,
    topics_with_offsets,
)
from tests.sim.broker import Machine
from tests.sim.clock import patient_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from kbroker.config import TopicConfig
    from kbroker.config.describe import DescribedConfig
    from kbroker.wire.message import Message, Struct
    from tests.sim.clock import BusyThreads


def has_lists(request: type[Struct]) -> bool:
    return any(each.is_array for each in fields_of(request))


def test_every_api_with_parts_is_in_the_table() -> None:
    with_parts = {api.name for api in APIS if has_lists(api.request)}
    assert len(with_parts) > 30
    assert {case.api for case in CASES} | set(WHOLE) == with_parts
    assert not {case.api for case in CASES} & set(WHOLE)


@pytest.fixture
def clock(busy_threads: BusyThreads) -> trio.testing.MockClock:
    """Jumps only when nothing has happened for a while, not even in a thread."""
    return patient_clock(busy_threads, autojump_threshold=0.003)


# What is decided for all parts is written as one batch, all or none: the modules that make it.
ONE_BATCH = ("controller/records.py", "coordinators/group/records.py")


class Asked(NamedTuple):
    """A request and what came of it."""

    parts: Parts
    response: Any
    watch: Watch

    def check(self, case: Case, bad: ErrorCode) -> None:
        """That the good parts are answered as ever, and the bad one like this."""
        expected = {part: case.expected for part in self.parts.names}
        expected[self.parts.bad] = bad
        assert codes(self.response, self.parts) == expected, self.response
        assert getattr(self.response, "error_code", 0) == 0


async def ask(world: World, case: Case, watch_for: Callable[[Parts], Watch]) -> Asked:
    parts = await case.prepare(world)
    with watch_for(parts) as watch:
        response = await world.ask(case.request(parts), case.version)
    return Asked(parts, response, watch)


async def find_seams(world: World, case: Case) -> list[Seam]:
    asked = await ask(world, case, lambda parts: Watch(parts.all_names(), parts.bad))
    asked.check(case, case.expected)
    return asked.watch.seams


async def fail(world: World, case: Case, seam: Seam, failure: Exception) -> bool:
    """Ask while the seam fails, and look at the answer. False if it was not called so often."""
    asked = await ask(world, case, lambda parts: Watch(parts.all_names(), parts.bad, seam, failure))
    if not asked.watch.has_failed:
        assert case.waits, f"{seam} was not called"
        asked.check(case, case.expected)
        return False
    if seam.code.co_filename.endswith(ONE_BATCH) and not case.has_own_batches:
        await refuses_all_and_does_nothing(world, case, asked)
        return True
    asked.check(case, case.refused)
    if case.is_done is not None:
        await case.is_done(world, asked.parts, asked.response)
    return True


async def refuses_all_and_does_nothing(world: World, case: Case, asked: Asked) -> None:
    # The whole response has one code, or each part has it.
    found = codes(asked.response, asked.parts)
    if found:
        assert found == dict.fromkeys(asked.parts.names, UNKNOWN)
    else:
        assert asked.response.error_code == UNKNOWN
    again = await world.ask(case.request(asked.parts), case.version)
    assert codes(again, asked.parts) == dict.fromkeys(asked.parts.names, case.expected)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_an_unexpected_failure_costs_one_part(
    case: Case, clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    machine = new_machine()
    settings = {**SETTINGS, **case.settings}
    async with machine.broker(TopicSpec(MANY, 39), settings=settings) as client:
        world = World(machine, client)
        await find_seams(world, case)  # what is done the first time only is done
        seams = await find_seams(world, case)
        if case.has_own_batches:
            # A log that fails is offline from then on, and these groups have no other.
            seams = [each for each in seams if "/storage/" not in each.code.co_filename]
        assert seams
        assert not caplog.records, caplog.text
        failed = 0
        for seam in seams:
            failure = Planted(f"{seam}")
            if not await fail(world, case, seam, failure):
                continue
            failed += 1
            told = [record.exc_info for record in caplog.records]
            assert len(told) == 1, caplog.text
            assert told[0] is not None
            assert told[0][1] is failure
            caplog.clear()
        assert failed > len(seams) // 2


# With failures that come to pass by themselves.


HOSTILE_LENGTHS = {
    "never ends": b"\xff" * 10,
    "of more than 32 bits": b"\xff\xff\xff\xff\x7f",
    "below 0": b"\x81\x00",
    "beyond the batch": b"\xc8\x01",
}


def with_length(length: bytes) -> bytes:
    """A batch with a right CRC whose only record says that it is so long."""
    hostile = bytearray(batch())
    hostile[HEADER : HEADER + 1] = length
    struct.pack_into(">i", hostile, LENGTH_AT, len(hostile) - LOG_OVERHEAD)
    struct.pack_into(">I", hostile, CRC_AT, batch_crc(memoryview(hostile)))
    return bytes(hostile)


@pytest.mark.parametrize("length", HOSTILE_LENGTHS.values(), ids=HOSTILE_LENGTHS)
@pytest.mark.parametrize(
    "configs", [{}, {"cleanup.policy": "compact"}, {"compression.type": "gzip"}], ids=str
)
async def test_a_hostile_batch_costs_its_partition_alone(
    length: bytes,
    configs: dict[str, str],
    clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    async with Machine().broker(TopicSpec("t", 3, configs)) as client:
        records = (batch(), with_length(length), batch())
        response = await client.call(
            produce.ProduceRequest(
                acks=-1,
                timeout_ms=10_000,
                topic_data=[
                    produce.TopicProduceData(
                        name="t",
                        partition_data=[
                            produce.PartitionProduceData(index=index, records=each)
                            for index, each in enumerate(records)
                        ],
                    )
                ],
            ),
            produce.ProduceResponse,
            12,
        )
        (topic,) = response.responses
        assert [
            (each.index, each.error_code, each.base_offset) for each in topic.partition_responses
        ] == [(0, ErrorCode.NONE, 0), (1, ErrorCode.INVALID_RECORD, -1), (2, ErrorCode.NONE, 0)]
        sizes = [len(await client.fetch("t", 0, index=index)) for index in range(3)]
        assert [size > HEADER for size in sizes] == [True, False, True]
    assert not caplog.records


async def test_loggers_that_are_set_are_answered_though_the_controller_cannot_write(
    clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine()
    logger = logging.getLogger("kbroker.moves")
    monkeypatch.setattr(logger, "level", logging.NOTSET)  # and back at the end
    async with machine.broker(TopicSpec("t")) as client:
        machine.disk.fail_next("append", errno.ENOSPC, "__cluster_metadata")
        settings = (
            (ResourceType.BROKER_LOGGER, "1", logger.name, "WARN"),
            (ResourceType.TOPIC, "t", "retention.ms", "50000"),
        )
        response = await client.call(
            incremental_alter_configs.IncrementalAlterConfigsRequest(
                resources=[
                    incremental_alter_configs.AlterConfigsResource(
                        resource_type=kind,
                        resource_name=name,
                        configs=[incremental_alter_configs.AlterableConfig(name=key, value=value)],
                    )
                    for kind, name, key, value in settings
                ]
            ),
            incremental_alter_configs.IncrementalAlterConfigsResponse,
            1,
        )
    found = {each.resource_type: each.error_code for each in response.responses}
    assert found[ResourceType.BROKER_LOGGER] == ErrorCode.NONE
    assert logger.level == logging.WARNING
    assert found[ResourceType.TOPIC] == ErrorCode.KAFKA_STORAGE_ERROR


async def test_topics_that_are_there_are_told_though_others_cannot_be_created(
    clock: trio.testing.MockClock,
) -> None:
    machine = Machine()
    async with machine.broker(TopicSpec("before"), TopicSpec("behind")) as client:
        machine.disk.fail_next("append", errno.ENOSPC, "__cluster_metadata")
        parts = Parts(("before", "absent", "behind"))
        response = await client.call(
            metadata_request(parts, create=True), metadata.MetadataResponse, 12
        )
    assert codes(response, parts) == {
        "before": ErrorCode.NONE,
        "absent": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        "behind": ErrorCode.NONE,
    }


@pytest.mark.parametrize("waits", [False, True])
async def test_unknown_topics_are_told_though_the_group_fails(
    clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    """Both while the commit is decided and while it waits for a flush."""
    machine = new_machine()
    settings = {**SETTINGS, "log.flush.interval.messages": "1"}
    async with machine.broker(settings=settings) as client:
        world = World(machine, client)
        known = (await topics_with_offsets(world)).names
        parts = Parts((known[0], "absent", known[2]))

        def fail_at_once(*_: object) -> None:
            raise Planted

        async def fail_later(*_: object) -> None:
            raise Planted

        if waits:
            monkeypatch.setattr(CoordinatorRuntime, "wait_all_committed", fail_later)
        else:
            monkeypatch.setattr(GroupShard, "decide_commit", fail_at_once)
        response = await world.ask(commit_request(parts), 9)
    assert codes(response, parts) == {
        known[0]: UNKNOWN,
        "absent": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        known[2]: UNKNOWN,
    }


@pytest.mark.parametrize(
    "request_of",
    [(group_offsets_request, 9), (describe_groups_request, 6), (delete_groups_request, 2)],
    ids=["OffsetFetch", "DescribeGroups", "DeleteGroups"],
)
async def test_a_wait_that_fails_costs_the_groups_that_wait(
    clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    request_of: tuple[Callable[[Parts], Message], int],
) -> None:
    machine = new_machine()
    async with machine.broker(TopicSpec(MANY, 1), settings={**SETTINGS, **APART}) as client:
        world = World(machine, client)
        parts = await groups_apart(world)
        wait_all_committed = CoordinatorRuntime.wait_all_committed

        async def fail_for_one(
            runtime: CoordinatorRuntime[GroupShard], partition: CoordinatedPartition[GroupShard]
        ) -> ErrorCode:
            await trio.lowlevel.checkpoint()
            if partition.index == INDEXES[1]:
                raise Planted
            return await wait_all_committed(runtime, partition)

        monkeypatch.setattr(CoordinatorRuntime, "wait_all_committed", fail_for_one)
        monkeypatch.setattr(CoordinatedPartition, "is_all_committed", property(lambda _: False))
        make, version = request_of
        response = await world.ask(make(parts), version)
    expected = dict.fromkeys(parts.names, ErrorCode.NONE)
    assert codes(response, parts) == {**expected, parts.bad: UNKNOWN}


async def test_members_have_left_though_the_rebalance_fails(
    clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail_at_once(*_: object) -> None:
        raise Planted

    machine = new_machine()
    async with machine.broker(settings=SETTINGS) as client:
        world = World(machine, client)
        parts = await members(world)
        monkeypatch.setattr(RebalanceRules, "prepare_or_complete", fail_at_once)
        response = await world.ask(leave_request(parts), 4)
    assert codes(response, parts) == dict.fromkeys(parts.names, ErrorCode.NONE)
    assert "Planted" in caplog.text


async def test_what_is_half_described_is_not_told(
    clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    described: list[str] = []
    describe = describe_topic

    def fail_once(config: TopicConfig, wanted: Container[str]) -> Iterator[DescribedConfig]:
        for entry in describe(config, wanted):
            described.append(entry.name)
            if entry.name == "retention.ms" and described.count(entry.name) == 2:
                raise Planted
            yield entry

    monkeypatch.setattr("kbroker.handlers.describe_configs.describe_topic", fail_once)
    async with new_machine().broker(settings=SETTINGS) as client:
        world = World(new_machine(), client)
        parts = await topics(world)
        response = await world.ask(describe_configs_request(parts, ResourceType.TOPIC), 4)
    assert codes(response, parts) == {
        parts.good[0]: ErrorCode.NONE,
        parts.bad: UNKNOWN,
        parts.good[1]: ErrorCode.NONE,
    }
    sizes = [len(result.configs) for result in response.results]
    assert [size > 0 for size in sizes] == [True, False, True]


async def test_a_broken_invariant_in_one_part_stops_the_broker(
    clock: trio.testing.MockClock,
) -> None:
    broken = AssertionError("broken on purpose")
    case = CASES[0]
    machine = new_machine()

    async def break_one() -> None:
        async with machine.broker(settings=SETTINGS) as client:
            world = World(machine, client)
            seams = await find_seams(world, case)
            (append,) = [each for each in seams if each.code.co_qualname == "Log.append"]
            await fail(world, case, append, broken)

    with pytest.raises(BaseExceptionGroup) as stopped:
        await break_one()
    assert stopped.value.subgroup(lambda error: error is broken) is not None
