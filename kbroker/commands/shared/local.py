"""For commands that run a broker: turns options into its settings, and starts the logging."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from kbroker.config import BrokerConfig, ConfigError
from kbroker.config.providers import resolve
from kbroker.node.settings import BrokerSettings, TopicSpec

from .arguments import UserError, address_text, parse_topic

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping


def start_logging(level: int) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def add_broker_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--topic",
        metavar="NAME[:PARTITIONS[:KEY=VALUE,...]]",
        action="append",
        default=[],
        help="create this topic; can be repeated",
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="set a key of server.properties; can be repeated",
    )


def listener(host: str, port: int) -> str:
    """An address as an entry of `listeners`."""
    return f"PLAINTEXT://{address_text(host, port)}"


def broker_settings(
    settings: Mapping[str, str],
    data_dir: str | None,
    topics: Iterable[str],
    cluster_id: str | None = None,
) -> BrokerSettings:
    """UserError for a setting that cannot be."""
    try:
        config = BrokerConfig(resolve(settings, os.environ))
    except ConfigError as error:
        raise UserError(str(error)) from error
    specs = tuple(TopicSpec(*parse_topic(text)) for text in topics)
    return BrokerSettings(config=config, data_dir=data_dir, cluster_id=cluster_id, topics=specs)
