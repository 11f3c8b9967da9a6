"""Groups: members that share a topic, commits, and what an onlooker sees."""

from __future__ import annotations

import random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from kbroker.client.cluster import Cluster
from kbroker.client.errors import ClientError
from kbroker.client.group_member import joined, range_shares
from kbroker.client.groups import (
    assigned_partitions,
    describe_group,
    find_group,
    list_groups,
)
from kbroker.client.producer import Producer
from kbroker.client.records import BEGINNING, END, Reader
from kbroker.node.settings import TopicSpec

from .rig import cluster_of


async def write(cluster: Cluster, partition: int, count: int) -> None:
    producer = Producer(cluster, "t", random.Random(1))
    await producer.start()
    for _ in range(count):
        producer.send(0, None, b"x", partition=partition)
    await producer.flush()


async def test_a_member_reads_commits_and_goes_on_where_it_was() -> None:
    async with cluster_of(TopicSpec("t", 2)) as (cluster, _):
        await write(cluster, 0, 5)
        async with joined(cluster, "g", "t", BEGINNING) as member:
            positions = await member.join()
            assert positions == {("t", 0): 0, ("t", 1): 0}
            reader = Reader(cluster, positions)
            assert [len(batch) for batch in await reader.read(0.1)] == [5]
            await member.commit(reader.positions)
        await write(cluster, 0, 3)
        async with joined(cluster, "g", "t", END) as member:
            assert await member.join() == {("t", 0): 5, ("t", 1): 0}


async def test_what_an_onlooker_sees() -> None:
    async with cluster_of(TopicSpec("t", 2)) as (cluster, _):
        await write(cluster, 0, 5)
        async with joined(cluster, "g", "t", BEGINNING) as member:
            await member.join()
            await member.commit({("t", 0): 2})
            (listing,) = await list_groups(cluster)
            assert (listing.group_id, listing.state, listing.type) == ("g", "Stable", "classic")
            group = await describe_group(cluster, await find_group(cluster, "g"))
            assert (group.state, len(group.members)) == ("Stable", 1)
            assert group.members[0].partitions == [("t", 0), ("t", 1)]
            assert [(p.partition, p.committed, p.end, p.lag) for p in group.partitions] == [
                (0, 2, 5, 3),
                (1, None, 0, None),
            ]
        group = await describe_group(cluster, await find_group(cluster, "g"))
        assert (group.state, group.members) == ("Empty", [])
        assert [(p.partition, p.lag) for p in group.partitions] == [(0, 3)]


async def test_a_second_member_takes_its_share() -> None:
    async with (
        cluster_of(TopicSpec("t", 4)) as (cluster, links),
        joined(cluster, "g", "t", BEGINNING, heartbeat_s=0.1) as first,
    ):
        assert len(await first.join()) == 4
        other = Cluster([("broker", 9092)], links.connect)
        await other.refresh([])
        shares: list[dict[tuple[str, int], int]] = []
        async with joined(other, "g", "t", BEGINNING) as second, trio.open_nursery() as nursery:

            async def join_second() -> None:
                shares.append(await second.join())

            nursery.start_soon(join_second)
            with trio.fail_after(10):
                reader = Reader(cluster, {})
                while not first.must_rejoin:  # the next heartbeat says so
                    await reader.read(0.05)
                shares.append(await first.join())
        await other.close()
        assert sorted(partition for share in shares for partition in share) == [
            ("t", index) for index in range(4)
        ]
        assert [len(share) for share in shares] == [2, 2]


async def test_a_group_that_is_not_there() -> None:
    async with cluster_of() as (cluster, _):
        assert await list_groups(cluster) == []
        with pytest.raises(ClientError, match=r"There is no group 'nope'\."):
            await find_group(cluster, "nope")


@pytest.mark.parametrize("assignment", [b"", b"\0", b"\0\0\0\0\0\1", b"nonsense"])
def test_an_assignment_that_is_not_to_be_read_is_empty(assignment: bytes) -> None:
    assert assigned_partitions(assignment) == []


@given(st.integers(0, 50), st.integers(1, 10))
def test_range_shares_are_consecutive_and_even(partitions: int, members: int) -> None:
    names = [f"m{number}" for number in range(members)]
    shares = range_shares(partitions, names)
    assert [index for name in names for index in shares[name]] == list(range(partitions))
    sizes = [len(shares[name]) for name in names]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)
