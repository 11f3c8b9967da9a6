"""The life of brokers: registration, heartbeats, fencing, shutdown, what becomes of partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.controller.features import SUPPORTED
from kbroker.controller.state.brokers import broker_with_epoch, decide_fence_silent_brokers
from kbroker.controller.state.producer_ids import decide_allocate_producer_ids
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.allocate_producer_ids import AllocateProducerIdsRequest
from kbroker.wire.records.config_record import ConfigRecord
from tests.controller.parts import Cluster, directory_of, registration, topic

if TYPE_CHECKING:
    from kbroker.wire.messages.broker_registration import BrokerRegistrationRequest


def test_a_registered_broker_is_fenced_until_it_has_caught_up() -> None:
    cluster = Cluster(brokers=0)
    epoch = cluster.register(1).broker_epoch
    assert cluster.image.brokers[1].fenced
    assert epoch == cluster.image.offset, "the epoch is the offset of the registration"
    behind = cluster.heartbeat(1, offset=epoch - 1)
    assert (behind.is_caught_up, behind.is_fenced) == (False, True)
    level = cluster.heartbeat(1, offset=epoch)
    assert (level.is_caught_up, level.is_fenced) == (True, False)
    assert cluster.image.is_active(1)


def test_a_heartbeat_without_news_writes_nothing() -> None:
    cluster = Cluster()
    length = len(cluster.log)
    cluster.heartbeat(1)
    assert len(cluster.log) == length


REFUSED = [
    (
        registration(cluster_id="other"),
        ErrorCode.INCONSISTENT_CLUSTER_ID,
        "Expected cluster ID a cluster, but got cluster ID other",
    ),
    (
        registration(directories=[]),
        ErrorCode.INVALID_REGISTRATION,
        "No directories specified in request",
    ),
    (
        registration(directories=[bytes(16)]),
        ErrorCode.INVALID_REGISTRATION,
        "Reserved directory ID in request",
    ),
    (
        registration(directories=[b"d" * 16] * 2),
        ErrorCode.INVALID_REGISTRATION,
        "Duplicate directory ID in request",
    ),
    (
        registration(directories=[directory_of(2)]),
        ErrorCode.INVALID_REGISTRATION,
        "Broker 2 is already registered with directory ZGlyZWN0b3J5IG5vICAgMg",
    ),
    (
        registration(features={}),
        ErrorCode.INVALID_REGISTRATION,
        "Request features do not contain 'metadata.version'",
    ),
    (
        registration(features={**SUPPORTED, "metadata.version": (7, 29)}),
        ErrorCode.UNSUPPORTED_VERSION,
        "Unable to register because the broker does not support finalized version 30 of "
        "metadata.version. The broker wants a version between 7 and 29, inclusive.",
    ),
    (
        registration(features={"metadata.version": (7, 30)}),
        ErrorCode.UNSUPPORTED_VERSION,
        "Unable to register because the broker does not support finalized version 1 of "
        "eligible.leader.replicas.version. The broker wants a version between 0 and 0, inclusive.",
    ),
]


@pytest.mark.parametrize(("request_", "code", "message"), REFUSED, ids=lambda v: str(v)[:40])
def test_a_refused_registration(
    request_: BrokerRegistrationRequest, code: ErrorCode, message: str
) -> None:
    cluster = Cluster(brokers=2)
    with pytest.raises(RequestError) as refusal:
        cluster.send(request_)
    assert (refusal.value.code, refusal.value.message) == (code, message)


def test_another_process_cannot_take_a_living_brokers_id() -> None:
    cluster = Cluster()
    intruder = registration(1, incarnation=2, directories=[b"another disk id."])
    with pytest.raises(RequestError) as refusal:
        cluster.send(intruder)
    assert refusal.value.code == ErrorCode.DUPLICATE_BROKER_REGISTRATION
    cluster.now_ms += 9_000
    assert cluster.send(intruder).error_code == ErrorCode.NONE


def test_whoever_holds_the_directory_proves_its_last_life_over() -> None:
    cluster = Cluster()
    old = cluster.image.brokers[1].epoch
    assert cluster.register(1, incarnation=2).broker_epoch > old
    assert cluster.image.brokers[1].fenced


def test_the_same_life_may_register_again_and_keeps_its_epoch() -> None:
    cluster = Cluster()
    old = cluster.image.brokers[1].epoch
    assert cluster.register(1, rack="r").broker_epoch == old
    assert not cluster.image.brokers[1].fenced
    assert cluster.image.brokers[1].rack == "r"


def test_a_killed_brokers_single_replicas_come_back_as_in_apache_kafka() -> None:
    cluster = Cluster()
    cluster.create(topic("t"))
    cluster.register(1, incarnation=2)
    partition = cluster.image.topics["t"].partitions[0]
    assert (partition.leader, partition.isr, partition.elr) == (-1, [], [])
    assert partition.last_known_elr == [1]
    cluster.heartbeat(1)
    assert (partition.leader, partition.isr, partition.leader_epoch) == (1, [1], 2)
    assert partition.leader_recovery_state == 1
    assert partition.last_known_elr == []


def test_a_broker_that_stopped_cleanly_comes_back_without_an_unclean_election() -> None:
    cluster = Cluster()
    cluster.create(topic("t"))
    epoch = cluster.image.brokers[1].epoch
    cluster.heartbeat(1, want_shut_down=True)
    assert cluster.heartbeat(1, want_shut_down=True).should_shut_down
    partition = cluster.image.topics["t"].partitions[0]
    assert (partition.leader, partition.isr, partition.elr) == (-1, [], [1])
    cluster.register(1, incarnation=2, previous_epoch=epoch)
    cluster.heartbeat(1)
    assert (partition.leader, partition.isr, partition.elr) == (1, [1], [])
    assert partition.leader_recovery_state == 0


def test_a_silent_broker_is_fenced_and_others_lead() -> None:
    cluster = Cluster(brokers=3)
    cluster.create(topic("t", -1, -1, assignments=[(0, [1, 2, 3]), (1, [2, 3, 1])]))
    cluster.now_ms = 8_999
    for broker_id in (2, 3):
        cluster.heartbeat(broker_id)
    cluster.now_ms = 9_000
    result = decide_fence_silent_brokers(cluster.context())
    assert result.response == 1
    cluster.commit(result.records)
    assert cluster.image.brokers[1].fenced
    first, second = cluster.image.topics["t"].partitions.values()
    assert (first.leader, first.isr, first.leader_epoch) == (2, [2, 3], 1)
    assert (second.leader, second.isr, second.leader_epoch) == (2, [2, 3], 0)
    again = decide_fence_silent_brokers(cluster.context())
    assert again.response is None
    assert cluster.sessions.next_expiry_ms(cluster.image) == 8_999 + 9_000


def test_a_leader_leaves_only_when_others_lead_and_all_know() -> None:
    cluster = Cluster(brokers=2)
    cluster.create(topic("t", -1, -1, assignments=[(0, [1, 2])]))
    going = cluster.heartbeat(1, want_shut_down=True)
    assert (going.should_shut_down, going.is_fenced) == (False, False)
    assert cluster.image.brokers[1].in_controlled_shutdown
    assert cluster.image.topics["t"].partitions[0].leader == 2
    cluster.sessions.note_shutdown(1, cluster.image.offset)
    assert not cluster.heartbeat(1, want_shut_down=True).should_shut_down
    cluster.heartbeat(2)
    gone = cluster.heartbeat(1, want_shut_down=True)
    assert (gone.should_shut_down, gone.is_fenced) == (True, True)


def test_a_broker_that_shuts_down_gets_no_new_replicas() -> None:
    cluster = Cluster(brokers=2)
    cluster.create(topic("t", -1, -1, assignments=[(0, [1, 2])]))
    cluster.heartbeat(1, want_shut_down=True)
    (result,) = cluster.create(topic("u", 1, 2)).topics
    assert result.error_code == ErrorCode.INVALID_REPLICATION_FACTOR


def test_a_fenced_broker_may_go_at_once() -> None:
    cluster = Cluster()
    cluster.heartbeat(1, want_fence=True)
    assert cluster.heartbeat(1, want_shut_down=True).should_shut_down


def test_a_heartbeat_of_a_past_life_is_stale() -> None:
    cluster = Cluster()
    cluster.register(1, incarnation=2)
    epoch = cluster.image.brokers[1].epoch
    with pytest.raises(RequestError) as refusal:
        broker_with_epoch(cluster.image, 1, epoch - 1)
    assert refusal.value.code == ErrorCode.STALE_BROKER_EPOCH


def test_a_failed_directory_takes_its_replicas_out() -> None:
    cluster = Cluster(brokers=0)
    both = [b"directory one...", b"directory two..."]
    cluster.register(1, directories=both)
    cluster.heartbeat(1)
    cluster.register(2)
    cluster.heartbeat(2)
    cluster.create(topic("t", -1, -1, assignments=[(0, [1, 2]), (1, [1, 2])]))
    partitions = cluster.image.topics["t"].partitions
    partitions[0].directories = [both[0], directory_of(2)]
    partitions[1].directories = [both[1], directory_of(2)]
    cluster.heartbeat(1, offline_log_dirs=[both[0]])
    assert (partitions[0].leader, partitions[0].isr) == (2, [2])
    assert (partitions[1].leader, partitions[1].isr) == (1, [1, 2])
    assert cluster.image.brokers[1].log_dirs == [both[1]]


def test_a_cordoned_broker_gets_no_new_replicas_but_keeps_its_own() -> None:
    cluster = Cluster(brokers=2)
    cluster.create(topic("t", 1, 2))
    cluster.heartbeat(1, cordoned_log_dirs=[directory_of(1)])
    assert cluster.image.brokers[1].cordoned_log_dirs == [directory_of(1)]
    cluster.create(topic("u", 4, 1))
    assert all(each.replicas == [2] for each in cluster.image.topics["u"].partitions.values())
    assert len(cluster.image.topics["t"].partitions[0].isr) == 2


def test_rather_online_than_complete_only_where_the_topic_says_so() -> None:
    cluster = Cluster(brokers=2)
    cluster.commit(
        [ConfigRecord(resource_type=4, resource_name="", name="min.insync.replicas", value="1")]
    )
    for name, value in (("safe", "false"), ("loose", "true")):
        cluster.create(
            topic(
                name,
                -1,
                -1,
                assignments=[(0, [1, 2])],
                configs={"unclean.leader.election.enable": value},
            )
        )
    cluster.heartbeat(2, want_fence=True)
    cluster.heartbeat(2)
    cluster.heartbeat(1, want_fence=True)
    assert cluster.image.topics["safe"].partitions[0].leader == -1
    loose = cluster.image.topics["loose"].partitions[0]
    assert (loose.leader, loose.isr, loose.leader_recovery_state) == (2, [2], 1)


def test_producer_ids_are_given_in_blocks_to_the_living() -> None:
    cluster = Cluster()
    epoch = cluster.image.brokers[1].epoch
    starts = []
    for _ in range(3):
        result = decide_allocate_producer_ids(
            cluster.context(), AllocateProducerIdsRequest(broker_id=1, broker_epoch=epoch)
        )
        cluster.commit(result.records)
        starts.append((result.response.producer_id_start, result.response.producer_id_len))
    assert starts == [(0, 1000), (1000, 1000), (2000, 1000)]
    for broker_id, broker_epoch in ((1, epoch - 1), (2, epoch)):
        request = AllocateProducerIdsRequest(broker_id=broker_id, broker_epoch=broker_epoch)
        result = decide_allocate_producer_ids(cluster.context(), request)
        assert result.response.error_code == ErrorCode.STALE_BROKER_EPOCH
        assert result.records == ()
