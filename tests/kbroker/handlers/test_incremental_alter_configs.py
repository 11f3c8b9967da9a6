"""IncrementalAlterConfigs: what the broker judges itself, and what it asks the controller."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from kbroker.handlers import incremental_alter_configs
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)

from .admin import Admin, admin

if TYPE_CHECKING:
    from collections.abc import Iterator

BROKER, LOGGER, GROUP = 4, 8, 32
SET, DELETE, APPEND = 0, 1, 2
LOGGER_NAME = "kbroker.test_incremental_alter_configs"


def resource(
    kind: int, name: str, key: str, operation: int, value: str | None
) -> AlterConfigsResource:
    config = AlterableConfig(name=key, config_operation=operation, value=value)
    return AlterConfigsResource(resource_type=kind, resource_name=name, configs=[config])


async def alter(
    broker: Admin, *resources: AlterConfigsResource, validate_only: bool = False
) -> list[tuple[int, str | None]]:
    response = await incremental_alter_configs.handle(
        IncrementalAlterConfigsRequest(resources=list(resources), validate_only=validate_only),
        broker.ctx(ApiKey.INCREMENTAL_ALTER_CONFIGS, 1),
    )
    asked = [(each.resource_type, each.resource_name) for each in resources]
    assert [(each.resource_type, each.resource_name) for each in response.responses] == asked
    return [(each.error_code, each.error_message) for each in response.responses]


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.getLogger(LOGGER_NAME)
    yield made
    made.setLevel(logging.NOTSET)


async def test_answers_come_in_the_order_of_the_request(logger: logging.Logger) -> None:
    async with admin() as broker:
        answers = await alter(
            broker,
            resource(BROKER, "2", "log.cleaner.threads", SET, "2"),
            resource(GROUP, "g", "consumer.session.timeout.ms", SET, "50000"),
            resource(LOGGER, "1", LOGGER_NAME, SET, "DEBUG"),
            resource(BROKER, "1", "log.cleaner.threads", SET, "2"),
            resource(BROKER, "x", "log.cleaner.threads", SET, "2"),
            resource(BROKER, "+1", "log.cleaner.threads", SET, "2"),
            resource(BROKER, "0_1", "log.cleaner.threads", SET, "2"),
            resource(LOGGER, "0_1", LOGGER_NAME, SET, "INFO"),
        )
        invalid = ErrorCode.INVALID_REQUEST
        assert answers == [
            (invalid, "Unexpected broker id, expected 1, but received 2"),
            (0, None),
            (0, None),
            (0, None),
            (invalid, "Node id must be an integer, but it is: x"),
            (0, None),
            (invalid, "Node id must be an integer, but it is: 0_1"),
            (invalid, "Node id must be an integer, but it is: 0_1"),
        ]
        assert broker.image.configs[BROKER, "1"] == {"log.cleaner.threads": "2"}
        assert logger.level == logging.DEBUG


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        (
            resource(LOGGER, "2", "root", SET, "INFO"),
            ErrorCode.INVALID_REQUEST,
            "Unexpected node id. Expected 1, but received 2",
        ),
        (
            resource(LOGGER, "", "root", SET, "INFO"),
            ErrorCode.INVALID_REQUEST,
            "Node id must be an integer, but it is: ",
        ),
        (
            resource(LOGGER, "1", "nope.logger", SET, "INFO"),
            ErrorCode.INVALID_CONFIG,
            "Logger nope.logger does not exist!",
        ),
        (
            resource(LOGGER, "1", LOGGER_NAME, SET, "FOO"),
            ErrorCode.INVALID_CONFIG,
            f"Cannot set the log level of {LOGGER_NAME} to FOO as it is not a supported log level. "
            "Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
        ),
        (
            resource(LOGGER, "1", "root", DELETE, None),
            ErrorCode.INVALID_REQUEST,
            "Removing the log level of the root logger is not allowed",
        ),
        (
            resource(LOGGER, "1", LOGGER_NAME, APPEND, "INFO"),
            ErrorCode.INVALID_REQUEST,
            "APPEND operation is not allowed for the BROKER_LOGGER resource",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_loggers_are_this_brokers_own(
    logger: logging.Logger, asked: AlterConfigsResource, code: ErrorCode, message: str
) -> None:
    async with admin() as broker:
        assert await alter(broker, asked) == [(code, message)]
    assert logger.level == logging.NOTSET


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["INFO", "INFO"], "Error due to duplicate config keys"),
        (["INFO", None], "Error due to duplicate config keys"),
        ([None], f"Null value not supported for : {LOGGER_NAME}"),
    ],
)
@pytest.mark.parametrize("node", ["1", "7", "x", ""])
@pytest.mark.parametrize("kind", [LOGGER, BROKER])
async def test_keys_are_looked_at_before_whose_they_are(
    logger: logging.Logger, kind: int, node: str, values: list[str | None], message: str
) -> None:
    asked = AlterConfigsResource(
        resource_type=kind,
        resource_name=node,
        configs=[
            AlterableConfig(name=LOGGER_NAME, config_operation=SET, value=value) for value in values
        ],
    )
    async with admin() as broker:
        assert await alter(broker, asked) == [(ErrorCode.INVALID_REQUEST, message)]
    assert logger.level == logging.NOTSET


async def test_a_level_is_taken_back_and_validation_sets_none(logger: logging.Logger) -> None:
    async with admin() as broker:
        asked = resource(LOGGER, "1", LOGGER_NAME, SET, "ERROR")
        assert await alter(broker, asked, validate_only=True) == [(0, None)]
        assert logger.level == logging.NOTSET
        await alter(broker, asked)
        assert logger.level == logging.ERROR
        await alter(broker, resource(LOGGER, "1", LOGGER_NAME, DELETE, None))
        assert logger.level == logging.NOTSET


async def test_a_resource_that_comes_twice_is_refused_wherever_it_belongs() -> None:
    async with admin() as broker:
        twice = [resource(LOGGER, "1", "root", SET, "INFO")] * 2
        refusal = (ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")
        assert await alter(broker, *twice) == [refusal] * 2
