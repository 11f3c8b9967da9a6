"""AddRaftVoter and RemoveRaftVoter of a node alone, before and after its voters have names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.storage.checkpoints import read_meta_properties
from kbroker.wire.errors import ErrorCode
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.add_raft_voter import (
    AddRaftVoterRequest,
    AddRaftVoterResponse,
    Listener,
)
from kbroker.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumRequestPartitionData,
    DescribeQuorumRequestTopicData,
    DescribeQuorumResponse,
)
from kbroker.wire.messages.remove_raft_voter import (
    RemoveRaftVoterRequest,
    RemoveRaftVoterResponse,
)
from kbroker.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from kbroker.wire.uuids import uuid_text
from tests.sim.broker import DATA, Client, Machine

if TYPE_CHECKING:
    from kbroker.wire.message import Message

OTHER = b"\x11" * 16
OTHER_TEXT = "EREREREREREREREREREREQ"
LISTENERS = [Listener(name="CONTROLLER", host="h", port=9093)]


def add(
    voter_id: int = 2,
    directory: bytes = OTHER,
    *,
    cluster_id: str | None = None,
    listeners: list[Listener] = LISTENERS,
) -> AddRaftVoterRequest:
    return AddRaftVoterRequest(
        cluster_id=cluster_id,
        voter_id=voter_id,
        voter_directory_id=directory,
        listeners=listeners,
        timeout_ms=1_000,
    )


def remove(
    voter_id: int, directory: bytes = OTHER, *, cluster_id: str | None = None
) -> RemoveRaftVoterRequest:
    return RemoveRaftVoterRequest(
        cluster_id=cluster_id, voter_id=voter_id, voter_directory_id=directory
    )


async def ask(client: Client, request: Message) -> tuple[ErrorCode, str | None]:
    response: AddRaftVoterResponse | RemoveRaftVoterResponse
    if isinstance(request, AddRaftVoterRequest):
        response = await client.call(request, AddRaftVoterResponse)
    else:
        response = await client.call(request, RemoveRaftVoterResponse)
    return ErrorCode(response.error_code), response.error_message


async def name_voters(client: Client) -> None:
    update = FeatureUpdateKey(feature="kraft.version", max_version_level=1)
    response = await client.call(
        UpdateFeaturesRequest(feature_updates=[update]), UpdateFeaturesResponse
    )
    assert response.error_code == ErrorCode.NONE


@pytest.mark.parametrize("kraft_version", [0, 1])
async def test_what_is_wrong_with_a_request_comes_first(kraft_version: int) -> None:
    async with Machine().broker() as client:
        if kraft_version:
            await name_voters(client)
        for request in (add(cluster_id="wrong"), remove(1, cluster_id="wrong")):
            code, message = await ask(client, request)
            assert code == ErrorCode.INCONSISTENT_CLUSTER_ID
            assert message is not None
            assert message.startswith('The given id "wrong" doesn\'t match the cluster id "')
        for request in (add(-1), add(2, ZERO_UUID)):
            assert await ask(client, request) == (
                ErrorCode.INVALID_REQUEST,
                "Add voter request didn't include a valid voter",
            )
        for request in (remove(-1), remove(1, ZERO_UUID)):
            assert await ask(client, request) == (
                ErrorCode.INVALID_REQUEST,
                "Remove voter request didn't include a valid voter",
            )
        for request in (add(0), remove(0)):  # as good a number as any
            code, _ = await ask(client, request)
            assert code != ErrorCode.INVALID_REQUEST
        for name in ("X", "A"):
            elsewhere = [Listener(name=name, host="h", port=9093)]
            assert await ask(client, add(listeners=elsewhere)) == (
                ErrorCode.INVALID_REQUEST,
                f"Add voter request didn't include the endpoint (Endpoints(endpoints={{"
                f"ListenerName({name})=h/<unresolved>:9093}})) for the default listener "
                "ListenerName(CONTROLLER)",
            )


async def test_static_voters_do_not_change() -> None:
    async with Machine().broker() as client:
        assert await ask(client, add()) == (
            ErrorCode.UNSUPPORTED_VERSION,
            "Cluster doesn't support adding voter because the kraft.version feature is 0",
        )
        assert await ask(client, remove(1)) == (
            ErrorCode.UNSUPPORTED_VERSION,
            "Cluster doesn't support removing voter because the kraft.version feature is 0",
        )


async def test_the_only_voter_stays_the_only_one() -> None:
    machine = Machine()
    async with machine.broker() as client:
        await name_voters(client)
    # Once more, now that the log says who votes.
    async with machine.broker() as client:
        meta = read_meta_properties(machine.disk, DATA)
        assert meta is not None
        assert meta.directory_id is not None
        me = f"ReplicaKey(id=1, directoryId={uuid_text(meta.directory_id)})"
        other = f"ReplicaKey(id=1, directoryId={OTHER_TEXT})"
        assert await ask(client, add(1)) == (
            ErrorCode.DUPLICATE_VOTER,
            f"The voter id for {other} is already part of the set of voters [{me}].",
        )
        code, _ = await ask(client, add(2))
        assert code == ErrorCode.REQUEST_TIMED_OUT
        assert await ask(client, remove(1)) == (
            ErrorCode.VOTER_NOT_FOUND,
            f"Cannot remove voter {other} from the set of voters [{me}]",
        )
        assert await ask(client, remove(1, meta.directory_id)) == (
            ErrorCode.VOTER_NOT_FOUND,
            f"Cannot remove voter {me} from the set of voters [{me}]",
        )


async def test_voters_have_their_directories_as_soon_as_the_log_says_so() -> None:
    machine = Machine()
    async with machine.broker() as client:
        await name_voters(client)
        partition = DescribeQuorumRequestPartitionData(partition_index=0)
        topic = DescribeQuorumRequestTopicData(
            topic_name="__cluster_metadata", partitions=[partition]
        )
        response = await client.call(DescribeQuorumRequest(topics=[topic]), DescribeQuorumResponse)
        (voter,) = response.topics[0].partitions[0].current_voters
        meta = read_meta_properties(machine.disk, DATA)
        assert meta is not None
        assert voter.replica_directory_id == meta.directory_id
