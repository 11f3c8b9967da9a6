"""AlterConfigs (key 33), v0-2: a resource has afterwards the values of the request and no others.

Deprecated for IncrementalAlterConfigs (KIP-339), and it knows no loggers. v2 flexible
Source: ConfigAdminManager.preprocess of the legacy request.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kbroker.controller.state.configs import check_values
from kbroker.errors import refusal
from kbroker.handlers.incremental_alter_configs import UNEXPECTED_BROKER, check_node
from kbroker.wire.codes import ResourceType
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.alter_configs import AlterConfigsResource


async def handle(request: AlterConfigsRequest, ctx: RequestContext) -> AlterConfigsResponse:
    """One answer a resource, in the order of the request.

    Of a resource that is named twice Apache Kafka 4.3.0 never answers at all; here both mentions
    are refused, which is what it means to do.
    """
    times = Counter((each.resource_type, each.resource_name) for each in request.resources)
    answers: list[AlterConfigsResourceResponse | None] = []
    rest: list[AlterConfigsResource] = []
    for resource in request.resources:
        try:
            if times[resource.resource_type, resource.resource_name] > 1:
                raise RequestError(
                    ErrorCode.INVALID_REQUEST, "Each resource must appear at most once."
                )
            check_values(resource.configs)
            if resource.resource_type == ResourceType.BROKER and resource.resource_name:
                check_node(resource.resource_name, ctx.services.node_id, UNEXPECTED_BROKER)
        except Exception as error:
            refused = refusal(error, f"AlterConfigs of {resource.resource_name!r}")
            answers.append(_answer(resource, refused.code, refused.message))
        else:
            answers.append(None)
            rest.append(resource)
    decided: list[AlterConfigsResourceResponse] = []
    if rest:
        decided = await _decide(
            AlterConfigsRequest(resources=rest, validate_only=request.validate_only), ctx
        )
    assert len(decided) == len(rest), "the controller answers for each resource"
    others = iter(decided)
    return AlterConfigsResponse(
        responses=[next(others) if each is None else each for each in answers]
    )


def refuse(
    request: AlterConfigsRequest, version: int, code: ErrorCode, message: str | None
) -> AlterConfigsResponse:
    return AlterConfigsResponse(
        responses=[_answer(resource, code, message) for resource in request.resources]
    )


async def _decide(
    request: AlterConfigsRequest, ctx: RequestContext
) -> list[AlterConfigsResourceResponse]:
    """The controller's answers; if it refuses the whole, that for each resource that it got."""
    try:
        response = await ctx.services.controller.send(request)
        return response.responses
    except Exception as error:
        refused = refusal(error, "AlterConfigs by the controller")
        return refuse(request, ctx.api_version, refused.code, refused.message).responses


def _answer(
    resource: AlterConfigsResource, code: ErrorCode, message: str | None
) -> AlterConfigsResourceResponse:
    return AlterConfigsResourceResponse(
        error_code=code,
        error_message=message,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
    )
