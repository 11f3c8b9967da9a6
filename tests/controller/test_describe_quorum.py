"""DescribeQuorum, as the leader of one voter and of several sees its quorum."""

from __future__ import annotations

import random
from dataclasses import replace

from kbroker.controller.context import QuorumContext
from kbroker.controller.describe_quorum import answer_describe_quorum
from kbroker.controller.image import EndpointImage
from kbroker.controller.raft.effects import Receive, Tick
from kbroker.controller.raft.log import EpochLog
from kbroker.controller.raft.messages import Fetch, VoteReply
from kbroker.controller.raft.node import RaftConfig, RaftNode
from kbroker.controller.raft.voters import Endpoint, ReplicaKey, Voter, VoterSet
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumRequestPartitionData,
    DescribeQuorumRequestTopicData,
    DescribeQuorumResponse,
)
from tests.controller.parts import SETTINGS

WALL_MS = 1_700_000_000_000
OWN = {"CONTROLLER": EndpointImage("own", 9093, 0)}


def node(voters: VoterSet) -> RaftNode:
    made = RaftNode(
        local=next(iter(voters)).key,
        voters=voters,
        log=EpochLog(),
        stored=None,
        config=RaftConfig(),
        rng=random.Random(1),
    )
    made.start(0)
    return made


def describe(of: RaftNode, now_ms: int) -> DescribeQuorumResponse:
    asked = DescribeQuorumRequestTopicData(
        topic_name="__cluster_metadata",
        partitions=[DescribeQuorumRequestPartitionData(partition_index=0)],
    )
    settings = replace(SETTINGS, endpoints=OWN)
    context = QuorumContext(node=of, settings=settings, now_ms=now_ms, wall_ms=WALL_MS)
    return answer_describe_quorum(context, DescribeQuorumRequest(topics=[asked]))


def listeners(response: DescribeQuorumResponse) -> dict[int, list[tuple[str, str, int]]]:
    return {
        each.node_id: [(one.name, one.host, one.port) for one in each.listeners]
        for each in response.nodes
    }


def test_a_voter_is_found_where_the_log_says_and_else_where_it_listens() -> None:
    key = ReplicaKey(1, b"d" * 16)
    named = Voter(key, (("CONTROLLER", Endpoint("named", 9094)),))
    assert listeners(describe(node(VoterSet({1: named})), 0)) == {
        1: [("CONTROLLER", "named", 9094)]
    }
    assert listeners(describe(node(VoterSet.of(key)), 0)) == {1: [("CONTROLLER", "own", 9093)]}


def test_of_others_it_tells_when_they_asked_last() -> None:
    one, two, three = (ReplicaKey(i) for i in (1, 2, 3))
    leader = node(VoterSet.of(one, two, three))
    (partition,) = describe(leader, 0).topics[0].partitions
    assert partition.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    now_ms = leader.deadline_ms
    leader.step(Tick(), now_ms)
    for epoch, pre_vote in ((0, True), (1, False)):
        granted = VoteReply(epoch=epoch, leader_id=None, granted=True, pre_vote=pre_vote)
        leader.step(Receive(two, granted), now_ms)
    fetch = Fetch(epoch=1, replica=two, offset=0, last_epoch=0, max_wait_ms=500)
    leader.step(Receive(two, fetch), now_ms + 100)
    response = describe(leader, now_ms + 400)
    (partition,) = response.topics[0].partitions
    assert (partition.error_code, partition.leader_id, partition.leader_epoch) == (0, 1, 1)
    assert partition.high_watermark == -1
    assert [
        (each.replica_id, each.last_fetch_timestamp, each.last_caught_up_timestamp)
        for each in partition.current_voters
    ] == [(1, WALL_MS, WALL_MS), (2, WALL_MS - 300, -1), (3, -1, -1)]
    assert listeners(response) == {1: [("CONTROLLER", "own", 9093)], 2: [], 3: []}
