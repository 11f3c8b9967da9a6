"""UpdateFeatures, the quorum's voters, and telemetry, which nobody advertises."""

from __future__ import annotations

from hashlib import md5
from typing import TYPE_CHECKING

from compat.differential.scenarios import scenario
from compat.differential.scenarios.configs import (
    BROKER,
    CLIENT_METRICS,
    DELETE,
    SET,
    Applied,
    alter,
    describe,
    node_id,
)
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.add_raft_voter import (
    AddRaftVoterRequest,
    AddRaftVoterResponse,
    Listener,
)
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kbroker.wire.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from kbroker.wire.messages.describe_configs import DescribeConfigsRequest
from kbroker.wire.messages.get_telemetry_subscriptions import (
    GetTelemetrySubscriptionsRequest,
    GetTelemetrySubscriptionsResponse,
)
from kbroker.wire.messages.incremental_alter_configs import (
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from kbroker.wire.messages.push_telemetry import PushTelemetryRequest
from kbroker.wire.messages.remove_raft_voter import (
    RemoveRaftVoterRequest,
    RemoveRaftVoterResponse,
)
from kbroker.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)

if TYPE_CHECKING:
    from compat.differential.peer import Peer

MV, ELR, KRAFT = "metadata.version", "eligible.leader.replicas.version", "kraft.version"
# Fresh clusters of 4.3 have them at the highest level that is named here.
LEVELS = {
    MV: (-1, 0, 6, 7, 8, 23, 29, 30, 31, 32767),
    KRAFT: (0, 1, 2),
    ELR: (-1, 0, 1, 2),
    "group.version": (-32768, -1, 0, 1, 2, 32767),
    "share.version": (0, 1, 2),
    "streams.version": (0, 1, 2),
    "transaction.version": (0, 1, 2, 3),
    "no.such.feature": (-1, 0, 1),
    "": (0, 1),
}
UPGRADE, SAFE, UNSAFE = 1, 2, 3
UPGRADE_TYPES = (UPGRADE, SAFE, UNSAFE, 0, 4, -1, 127)
NO_DIRECTORY, DIRECTORY = ZERO_UUID, b"\x11" * 16


def update(
    *updates: tuple[str, int, int], dry: bool = False, allow_downgrade: bool = False
) -> UpdateFeaturesRequest:
    return UpdateFeaturesRequest(
        feature_updates=[
            FeatureUpdateKey(
                feature=name,
                max_version_level=level,
                upgrade_type=upgrade_type,
                allow_downgrade=allow_downgrade,
            )
            for name, level, upgrade_type in updates
        ],
        validate_only=dry,
    )


@scenario(UpdateFeaturesRequest)
def one_level(peer: Peer) -> None:
    """Nothing changes: v0 has no validate_only, and so asks for what is there or refused."""
    for version in peer.shared(UpdateFeaturesRequest):
        v = f"v{version} "
        peer.ask(v + "nothing", update(), version, UpdateFeaturesResponse)
        for name, levels in LEVELS.items():
            if version == 0:
                for level in (-1, 0, 32767):
                    if name not in ("no.such.feature", "", KRAFT):
                        request = update((name, level, UPGRADE), allow_downgrade=True)
                        step = f"{v}{name} to {level}, downgrade allowed"
                        peer.ask(step, request, version, UpdateFeaturesResponse)
                continue
            for level in levels:
                for upgrade_type in UPGRADE_TYPES:
                    request = update((name, level, upgrade_type), dry=True)
                    step = f"{v}{name} to {level}, type {upgrade_type}"
                    peer.ask(step, request, version, UpdateFeaturesResponse)


@scenario(UpdateFeaturesRequest)
def several_levels(peer: Peer) -> None:
    """In an order in which both Java's map and ours come to the same fault first."""
    there = (("group.version", 1, UPGRADE), ("share.version", 1, UPGRADE))
    for version in peer.shared(UpdateFeaturesRequest, 1):
        for step, updates in (
            ("what is there", there),
            ("one of them wrong", (*there, ("streams.version", 2, UPGRADE))),
            ("twice the same", (there[0], there[0])),
            ("twice, the last wrong", (there[0], ("group.version", 2, UPGRADE))),
            ("twice, the first wrong", (("group.version", 2, UPGRADE), there[0])),
            ("eligible leader replicas without", ((MV, 22, SAFE), (ELR, 1, UPGRADE))),
            ("down and up", (("share.version", 0, SAFE), ("group.version", 1, UPGRADE))),
        ):
            request = update(*updates, dry=True)
            peer.ask(f"v{version} {step}", request, version, UpdateFeaturesResponse)


