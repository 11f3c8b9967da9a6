"""Metadata (key 3), v0-13: the brokers, and topics by name, by id or all of them.

A topic that does not exist is created if the request and `auto.create.topics.enable` allow it. It
is answered with its leaders at once. Apache Kafka answers UNKNOWN_TOPIC_OR_PARTITION, and the
client has to ask again.
v1 controller, racks, internal topics - v2 cluster id - v4 no auto-creation (KIP-204) - v5 offline
replicas (KIP-112) - v6 LISTENER_NOT_FOUND - v7 leader epochs (KIP-320) - v8 authorized operations
(KIP-430) - v12 topics by id (KIP-516) - v13 rebootstrap (KIP-1102)
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kbroker.controller.topic_names import (
    CONSUMER_OFFSETS,
    INTERNAL_TOPICS,
    invalid_topic_name,
)
from kbroker.coordinators.internal_topics import consumer_offsets_topic
from kbroker.errors import refusal
from kbroker.handlers import create_topics
from kbroker.requests.authorized_operations import CLUSTER_OPERATIONS, NOT_ASKED, TOPIC_OPERATIONS
from kbroker.requests.cluster_view import NO_NODE, ClusterView
from kbroker.requests.forward import forward_or_refuse
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicResult,
    CreateTopicsRequest,
)
from kbroker.wire.messages.metadata import (
    MetadataRequest,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from kbroker.config import BrokerConfig
    from kbroker.controller.image import MetadataImage, PartitionImage, TopicImage
    from kbroker.requests.services import RequestContext

TOPIC_IDS_VERSION = 12
LISTENER_NOT_FOUND_VERSION = 6
CLUSTER_OPERATIONS_VERSION_MAX = 10
ERROR_CODE_VERSION = 13
# Why a topic is not created. Whatever else it is, the client may ask again.
TOLD_OF_A_TOPIC = (ErrorCode.INVALID_TOPIC_EXCEPTION, ErrorCode.UNKNOWN_SERVER_ERROR)

log = logging.getLogger("kbroker.metadata")


def handle(
    request: MetadataRequest, ctx: RequestContext
) -> MetadataResponse | Coroutine[object, object, MetadataResponse]:
    image = ctx.services.image
    answer = _Answer(request, ctx)
    if request.topics is None or (not request.topics and ctx.api_version == 0):
        for topic in image.topics.values():
            answer.add(topic)
        return answer.response()
    if ctx.api_version < TOPIC_IDS_VERSION:
        _check_named(request, ctx.api_version)
    if any(topic.topic_id != ZERO_UUID for topic in request.topics):
        for topic_id in dict.fromkeys(topic.topic_id for topic in request.topics):
            if topic_id != ZERO_UUID:
                answer.add_by_id(topic_id)
        return answer.response()
    names = dict.fromkeys(topic.name or "" for topic in request.topics)
    if request.allow_auto_topic_creation and ctx.services.config.auto_create_topics_enable:
        creatable = [name for name in names if name not in image.topics and answer.is_legal(name)]
        if creatable:
            return _create(answer, creatable, names, ctx)
    for name in names:
        answer.add_by_name(name)
    return answer.response()


def refuse(
    request: MetadataRequest, version: int, code: ErrorCode, message: str | None
) -> MetadataResponse:
    return MetadataResponse(
        error_code=code if version >= ERROR_CODE_VERSION else ErrorCode.NONE,
        topics=[
            MetadataResponseTopic(
                error_code=code,
                name=topic.name if version >= TOPIC_IDS_VERSION else topic.name or "",
                topic_id=topic.topic_id,
            )
            for topic in request.topics or ()
        ],
    )


def _check_named(request: MetadataRequest, version: int) -> None:
    """v10 and v11 have a field for topic ids that brokers do not serve yet."""
    for topic in request.topics or ():
        if topic.name is None:
            raise RequestError(
                ErrorCode.INVALID_REQUEST, f"Topic name can not be null for version {version}"
            )
        if topic.topic_id != ZERO_UUID:
            raise RequestError(
                ErrorCode.INVALID_REQUEST,
                f"Topic IDs are not supported in requests for version {version}",
            )


async def _create(
    answer: _Answer, creatable: list[str], names: Iterable[str], ctx: RequestContext
) -> MetadataResponse:
    config = ctx.services.config
    live_brokers = len(answer.view.nodes())
    topics: list[CreatableTopic] = []
    for name in creatable:
        try:
            topics.append(_creatable_topic(name, config, live_brokers))
        except Exception as error:
            answer.refused[name] = refusal(error, f"Metadata of topic {name}").code
    for result in await _created(topics, ctx):
        if result.error_code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
            reason = result.error_message or f"error {result.error_code}"
            log.info("cannot create topic %s: %s", result.name, reason)
            if result.error_code in TOLD_OF_A_TOPIC:
                answer.refused[result.name] = ErrorCode(result.error_code)
    for name in names:
        answer.add_by_name(name)
    return answer.response()


async def _created(topics: list[CreatableTopic], ctx: RequestContext) -> list[CreatableTopicResult]:
    """The controller's results. What it refuses as a whole it refuses each: of the topics that are
    there already the client learns nevertheless.
    """
    request = CreateTopicsRequest(topics=topics, timeout_ms=ctx.services.config.request_timeout_ms)
    what = "the creation of topics for Metadata"
    response = await forward_or_refuse(request, ctx, create_topics.refuse, what)
    return response.topics


def _creatable_topic(name: str, config: BrokerConfig, live_broker_count: int) -> CreatableTopic:
    if name == CONSUMER_OFFSETS:
        return consumer_offsets_topic(config, live_broker_count)
    return CreatableTopic(
        name=name,
        num_partitions=config.num_partitions,
        replication_factor=config.default_replication_factor,
    )


class _Answer:
    """A response in the making."""

    def __init__(self, request: MetadataRequest, ctx: RequestContext) -> None:
        self.view = ClusterView(ctx.services, ctx.connection)
        self.refused: dict[str, ErrorCode] = {}  # names, and what is wrong with them
        self._image: MetadataImage = ctx.services.image
        self._cluster_id = ctx.services.cluster_id
        self._version = ctx.api_version
        self._cluster_operations = (
            CLUSTER_OPERATIONS
            if request.include_cluster_authorized_operations
            and ctx.api_version <= CLUSTER_OPERATIONS_VERSION_MAX
            else NOT_ASKED
        )
        self._topic_operations = (
            TOPIC_OPERATIONS if request.include_topic_authorized_operations else NOT_ASKED
        )
        # In this order in the answer (KafkaApis.handleTopicMetadataRequest).
        self._unknown_ids: list[MetadataResponseTopic] = []
        self._topics: list[MetadataResponseTopic] = []
        self._missing: list[MetadataResponseTopic] = []

    def is_legal(self, name: str) -> bool:
        """Whether a topic may have the name. False where nobody can say."""
        try:
            return not invalid_topic_name(name)
        except Exception as error:
            self.refused[name] = refusal(error, f"Metadata of topic {name}").code
            return False

    def add(self, topic: TopicImage) -> None:
        try:
            answer = self._known(topic)
        except Exception as error:
            answer = _refused(error, topic.name, topic.topic_id)
        self._topics.append(answer)

    def add_by_id(self, topic_id: bytes) -> None:
        topic = self._image.topics_by_id.get(topic_id)
        if topic is not None:
            self.add(topic)
        else:
            self._unknown_ids.append(
                MetadataResponseTopic(
                    error_code=ErrorCode.UNKNOWN_TOPIC_ID, name=None, topic_id=topic_id
                )
            )

    def add_by_name(self, name: str) -> None:
        topic = self._image.topics.get(name)
        if topic is not None:
            self.add(topic)
            return
        error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if name not in self.refused and not self.is_legal(name):
            error = ErrorCode.INVALID_TOPIC_EXCEPTION
        self._missing.append(
            MetadataResponseTopic(
                error_code=self.refused.get(name, error),
                name=name,
                is_internal=name in INTERNAL_TOPICS,
                topic_authorized_operations=self._topic_operations,
            )
        )

    def response(self) -> MetadataResponse:
        return MetadataResponse(
            brokers=[
                MetadataResponseBroker(node_id=n.node_id, host=n.host, port=n.port, rack=n.rack)
                for n in self.view.nodes()
            ],
            cluster_id=self._cluster_id,
            controller_id=self.view.controller_id(),
            topics=[*self._unknown_ids, *self._topics, *self._missing],
            cluster_authorized_operations=self._cluster_operations,
        )

    def _known(self, topic: TopicImage) -> MetadataResponseTopic:
        return MetadataResponseTopic(
            name=topic.name,
            topic_id=topic.topic_id,
            is_internal=topic.name in INTERNAL_TOPICS,
            partitions=[self._partition(i, p) for i, p in topic.partitions.items()],
            topic_authorized_operations=self._topic_operations,
        )

    def _partition(self, index: int, partition: PartitionImage) -> MetadataResponsePartition:
        view = self.view
        replicas, isr = partition.replicas, partition.isr
        error = ErrorCode.NONE
        if self._version == 0:
            # v0 leaves out the replicas that cannot be reached, and says so; later ones list all.
            replicas, isr = view.reachable(replicas), view.reachable(isr)
            if len(replicas) < len(partition.replicas) or len(isr) < len(partition.isr):
                error = ErrorCode.REPLICA_NOT_AVAILABLE
        leader = partition.leader
        if view.node(leader) is None:
            error = ErrorCode.LEADER_NOT_AVAILABLE
            if self._version >= LISTENER_NOT_FOUND_VERSION and view.is_registered(leader):
                error = ErrorCode.LISTENER_NOT_FOUND
            leader = NO_NODE
        return MetadataResponsePartition(
            error_code=error,
            partition_index=index,
            leader_id=leader,
            leader_epoch=partition.leader_epoch,
            replica_nodes=replicas,
            isr_nodes=isr,
            offline_replicas=view.offline_replicas(partition),
        )


def _refused(error: Exception, name: str, topic_id: bytes) -> MetadataResponseTopic:
    code = refusal(error, f"Metadata of topic {name}").code
    return MetadataResponseTopic(error_code=code, name=name, topic_id=topic_id)
