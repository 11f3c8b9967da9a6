"""What the brokers of compat/files are given to keep, turn by turn.

A turn is one broker's time on a data directory. Every turn adds to what the turns before have
left and makes something of its own; `Contents` remembers what has to be found later.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from confluent_kafka import Producer

from compat.behaviour.asking import (
    assert_error,
    assert_none,
    batch,
    describe,
    fetch,
    fetch_request,
    headers_of,
    list_offset,
    make_topic,
    produce,
)
from compat.behaviour.groups import commit, coordinate
from compat.clients.records import CODECS, Record, now_ms, sample_records
from compat.files.seen import BROKER, CLIENT_METRICS, GROUP, TOPIC, finalized
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from kbroker.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from kbroker.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from kbroker.wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from kbroker.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from kbroker.wire.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)
from kbroker.wire.messages.share_group_heartbeat import (
    ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
)
from kbroker.wire.messages.streams_group_heartbeat import (
    StreamsGroupHeartbeatRequest,
    StreamsGroupHeartbeatResponse,
    Subtopology,
    Topology,
)
from kbroker.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)

if TYPE_CHECKING:
    from compat.brokers import BrokerProcess
    from compat.clients.records import StockClient
    from compat.raw import RawClient

GROUPS = ("simple", "deleted", "newer", "upgraded")
NEWER_GROUPS = {  # name -> type
    "newer": "consumer",
    "upgraded": "consumer",
    "share": "share",
    "streams": "streams",
}
RESOURCES = ((BROKER, ""), (BROKER, "1"), (CLIENT_METRICS, "metrics"), (GROUP, "simple"))
SEGMENT_BYTES = 1 << 20  # the least that a topic may have
OPEN_TRANSACTION_MS = 900_000  # the longest a broker allows
UPGRADE, SAFE_DOWNGRADE = 1, 2
WAIT_S = 60


class Contents:
    """What was made so far, and how to add to it."""

    def __init__(self, clients: list[StockClient]) -> None:
        self._clients = clients
        self._turn = 0
        self._producer = (-1, -1)
        self._sequence = 0
        self._last = (b"", -1)  # the idempotent producer's last batch and its offset

    def add(self, broker: BrokerProcess, raw: RawClient) -> None:
        """One turn's worth of everything."""
        if self._turn == 0:
            self._make_topics(raw)
        self._codecs(broker)
        self._continue_sequence(raw)
        self._trim(broker, raw)
        self._delete_a_topic(broker, raw)
        self._configure(raw)
        self._set_a_feature(raw)
        self._commit(raw)
        if broker.name == "apache":
            self._transactions(broker, raw)
            self._newer_groups(raw)
        self._compacted(broker, raw)
        self._turn += 1

    def _make_topics(self, raw: RawClient) -> None:
        make_topic(raw, "grown", 2)
        make_topic(raw, "sequence")
        make_topic(raw, "trimmed")
        make_topic(raw, "append-time", message_timestamp_type="LogAppendTime")
        make_topic(raw, "segments", 2, segment_bytes=str(SEGMENT_BYTES))
        make_topic(raw, "transactions")
        make_topic(raw, "open-transaction")
        make_topic(
            raw,
            "compacted",
            cleanup_policy="compact",
            min_cleanable_dirty_ratio="0.01",
            segment_ms="200",
        )

    def _codecs(self, broker: BrokerProcess) -> None:
        """Every codec, written by every client, in new topics and in one that grows."""
        for client in self._clients:
            topic = f"{client.name}-{self._turn}"
            with self._raw(broker) as raw:
                make_topic(raw, topic, 2)
            records = sample_records(
                2, all_null=client.sends_all_null, null_headers=client.sends_null_headers
            )
            for codec in CODECS:
                client.produce(broker.bootstrap, topic, records, codec=codec, idempotent=True)
                client.produce(broker.bootstrap, "grown", records, codec=codec)
            client.produce(broker.bootstrap, "append-time", records[::2], codec="lz4")
        large = [Record(partition=i % 2, value=b"%0500d" % i) for i in range(12_000)]
        self._clients[-1].produce(broker.bootstrap, "segments", large, idempotent=True)

    @staticmethod
    def _raw(broker: BrokerProcess) -> RawClient:
        from compat.raw import RawClient

        return RawClient(broker.host, broker.port)

    def _continue_sequence(self, raw: RawClient) -> None:
        """An idempotent producer repeats its last batch, leaves a gap, and goes on."""
        if self._turn == 0:
            request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0)
            deadline = time.monotonic() + WAIT_S
            while (found := raw.ask(request, 5, InitProducerIdResponse)).error_code:
                assert time.monotonic() < deadline, found
            self._producer = (found.producer_id, found.producer_epoch)
        else:
            repeated = produce(raw, "sequence", self._last[0])
            assert_none(repeated.error_code)
            assert repeated.base_offset == self._last[1]
            gap = batch(b"gap", producer=(*self._producer, self._sequence + 1))
            code = produce(raw, "sequence", gap).error_code
            assert_error(code, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
        for _ in range(7):
            data = batch(b"a", b"b", b"c", producer=(*self._producer, self._sequence))
            answer = produce(raw, "sequence", data)
            assert_none(answer.error_code)
            self._last = (data, answer.base_offset)
            self._sequence += 3

    def _trim(self, broker: BrokerProcess, raw: RawClient) -> None:
        """Delete all but the last records, and wait until that is in the checkpoint."""
        for _ in range(5):
            assert_none(produce(raw, "trimmed", batch(b"x", b"y", b"z")).error_code)
        start = list_offset(raw, "trimmed", -1).offset - 4
        partition = DeleteRecordsPartition(partition_index=0, offset=start)
        request = DeleteRecordsRequest(
            topics=[DeleteRecordsTopic(name="trimmed", partitions=[partition])], timeout_ms=10_000
        )
        answer = raw.ask(request, 2, DeleteRecordsResponse).topics[0].partitions[0]
        assert_none(answer.error_code)
        assert answer.low_watermark == start
        checkpoint = broker.data / "log-start-offset-checkpoint"
        deadline = time.monotonic() + WAIT_S
        line = f"trimmed 0 {start}"
        while not checkpoint.exists() or line not in checkpoint.read_text().splitlines():
            assert time.monotonic() < deadline, f"no {line!r} in {checkpoint}"
            time.sleep(0.05)

    def _delete_a_topic(self, broker: BrokerProcess, raw: RawClient) -> None:
        """Its files may be there for a while yet; clients do not see it."""
        name = f"deleted-{self._turn}"
        make_topic(raw, name, 3)
        assert_none(produce(raw, name, batch(b"x")).error_code)
        request = DeleteTopicsRequest(topics=[DeleteTopicState(name=name)], timeout_ms=10_000)
        assert_none(raw.ask(request, 6, DeleteTopicsResponse).responses[0].error_code)
        deadline = time.monotonic() + WAIT_S
        while describe(raw, name).error_code != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            assert time.monotonic() < deadline

    def _configure(self, raw: RawClient) -> None:
        """Configurations of every kind of resource; some are taken away again."""
        number = str(50_000 + self._turn)
        values: dict[tuple[int, str], dict[str, str | None]] = {
            (TOPIC, "grown"): {"retention.ms": f"{number}000", "max.message.bytes": f"10{number}"},
            (BROKER, ""): {"log.retention.ms": f"{number}0000", "message.max.bytes": f"20{number}"},
            (BROKER, "1"): {"log.segment.bytes": f"10{number}"},
            (CLIENT_METRICS, "metrics"): {"interval.ms": number, "metrics": "org.apache.kafka"},
            (GROUP, "simple"): {"consumer.session.timeout.ms": number},
        }
        if self._turn % 2:
            values[TOPIC, "grown"]["max.message.bytes"] = None
            values[BROKER, ""]["message.max.bytes"] = None
        for (kind, name), entries in values.items():
            configs = [
                AlterableConfig(name=key, config_operation=int(value is None), value=value)
                for key, value in entries.items()
            ]
            resource = AlterConfigsResource(resource_type=kind, resource_name=name, configs=configs)
            request = IncrementalAlterConfigsRequest(resources=[resource])
            (answer,) = raw.ask(request, 1, IncrementalAlterConfigsResponse).responses
            assert not answer.error_code, answer

    def _set_a_feature(self, raw: RawClient) -> None:
        """The broker of even turns sets its level down, the other one up again."""
        level = 1 + self._turn % 2
        update = FeatureUpdateKey(
            feature="transaction.version",
            max_version_level=level,
            upgrade_type=UPGRADE if level > 1 else SAFE_DOWNGRADE,
        )
        request = UpdateFeaturesRequest(feature_updates=[update])
        answer = raw.ask(request, 2, UpdateFeaturesResponse)
        assert not answer.error_code, answer
        deadline = time.monotonic() + WAIT_S
        while finalized(raw)["transaction.version"] != level:  # Apache Kafka answers before
            assert time.monotonic() < deadline

    def _commit(self, raw: RawClient) -> None:
        """Positions with metadata and epochs; and a group that is deleted again."""
        coordinate(raw, "simple")
        coordinate(raw, "deleted")
        for partition in range(2):
            code = commit(
                raw,
                "simple",
                "grown",
                self._turn * 3 + partition,
                partition=partition,
                metadata=f"turn {self._turn}",
                leader_epoch=0,
            )
            assert_none(code)
        topic = f"{self._clients[0].name}-{self._turn}"
        assert_none(commit(raw, "simple", topic, 5, metadata=""))
        assert_none(commit(raw, "deleted", "grown", 1))
        request = DeleteGroupsRequest(groups_names=["deleted"])
        assert_none(raw.ask(request, 2, DeleteGroupsResponse).results[0].error_code)

    def _transactions(self, broker: BrokerProcess, raw: RawClient) -> None:
        """One that is committed, one that is aborted, one that stays open."""
        producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap,
                "transactional.id": f"turn-{self._turn}",
                "log_level": 0,
            }
        )
        producer.init_transactions(WAIT_S)
        for number in range(6):
            producer.begin_transaction()
            for _ in range(5):
                producer.produce("transactions", value=b"value", key=b"%d" % number)
            assert producer.flush(WAIT_S) == 0
            if number % 2:
                producer.abort_transaction(WAIT_S)
            else:
                producer.commit_transaction(WAIT_S)
        left = Producer(
            {
                "bootstrap.servers": broker.bootstrap,
                "transactional.id": f"left-{self._turn}",
                "transaction.timeout.ms": OPEN_TRANSACTION_MS,
                "log_level": 0,
            }
        )
        left.init_transactions(WAIT_S)
        left.begin_transaction()
        left.produce("open-transaction", value=b"open")
        assert left.flush(WAIT_S) == 0
        end = list_offset(raw, "open-transaction", -1).offset
        assert list_offset(raw, "open-transaction", -1, isolation_level=1).offset < end

    def _newer_groups(self, raw: RawClient) -> None:
        """Consumer groups (KIP-848) with positions, a share group and a streams group."""
        member = str(uuid.uuid4())
        self._consume(raw, "newer", member, position=self._turn + 40)
        coordinate(raw, "upgraded")
        assert_none(commit(raw, "upgraded", "grown", self._turn + 60))
        self._consume(raw, "upgraded", member)
        coordinate(raw, "share")
        share = ShareGroupHeartbeatRequest(
            group_id="share", member_id=member, member_epoch=0, subscribed_topic_names=["grown"]
        )
        answer = raw.ask(share, 1, ShareGroupHeartbeatResponse)
        assert not answer.error_code, answer
        coordinate(raw, "streams")
        streams = StreamsGroupHeartbeatRequest(
            group_id="streams",
            member_id=member,
            member_epoch=0,
            rebalance_timeout_ms=30_000,
            process_id=member,
            active_tasks=[],
            standby_tasks=[],
            warmup_tasks=[],
            topology=Topology(
                epoch=0,
                subtopologies=[Subtopology(subtopology_id="0", source_topics=["grown"])],
            ),
        )
        started = raw.ask(streams, 0, StreamsGroupHeartbeatResponse)
        assert not started.error_code, started

    def _consume(
        self, raw: RawClient, group: str, member: str, *, position: int | None = None
    ) -> None:
        """Be a member of a consumer group for a moment, and commit."""
        coordinate(raw, group)
        request = ConsumerGroupHeartbeatRequest(
            group_id=group,
            member_id=member,
            member_epoch=0,
            rebalance_timeout_ms=30_000,
            subscribed_topic_names=["grown"],
            topic_partitions=[],
        )
        joined = raw.ask(request, 1, ConsumerGroupHeartbeatResponse)
        assert not joined.error_code, joined
        if position is not None:
            code = commit(
                raw, group, "grown", position, generation=joined.member_epoch, member_id=member
            )
            assert_none(code)
        request.member_epoch = -1
        assert_none(raw.ask(request, 1, ConsumerGroupHeartbeatResponse).error_code)

    def _compacted(self, broker: BrokerProcess, raw: RawClient) -> None:
        """Keys again and again, and tombstones; Apache Kafka's cleaner is waited for."""
        for number in range(12):
            key = b"%d" % (number % 3)
            stamp = [now_ms()]
            assert_none(
                produce(raw, "compacted", batch(b"v", key=key, timestamps=stamp)).error_code
            )
        assert_none(produce(raw, "compacted", batch(None, key=b"%d" % self._turn)).error_code)
        if broker.name != "apache":
            return
        topic_id = describe(raw, "compacted").topic_id
        deadline = time.monotonic() + WAIT_S
        while True:
            time.sleep(0.3)  # segment.ms, so that what is written next rolls
            assert_none(produce(raw, "compacted", batch(b"v", key=b"roll")).error_code)
            found = headers_of(fetch(raw, fetch_request(topic_id, 0)))
            if sum(one.record_count for one in found) < found[-1].next_offset:
                return
            assert time.monotonic() < deadline, "Apache Kafka's cleaner has not cleaned"
