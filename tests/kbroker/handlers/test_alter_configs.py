"""AlterConfigs: what the broker judges itself, and what it asks the controller."""

from __future__ import annotations

import pytest

from kbroker.handlers import alter_configs
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.alter_configs import (
    AlterableConfig,
    AlterConfigsRequest,
    AlterConfigsResource,
)

from .admin import Admin, admin

BROKER, LOGGER, GROUP = 4, 8, 32
INVALID = ErrorCode.INVALID_REQUEST
TWICE = (INVALID, "Each resource must appear at most once.")


def resource(kind: int, name: str, key: str, value: str) -> AlterConfigsResource:
    config = AlterableConfig(name=key, value=value)
    return AlterConfigsResource(resource_type=kind, resource_name=name, configs=[config])


async def alter(
    broker: Admin, *resources: AlterConfigsResource, validate_only: bool = False
) -> list[tuple[int, str | None]]:
    response = await alter_configs.handle(
        AlterConfigsRequest(resources=list(resources), validate_only=validate_only),
        broker.ctx(ApiKey.ALTER_CONFIGS, 2),
    )
    asked = [(each.resource_type, each.resource_name) for each in resources]
    assert [(each.resource_type, each.resource_name) for each in response.responses] == asked
    return [(each.error_code, each.error_message) for each in response.responses]


async def test_answers_come_in_the_order_of_the_request() -> None:
    async with admin() as broker:
        answers = await alter(
            broker,
            resource(BROKER, "7", "log.cleaner.threads", "2"),
            resource(GROUP, "g", "consumer.session.timeout.ms", "50000"),
            resource(BROKER, "x", "log.cleaner.threads", "2"),
            resource(LOGGER, "1", "root", "DEBUG"),
            resource(BROKER, "1", "log.cleaner.threads", "2"),
        )
        assert answers == [
            (INVALID, "Unexpected broker id, expected 1, but received 7"),
            (0, None),
            (INVALID, "Node id must be an integer, but it is: x"),
            (INVALID, "Unknown resource type 8"),
            (0, None),
        ]
        assert broker.image.configs[BROKER, "1"] == {"log.cleaner.threads": "2"}


async def test_a_resource_that_is_named_twice() -> None:
    async with admin() as broker:
        answers = await alter(
            broker,
            resource(GROUP, "g", "consumer.session.timeout.ms", "50000"),
            resource(GROUP, "h", "consumer.session.timeout.ms", "50000"),
            resource(GROUP, "g", "consumer.session.timeout.ms", "50001"),
        )
        assert answers == [TWICE, (0, None), TWICE]
        assert (GROUP, "g") not in broker.image.configs


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["1", "2"], "Error due to duplicate config keys"),
        ([None], "Null value not supported for : log.cleaner.threads"),
    ],
)
@pytest.mark.parametrize("node", ["1", "7", "x", ""])
async def test_keys_are_looked_at_before_whose_they_are(
    node: str, values: list[str | None], message: str
) -> None:
    asked = AlterConfigsResource(
        resource_type=BROKER,
        resource_name=node,
        configs=[AlterableConfig(name="log.cleaner.threads", value=value) for value in values],
    )
    async with admin() as broker:
        assert await alter(broker, asked) == [(INVALID, message)]


@pytest.mark.parametrize("validate_only", [False, True])
async def test_values_replace_what_was_there(validate_only: bool) -> None:
    async with admin() as broker:
        await alter(broker, resource(BROKER, "1", "log.cleaner.threads", "2"))
        asked = resource(BROKER, "1", "background.threads", "9")
        assert await alter(broker, asked, validate_only=validate_only) == [(0, None)]
        assert broker.image.configs[BROKER, "1"] == (
            {"log.cleaner.threads": "2"} if validate_only else {"background.threads": "9"}
        )


async def test_no_resources() -> None:
    async with admin() as broker:
        assert await alter(broker) == []
