"""AlterConfigs (key 33), v0-2: replaces all values of resources.

Afterwards a resource has the values of the request, and no others. Deprecated since
IncrementalAlterConfigs (KIP-339). It cannot set the levels of loggers.
v2 flexible

Source: ConfigAdminManager.preprocess of the legacy request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.controller.state.configs import check_mentions, check_values, count_mentions
from kbroker.errors import refusal
from kbroker.handlers.incremental_alter_configs import UNEXPECTED_BROKER, check_node
from kbroker.requests.forward import forward_or_refuse
from kbroker.requests.parts import completed
from kbroker.wire.codes import ResourceType
from kbroker.wire.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kbroker.requests.services import RequestContext
    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.messages.alter_configs import AlterConfigsResource


async def handle(request: AlterConfigsRequest, ctx: RequestContext) -> AlterConfigsResponse:
    """One answer a resource, in the order of the request.

    Of a resource that is named twice Apache Kafka 4.3.0 never answers at all; here both mentions
    are refused, which is what it means to do.
    """
    mentions = count_mentions(request.resources)
    answers = [_settle(each, mentions, ctx.services.node_id) for each in request.resources]
    rest = [each for each, answer in zip(request.resources, answers, strict=True) if answer is None]
    decided: list[AlterConfigsResourceResponse] = []
    if rest:
        asked = AlterConfigsRequest(resources=rest, validate_only=request.validate_only)
        what = "AlterConfigs by the controller"
        decided = (await forward_or_refuse(asked, ctx, refuse, what)).responses
    return AlterConfigsResponse(responses=completed(answers, decided))


def refuse(
    request: AlterConfigsRequest, version: int, code: ErrorCode, message: str | None
) -> AlterConfigsResponse:
    return AlterConfigsResponse(
        responses=[_answer(resource, code, message) for resource in request.resources]
    )


def _settle(
    resource: AlterConfigsResource, mentions: Mapping[tuple[int, str], int], node_id: int
) -> AlterConfigsResourceResponse | None:
    """What is wrong with a resource as far as this broker can say; None: the controller decides."""
    try:
        check_mentions(resource, mentions)
        check_values(resource.configs)
        if resource.resource_type == ResourceType.BROKER and resource.resource_name:
            check_node(resource.resource_name, node_id, UNEXPECTED_BROKER)
    except Exception as error:
        refused = refusal(error, f"AlterConfigs of {resource.resource_name!r}")
        return _answer(resource, refused.code, refused.message)
    return None


def _answer(
    resource: AlterConfigsResource, code: ErrorCode, message: str | None
) -> AlterConfigsResourceResponse:
    return AlterConfigsResourceResponse(
        error_code=code,
        error_message=message,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
    )
