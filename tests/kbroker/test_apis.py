"""The API table: a whole request is refused with one error code, whatever the API and version."""

from __future__ import annotations

from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

import pytest

from kbroker import handlers
from kbroker.apis import APIS
from kbroker.controller.decisions import DECISIONS
from kbroker.requests.forward import forward
from kbroker.wire import codec
from kbroker.wire.api_keys import API_TABLE
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.alter_configs import AlterConfigsRequest, AlterConfigsResource
from kbroker.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from kbroker.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from kbroker.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from kbroker.wire.messages.describe_producers import DescribeProducersRequest, TopicRequest
from kbroker.wire.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from kbroker.wire.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
)
from kbroker.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)

if TYPE_CHECKING:
    from kbroker.requests.api import Api
    from kbroker.wire.message import Message

CODE = ErrorCode.NOT_CONTROLLER


def refusal(request: Message, version: int, code: ErrorCode, message: str | None) -> Message | None:
    """As the row of the request's API makes it."""
    (row,) = [api for api in APIS if api.request is type(request)]
    return row.refuse(request, version, code, message)


def test_each_module_of_handlers_has_its_row() -> None:
    modules = [module.name for module in iter_modules(handlers.__path__)]
    assert sorted(API_TABLE[api.key].module for api in APIS) == sorted(modules)


def test_the_controller_decides_on_all_that_is_forwarded() -> None:
    forwarded = {api.request for api in APIS if api.handle is forward}
    assert len(forwarded) > 5
    assert forwarded <= DECISIONS.keys()


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
def test_every_api_can_say_an_error_at_every_version(api: Api) -> None:
    for version in range(api.min_version, api.max_version + 1):
        request: Any = api.request()
        if api.name == "Produce":
            request.acks = -1
        answer = api.refuse(request, version, CODE, "why")
        assert answer is not None
        codec.encode(answer, version)


def _codes(value: object) -> list[int]:
    """All error codes in an answer."""
    if isinstance(value, list):
        return [code for each in value for code in _codes(each)]
    names = getattr(type(value), "__slots__", ())
    own = [value.error_code] if "error_code" in names else []  # type: ignore[attr-defined]
    return own + [code for name in names for code in _codes(getattr(value, name))]


REQUESTS: list[tuple[Message, int]] = [
    (
        DeleteRecordsRequest(
            topics=[
                DeleteRecordsTopic(
                    name="t",
                    partitions=[
                        DeleteRecordsPartition(),
                        DeleteRecordsPartition(partition_index=1),
                    ],
                )
            ]
        ),
        2,
    ),
    (DescribeProducersRequest(topics=[TopicRequest(name="t", partition_indexes=[0, 1])]), 2),
    # These have one for the whole, too.
    (
        ElectLeadersRequest(topic_partitions=[TopicPartitions(topic="t", partitions=[0, 1])]),
        1 + 2,
    ),
    (
        AlterPartitionReassignmentsRequest(
            topics=[
                ReassignableTopic(
                    name="t", partitions=[ReassignablePartition(), ReassignablePartition()]
                )
            ]
        ),
        1 + 2,
    ),
    (
        ListPartitionReassignmentsRequest(
            topics=[ListPartitionReassignmentsTopics(name="t", partition_indexes=[0])]
        ),
        1,
    ),
    (AlterConfigsRequest(resources=[AlterConfigsResource(), AlterConfigsResource()]), 2),
]


@pytest.mark.parametrize(("request_", "answers"), REQUESTS, ids=lambda value: type(value).__name__)
def test_each_thing_asked_for_gets_the_code(request_: Message, answers: int) -> None:
    answer = refusal(request_, request_.MAX_VERSION, CODE, None)
    assert _codes(answer) == [CODE] * answers


def test_describe_configs_gives_only_the_text_of_the_code() -> None:
    request = DescribeConfigsRequest(resources=[DescribeConfigsResource(resource_type=99)])
    answer = refusal(request, 4, ErrorCode.INVALID_REQUEST, "why")
    assert isinstance(answer, DescribeConfigsResponse)
    assert answer.results[0].error_message == ErrorCode.INVALID_REQUEST.message


def test_a_fetch_refused_as_a_whole_has_no_aborted_transactions() -> None:
    request = FetchRequest(topics=[FetchTopic(topic="t", partitions=[FetchPartition()])])
    answer = refusal(request, 12, CODE, None)
    assert isinstance(answer, FetchResponse)
    assert answer.responses[0].partitions[0].aborted_transactions == []
