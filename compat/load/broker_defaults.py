"""Dynamic settings of all brokers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

if TYPE_CHECKING:
    from compat.raw import RawClient

BROKER_RESOURCE = 4


def alter(raw: RawClient, values: dict[str, str]) -> None:
    """Set dynamic values of all brokers."""
    configs = [AlterableConfig(name=name, value=value) for name, value in values.items()]
    resource = AlterConfigsResource(
        resource_type=BROKER_RESOURCE, resource_name="", configs=configs
    )
    response = raw.ask(
        IncrementalAlterConfigsRequest(resources=[resource]), 1, IncrementalAlterConfigsResponse
    )
    assert not response.responses[0].error_code, response
