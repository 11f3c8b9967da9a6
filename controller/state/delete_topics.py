"""Decides DeleteTopics. Topics are named, before v6 in a list of names, or given by id.

Source: ControllerApis.deleteTopics, ReplicationControlManager.deleteTopics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.errors import ErrorCode
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.delete_topics import DeletableTopicResult, DeleteTopicsResponse
from kbroker.wire.records.remove_topic_record import RemoveTopicRecord

from .assignments import RECORDS_A_REQUEST_MAX, TOO_MANY_RECORDS
from .result import Result

if TYPE_CHECKING:
    from kbroker.controller.context import DecisionContext
    from kbroker.controller.image import MetadataImage
    from kbroker.wire.messages.delete_topics import DeleteTopicsRequest


def decide_delete_topics(
    context: DecisionContext, request: DeleteTopicsRequest
) -> Result[DeleteTopicsResponse]:
    """Answers come in random order, so that absent topics look like those one may not see.

    A request that allows no time is over before it begins, here as in Kafka's controller queue.
    """
    decision = _Decision(context.image)
    decision.read(request)
    results = decision.results
    doomed = decision.doomed
    code, message = ErrorCode.NONE, None
    if request.timeout_ms <= 0:
        code = ErrorCode.REQUEST_TIMED_OUT
    elif not context.settings.delete_topic_enable:
        code, message = ErrorCode.TOPIC_DELETION_DISABLED, ErrorCode.TOPIC_DELETION_DISABLED.message
    elif len(doomed) > RECORDS_A_REQUEST_MAX:
        code, message = ErrorCode.POLICY_VIOLATION, TOO_MANY_RECORDS
    if code is not ErrorCode.NONE:
        return Result((), DeleteTopicsResponse(responses=_refuse_all(request, code, message)))
    results += [
        DeletableTopicResult(name=name, topic_id=topic_id, error_code=ErrorCode.NONE)
        for topic_id, name in doomed.items()
    ]
    context.rng.shuffle(results)
    records = tuple(RemoveTopicRecord(topic_id=topic_id) for topic_id in doomed)
    return Result(records, DeleteTopicsResponse(responses=results))


def _refuse_all(
    request: DeleteTopicsRequest, code: ErrorCode, message: str | None
) -> list[DeletableTopicResult]:
    named = [(name, ZERO_UUID) for name in request.topic_names]
    listed = [(topic.name, topic.topic_id) for topic in request.topics]
    return [
        DeletableTopicResult(name=name, topic_id=topic_id, error_code=code, error_message=message)
        for name, topic_id in [*named, *listed]
    ]


class _Decision:
    """Sorts a request into topics to delete (`doomed`, id to name) and refusals (`results`)."""

    def __init__(self, image: MetadataImage) -> None:
        self._image = image
        self.results: list[DeletableTopicResult] = []
        self.doomed: dict[bytes, str] = {}

    def _refuse(
        self, name: str | None, topic_id: bytes, code: ErrorCode, message: str | None = None
    ) -> None:
        self.results.append(
            DeletableTopicResult(
                name=name,
                topic_id=topic_id,
                error_code=code,
                error_message=code.message if message is None else message,
            )
        )

    def read(self, request: DeleteTopicsRequest) -> None:
        names: dict[str, int] = {}
        ids: dict[bytes, int] = {}
        for name in request.topic_names:
            names[name] = names.get(name, 0) + 1
        for topic in request.topics:
            if topic.name is not None and topic.topic_id != ZERO_UUID:
                self._refuse(
                    topic.name,
                    topic.topic_id,
                    ErrorCode.INVALID_REQUEST,
                    "You may not specify both topic name and topic id.",
                )
            elif topic.name is not None:
                names[topic.name] = names.get(topic.name, 0) + 1
            elif topic.topic_id != ZERO_UUID:
                ids[topic.topic_id] = ids.get(topic.topic_id, 0) + 1
            else:
                self._refuse(
                    None,
                    ZERO_UUID,
                    ErrorCode.INVALID_REQUEST,
                    "Neither topic name nor id were specified.",
                )
        self._read_ids(ids)
        self._read_names(names, ids)

    def _read_ids(self, ids: dict[bytes, int]) -> None:
        for topic_id, times in ids.items():
            topic = self._image.topics_by_id.get(topic_id)
            if times > 1:
                self._refuse(None, topic_id, ErrorCode.INVALID_REQUEST, "Duplicate topic id.")
            elif topic is None:
                self._refuse(None, topic_id, ErrorCode.UNKNOWN_TOPIC_ID)
            else:
                self.doomed[topic_id] = topic.name

    def _read_names(self, names: dict[str, int], ids: dict[bytes, int]) -> None:
        for name, times in names.items():
            topic = self._image.topics.get(name)
            if times > 1:
                self._refuse(name, ZERO_UUID, ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            elif topic is None:
                self._refuse(name, ZERO_UUID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            elif topic.topic_id in ids:
                self.doomed.pop(topic.topic_id, None)
                self._refuse(
                    name,
                    topic.topic_id,
                    ErrorCode.INVALID_REQUEST,
                    "The provided topic name maps to an ID that was already supplied.",
                )
            else:
                self.doomed[topic.topic_id] = name
