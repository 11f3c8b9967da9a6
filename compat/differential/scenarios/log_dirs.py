"""Where replicas lie and where they shall lie: AlterReplicaLogDirs, and DescribeLogDirs after it.

With one log directory there is nowhere to move to, and the errors are compared; with several (the
same number on both sides) a partition moves too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import batch, fill, make_topic
from compat.differential.scenarios import scenario
from compat.differential.scenarios.produce import ends, read_back
from kbroker.wire.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopic,
)
from kbroker.wire.messages.describe_log_dirs import (
    DescribableLogDirTopic,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
)

if TYPE_CHECKING:
    from compat.differential.peer import Peer

LONG = 220  # a topic's name; a copy's directory would have a longer one than there may be


def _directories(peer: Peer, topic: str) -> dict[str, bool]:
    """The log directories, and whether t-0 of the topic lies there and is no copy."""
    request = DescribeLogDirsRequest(topics=[DescribableLogDirTopic(topic=topic, partitions=[0])])
    version = peer.last(DescribeLogDirsRequest)
    response = peer.quietly(request, version, DescribeLogDirsResponse)
    return {
        result.log_dir: any(
            not partition.is_future_key for each in result.topics for partition in each.partitions
        )
        for result in response.results
    }


def _alter(*wanted: tuple[str, str, int]) -> AlterReplicaLogDirsRequest:
    """(path, topic, partition)"""
    return AlterReplicaLogDirsRequest(
        dirs=[
            AlterReplicaLogDir(
                path=path, topics=[AlterReplicaLogDirTopic(name=name, partitions=[index])]
            )
            for path, name, index in wanted
        ]
    )


@scenario(AlterReplicaLogDirsRequest, DescribeLogDirsRequest)
def refused_and_needless_moves(peer: Peer) -> None:
    for version in peer.shared(AlterReplicaLogDirsRequest):
        topic = make_topic(peer, f"stays-{version}", 2).name
        long = make_topic(peer, f"long-{version}-" + "l" * (LONG - len(peer.name("long-1-"))))
        home = next(path for path, is_there in _directories(peer, topic).items() if is_there)
        missing = peer.name(f"missing-{version}")
        for step, wanted in (
            ("where it lies", [(home, topic, 0)]),
            ("no such directory", [("/no/such/directory", topic, 0)]),
            ("a relative path", [("data", topic, 0)]),
            ("a path with a slash", [(home + "/", topic, 0)]),
            ("no path", [("", topic, 0)]),
            ("a missing topic", [(home, missing, 0)]),
            ("a missing topic, no such directory", [("/no/such/directory", missing, 0)]),
            ("a missing partition", [(home, topic, 7)]),
            ("a negative partition", [(home, topic, -1)]),
            ("no name", [(home, "", 0)]),
            ("a long name", [(home, long.name, 0)]),
            ("the metadata", [(home, "__cluster_metadata", 0)]),
            ("twice, the last counts", [("/no/such/directory", topic, 0), (home, topic, 0)]),
            ("several", [(home, topic, 0), (home, topic, 1)]),
            ("nothing", []),
        ):
            peer.probe(f"v{version} {step}", _alter(*wanted), version)


@scenario(AlterReplicaLogDirsRequest, DescribeLogDirsRequest, in_turn=True)
def moves(peer: Peer) -> None:
    version = peer.last(AlterReplicaLogDirsRequest)
    topic = make_topic(peer, "moves")
    fill(peer, topic, batch(peer, b"a", b"b"), batch(peer, b"c"))
    for turn in range(4):
        found = _directories(peer, topic.name)
        if len(found) < 2:
            return
        target = next(path for path, is_there in found.items() if not is_there)
        peer.ask(
            f"move {turn}", _alter((target, topic.name, 0)), version, AlterReplicaLogDirsResponse
        )
        fill(peer, topic, batch(peer, b"%d" % turn))
        peer.until(
            DescribeLogDirsRequest(
                topics=[DescribableLogDirTopic(topic=topic.name, partitions=[0])]
            ),
            peer.last(DescribeLogDirsRequest),
            DescribeLogDirsResponse,
            lambda response, target=target: (
                [each.log_dir for each in response.results if each.topics] == [target]
            ),
        )
        ends(peer, f"after move {turn}", topic)
        read_back(peer, f"after move {turn}", topic)