@scenario(
    UpdateFeaturesRequest,
    ApiVersionsRequest,
    IncrementalAlterConfigsRequest,
    DescribeConfigsRequest,
    in_turn=True,
    alone=True,
)
def down_and_up(peer: Peer) -> None:
    applied = Applied(peer)

    def ask(step: str, *updates: tuple[str, int, int], dry: bool = False) -> None:
        peer.ask(step, update(*updates, dry=dry), version, UpdateFeaturesResponse)
        applied.wait()
        request = ApiVersionsRequest(client_software_name="a", client_software_version="1")
        answer = peer.quietly(request, 4, ApiVersionsResponse)
        finalized = sorted(f"{f.name} {f.max_version_level}" for f in answer.finalized_features)
        peer.note(f"{step}: finalized", list(finalized))

    for version in peer.shared(UpdateFeaturesRequest, 1):
        v = f"v{version} "
        ask(v + "down, dry", ("streams.version", 0, SAFE), dry=True)
        ask(v + "down", ("streams.version", 0, SAFE))
        ask(v + "down again", ("streams.version", 0, UNSAFE))
        ask(v + "up as a downgrade", ("streams.version", 1, SAFE))
        ask(v + "with one that fails", ("streams.version", 1, UPGRADE), (MV, 29, SAFE))
        ask(v + "up", ("streams.version", 1, UPGRADE))
        ask(v + "two steps down", ("transaction.version", 0, UNSAFE))
        ask(v + "a step up", ("transaction.version", 1, UPGRADE))
        ask(v + "and another", ("transaction.version", 2, UPGRADE))


@scenario(
    UpdateFeaturesRequest,
    IncrementalAlterConfigsRequest,
    DescribeConfigsRequest,
    in_turn=True,
    alone=True,
)
def eligible_leader_replicas(peer: Peer) -> None:
    """What they forbid to say of min ISR can be said without them, and goes when they come."""
    applied = Applied(peer)
    broker = str(node_id(peer))
    version = peer.last(UpdateFeaturesRequest)
    alter_version = peer.last(IncrementalAlterConfigsRequest)

    def try_all(step: str) -> None:
        for name in ("", broker):
            for change in (("min.insync.replicas", SET, "1"), ("min.insync.replicas", DELETE, "")):
                peer.ask(
                    f"{step}: {change[1]} of {'the cluster' if not name else 'the broker'}",
                    alter(BROKER, name, change),
                    alter_version,
                    IncrementalAlterConfigsResponse,
                )
        applied.wait()
        peer.probe(
            f"{step}: described",
            describe(BROKER, broker, ["min.insync.replicas"], synonyms=True),
            peer.last(DescribeConfigsRequest),
        )

    try_all("with")
    peer.ask("off", update((ELR, 0, SAFE)), version, UpdateFeaturesResponse)
    try_all("without")
    own = alter(BROKER, broker, ("min.insync.replicas", SET, "1"))
    peer.ask("the broker's own", own, alter_version, IncrementalAlterConfigsResponse)
    peer.ask("on", update((ELR, 1, UPGRADE)), version, UpdateFeaturesResponse)
    try_all("with again")


@scenario(AddRaftVoterRequest, RemoveRaftVoterRequest, DescribeClusterRequest)
def voters(peer: Peer) -> None:
    """Voters that are in the configuration neither come nor go."""
    described = peer.quietly(
        DescribeClusterRequest(), peer.last(DescribeClusterRequest), DescribeClusterResponse
    )
    here = [Listener(name="CONTROLLER", host="127.0.0.1", port=1)]
    elsewhere = [Listener(name="X", host="a.host", port=65535)]
    places = {"nowhere": [], "here": here, "elsewhere": elsewhere, "both": here + elsewhere}

    def keep(step: str, answer: AddRaftVoterResponse | RemoveRaftVoterResponse) -> None:
        text = (answer.error_message or "").replace(described.cluster_id, "<this cluster>")
        peer.note(step, [answer.error_code, text])

    def ask(step: str, cluster_id: str | None, voter_id: int, directory: bytes) -> None:
        remove = RemoveRaftVoterRequest(
            cluster_id=cluster_id, voter_id=voter_id, voter_directory_id=directory
        )
        version = peer.last(RemoveRaftVoterRequest)
        keep(f"remove, {step}", peer.quietly(remove, version, RemoveRaftVoterResponse))
        for version in peer.shared(AddRaftVoterRequest):
            for where, listeners in places.items():
                add = AddRaftVoterRequest(
                    cluster_id=cluster_id,
                    timeout_ms=1_000,
                    voter_id=voter_id,
                    voter_directory_id=directory,
                    listeners=listeners,
                )
                answer = peer.quietly(add, version, AddRaftVoterResponse)
                keep(f"v{version} add, {step}, {where}", answer)

    for cluster_id in (None, "", "another", described.cluster_id):
        cluster = "this cluster" if cluster_id == described.cluster_id else repr(cluster_id)
        for voter_id in (-2147483648, -1, 0, 1, 2, 2147483647):
            for directory in (NO_DIRECTORY, DIRECTORY):
                step = f"{cluster}, {voter_id} in {directory[:1].hex()}"
                ask(step, cluster_id, voter_id, directory)


