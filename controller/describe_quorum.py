"""DescribeQuorum: what the leader knows of its quorum (KIP-595, KIP-836, KIP-853).

Source: KafkaRaftClient.handleDescribeQuorumRequest, LeaderState.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.wire.errors import ErrorCode
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.describe_quorum import (
    DescribeQuorumResponse,
    DescribeQuorumResponsePartitionData,
    DescribeQuorumResponseTopicData,
    Listener,
    Node,
    ReplicaState,
)

from .topic_names import CLUSTER_METADATA

if TYPE_CHECKING:
    from kbroker.wire.messages.describe_quorum import DescribeQuorumRequest

    from .context import QuorumContext
    from .raft.quorum import Progress

METADATA_PARTITION: Final = 0
UNKNOWN_OFFSET: Final = -1


def answer_describe_quorum(
    context: QuorumContext, request: DescribeQuorumRequest
) -> DescribeQuorumResponse:
    """Where the quorum does not hold the endpoints of this node, its settings have them."""
    node, now_ms, wall_ms = context.node, context.now_ms, context.wall_ms
    asked = [
        (topic.topic_name, p.partition_index) for topic in request.topics for p in topic.partitions
    ]
    if len(request.topics) != 1 or asked != [(CLUSTER_METADATA, METADATA_PARTITION)]:
        return _unknown(request)
    answer = DescribeQuorumResponsePartitionData(partition_index=METADATA_PARTITION)
    response = DescribeQuorumResponse(
        topics=[DescribeQuorumResponseTopicData(topic_name=CLUSTER_METADATA, partitions=[answer])]
    )
    leading = node.leading
    if leading is None:
        answer.error_code = ErrorCode.NOT_LEADER_OR_FOLLOWER
        answer.error_message = ErrorCode.NOT_LEADER_OR_FOLLOWER.message
        return response
    watermark = leading.fresh_watermark
    answer.leader_id = node.local.id
    answer.leader_epoch = node.epoch
    answer.high_watermark = UNKNOWN_OFFSET if watermark is None else watermark

    def state(progress: Progress) -> ReplicaState:
        is_local = progress.key.id == node.local.id
        return ReplicaState(
            replica_id=progress.key.id,
            replica_directory_id=progress.key.directory_id or ZERO_UUID,
            log_end_offset=progress.match_offset,
            last_fetch_timestamp=wall_ms if is_local else timestamp(progress.last_fetch_ms),
            last_caught_up_timestamp=(
                wall_ms if is_local else timestamp(progress.last_caught_up_ms)
            ),
        )

    def timestamp(at_ms: int) -> int:
        return at_ms if at_ms < 0 else wall_ms - (now_ms - at_ms)

    leading.tracker.forget_silent_observers(now_ms)
    voters, observers = leading.tracker.replicas()
    answer.current_voters = [state(progress) for progress in voters]
    answer.observers = [state(progress) for progress in observers]
    for voter in node.voters:
        found = [(name, where.host, where.port) for name, where in voter.endpoints]
        if not found and voter.key.id == node.local.id:
            endpoints = context.settings.endpoints
            found = [(name, where.host, where.port) for name, where in endpoints.items()]
        response.nodes.append(
            Node(
                node_id=voter.key.id,
                listeners=[Listener(name=name, host=host, port=port) for name, host, port in found],
            )
        )
    return response


def _unknown(request: DescribeQuorumRequest) -> DescribeQuorumResponse:
    """Whoever asks for anything but the one partition gets nothing, for all that it asked for."""
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return DescribeQuorumResponse(
        topics=[
            DescribeQuorumResponseTopicData(
                topic_name=topic.topic_name,
                partitions=[
                    DescribeQuorumResponsePartitionData(
                        partition_index=p.partition_index,
                        error_code=code,
                        error_message=code.message,
                    )
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