@scenario(IncrementalAlterConfigsRequest, in_turn=True, alone=True)
def telemetry(peer: Peer) -> None:
    """Served by brokers that do not advertise it, at its one version."""
    for version in (-1, 1, 2):
        for request in (GetTelemetrySubscriptionsRequest(), PushTelemetryRequest()):
            # Encoded as v0, which is what a broker would have to take it for.
            name = type(request).__name__
            peer.outcome(f"{name} v{version}", _frame(request, version), f"{name}{version}")
    one, other = (md5(f"{peer.prefix} {each}".encode()).digest() for each in range(2))

    def get(step: str, instance: bytes = one) -> int:
        """The subscription's id. Its answer is kept without what follows from the client's."""
        request = GetTelemetrySubscriptionsRequest(client_instance_id=instance)
        answer = peer.quietly(request, 0, GetTelemetrySubscriptionsResponse)
        if answer.error_code:
            peer.note(step, [answer.error_code])
            return 0
        high, low = int.from_bytes(instance[:8]), int.from_bytes(instance[8:])
        folded = (high ^ low) ^ ((high ^ low) >> 32)
        peer.note(
            step,
            [
                (answer.subscription_id ^ folded) & 0xFFFFFFFF,
                answer.client_instance_id == instance,
                *answer.accepted_compression_types,
                answer.push_interval_ms,
                answer.telemetry_max_bytes,
                answer.delta_temporality,
                *answer.requested_metrics,
            ],
        )
        return answer.subscription_id

    def push(step: str, instance: bytes = one, **fields: object) -> None:
        request = PushTelemetryRequest(client_instance_id=instance, **fields)  # type: ignore[arg-type]
        peer.probe(step, request, 0)

    made = peer.quietly(GetTelemetrySubscriptionsRequest(), 0, GetTelemetrySubscriptionsResponse)
    peer.note("an id is made", made.client_instance_id != ZERO_UUID)
    for reserved in (ZERO_UUID, bytes(15) + b"\1"):
        push(f"reserved {reserved[-1]}", reserved)
    get("first")
    get("again at once")
    push("another subscription", subscription_id=7)
    get("after that, forgiven")
    push("a codec that there is not", compression_type=9)
    peer.drop("quiet")
    # Both learn that a connection is gone a moment after it is.
    peer.until(
        GetTelemetrySubscriptionsRequest(client_instance_id=one),
        0,
        GetTelemetrySubscriptionsResponse,
        lambda answer: not answer.error_code,
    )

    subscription = get("the other", other)
    push("too much", other, subscription_id=subscription, metrics=bytes((1 << 20) + 1))
    push("what is not zstd", other, subscription_id=subscription, metrics=b"m", compression_type=4)
    push("once more", other, subscription_id=subscription)
    push("the last", other, subscription_id=subscription, terminating=True)
    push("after the last", other, subscription_id=subscription)
    push("after that", other, subscription_id=subscription)

    version = peer.last(IncrementalAlterConfigsRequest)
    applied = Applied(peer)
    subscriptions = {
        "matching": (
            ("metrics", "org.apache.kafka.producer.,org.apache.kafka.consumer.,a,b,c"),
            ("interval.ms", "100000"),
            ("match", "client_id=differentia.,client_software_name=unknown"),
        ),
        "not matching": (("metrics", "z"), ("interval.ms", "100"), ("match", "client_id=z")),
    }
    for name, keys in subscriptions.items():
        request = alter(
            CLIENT_METRICS, peer.name(name), *((key, SET, value) for key, value in keys)
        )
        peer.ask(f"subscribe {name}", request, version, IncrementalAlterConfigsResponse)
    applied.wait()
    subscription = get("subscribed")
    push("what is subscribed", subscription_id=subscription, metrics=b"m")
    push("again at once", subscription_id=subscription)
    for name, keys in subscriptions.items():
        request = alter(CLIENT_METRICS, peer.name(name), *((key, DELETE, None) for key, _ in keys))
        peer.ask(f"unsubscribe {name}", request, version, IncrementalAlterConfigsResponse)
    applied.wait()
    get("unsubscribed")


def _frame(request: GetTelemetrySubscriptionsRequest | PushTelemetryRequest, version: int) -> bytes:
    from kbroker.wire.codec import encode
    from kbroker.wire.frame import request_header

    body = request_header(request.API_KEY, version, 1, "differential") + encode(request, 0)
    return len(body).to_bytes(4) + body
