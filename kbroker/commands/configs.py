"""`kbroker configs`: shows and changes configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.client.configs import (
    Change,
    Resource,
    alter_configs,
    describe_configs,
    list_config_resources,
    resource_text,
)
from kbroker.commands.shared.arguments import UserError, add_action, add_actions, parse_settings
from kbroker.commands.shared.output import (
    FAINT,
    GOOD,
    Column,
    add_json,
    print_heading,
    print_json,
    print_table,
)
from kbroker.commands.shared.remote import add_bootstrap, with_cluster
from kbroker.wire.codes import CLUSTER_DEFAULT, ConfigOperation, ConfigSource, ResourceType

if TYPE_CHECKING:
    import argparse

    from kbroker.client.cluster import Cluster
    from kbroker.client.configs import Config
    from kbroker.commands.shared.output import Json

TYPES = {kind.name.lower().replace("_", "-"): kind for kind in ResourceType}
_OPERATIONS = {
    "set": ConfigOperation.SET,
    "unset": ConfigOperation.DELETE,
    "append": ConfigOperation.APPEND,
    "subtract": ConfigOperation.SUBTRACT,
}
# What nobody has set: the default, and what a broker's own settings are to a topic's keys.
_UNSET_FOR = {
    ResourceType.TOPIC: {
        ConfigSource.DEFAULT_CONFIG,
        ConfigSource.STATIC_BROKER_CONFIG,
        ConfigSource.DYNAMIC_BROKER_CONFIG,
        ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG,
    },
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = add_actions(parser)
    listing = add_action(actions, "list", "list the resources that can have a configuration")
    listing.add_argument(
        "--type",
        choices=TYPES,
        action="append",
        help="list only resources of this type; can be repeated",
    )
    describe = add_action(
        actions,
        "describe",
        "show the values that differ from the defaults, and where each comes from",
        "kbroker configs describe --topic orders --all",
    )
    describe.add_argument("--all", action="store_true", help="show every key, including defaults")
    describe.add_argument(
        "--synonyms", action="store_true", help="show every place where the value can be set"
    )
    describe.add_argument(
        "--documentation", action="store_true", help="show the meaning of each key"
    )
    for name, help_text, form in (
        ("set", "set keys to new values", "KEY=VALUE"),
        ("unset", "reset keys to their defaults", "KEY"),
        ("append", "add values to keys that hold lists", "KEY=VALUE"),
        ("subtract", "remove values from keys that hold lists", "KEY=VALUE"),
    ):
        words = "cleanup.policy" if form == "KEY" else "cleanup.policy=compact"
        action = add_action(
            actions, name, help_text, f"kbroker configs {name} --topic orders {words}"
        )
        action.add_argument("settings", metavar=form, nargs="+", help="one or more")
        action.add_argument(
            "--validate-only",
            action="store_true",
            help="only check whether the change is allowed, and change nothing",
        )
    for name, action in actions.choices.items():
        if name != "list":
            _add_resource(action)
        add_bootstrap(action)
    for name in ("list", "describe"):
        add_json(actions.choices[name])


def _add_resource(parser: argparse.ArgumentParser) -> None:
    of = parser.add_mutually_exclusive_group(required=True)
    of.add_argument("--topic", metavar="TOPIC", help="the configuration of a topic")
    of.add_argument("--broker", metavar="ID", help="the configuration of one broker")
    of.add_argument(
        "--broker-defaults", action="store_true", help="the default configuration of all brokers"
    )
    of.add_argument("--broker-logger", metavar="ID", help="the log levels of a broker")
    of.add_argument("--group", metavar="GROUP", help="the configuration of a group")
    of.add_argument(
        "--client-metrics",
        metavar="NAME",
        help="the configuration of a client metrics subscription",
    )


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "list":
        types = [TYPES[name] for name in arguments.type or ()]
        with_cluster(arguments, lambda cluster: _list(cluster, types, arguments.json))
        return 0
    resource = _resource(arguments)
    if arguments.action == "describe":
        with_cluster(arguments, lambda cluster: _describe(cluster, resource, arguments))
    else:
        changes = _changes(arguments)
        with_cluster(arguments, lambda cluster: _alter(cluster, resource, changes, arguments))
    return 0


def _resource(arguments: argparse.Namespace) -> Resource:
    for option, number in (
        ("--broker", arguments.broker),
        ("--broker-logger", arguments.broker_logger),
    ):
        if number is not None and not (number.isascii() and number.isdigit()):
            raise UserError(f"{option} {number}: expected a broker id.")
    given = {
        ResourceType.TOPIC: arguments.topic,
        ResourceType.BROKER: CLUSTER_DEFAULT if arguments.broker_defaults else arguments.broker,
        ResourceType.BROKER_LOGGER: arguments.broker_logger,
        ResourceType.GROUP: arguments.group,
        ResourceType.CLIENT_METRICS: arguments.client_metrics,
    }
    return next(Resource(kind, name) for kind, name in given.items() if name is not None)


def _changes(arguments: argparse.Namespace) -> list[Change]:
    operation = _OPERATIONS[arguments.action]
    if operation is not ConfigOperation.DELETE:
        settings = parse_settings(arguments.settings, arguments.action)
        return [Change(operation, key, value) for key, value in settings.items()]
    for key in arguments.settings:
        if "=" in key:
            raise UserError(f"unset {key}: expected only the key, without a value.")
    return [Change(operation, key, None) for key in arguments.settings]


async def _list(cluster: Cluster, types: list[ResourceType], as_json: bool) -> None:
    rows: list[dict[str, Json]] = [
        {"type": resource.type.name.lower().replace("_", "-"), "name": resource.name}
        for resource in await list_config_resources(cluster, types)
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_table([Column("TYPE", "type"), Column("NAME", "name")], rows)
    else:
        print("No resources have a configuration.")


async def _describe(cluster: Cluster, resource: Resource, arguments: argparse.Namespace) -> None:
    described = await describe_configs(cluster, [resource], documentation=arguments.documentation)
    unset = _UNSET_FOR.get(resource.type, {ConfigSource.DEFAULT_CONFIG})
    configs = [c for c in described[resource] if arguments.all or c.source not in unset]
    if arguments.json:
        print_json([_shape(config) for config in configs])
        return
    print_heading(resource_text(resource).replace("'", ""))
    if not configs:
        print("No values differ from the defaults. Use --all to show every key.")
        return
    rows = [_shape(config) for config in configs]
    for row, config in zip(rows, configs, strict=True):
        row["value"] = "(sensitive)" if config.is_sensitive else row["value"]
        row["synonyms"] = ", ".join(
            f"{s.name}={s.value} ({s.source.name})" for s in config.synonyms
        )
    columns = [
        Column("KEY", "name"),
        Column("VALUE", "value", lambda _: "bold"),
        Column("SOURCE", "source", _source_style),
    ]
    if any(config.is_read_only for config in configs):
        columns.append(Column("READ-ONLY", "read_only"))
    if arguments.synonyms:
        columns.append(Column("SYNONYMS", "synonyms"))
    if arguments.documentation:
        columns.append(Column("DOCUMENTATION", "documentation"))
    print_table(columns, rows)


def _shape(config: Config) -> dict[str, Json]:
    return {
        "name": config.name,
        "value": config.value,
        "source": config.source.name,
        "read_only": config.is_read_only,
        "sensitive": config.is_sensitive,
        "documentation": config.documentation,
        "synonyms": [
            {"name": synonym.name, "value": synonym.value, "source": synonym.source.name}
            for synonym in config.synonyms
        ],
    }


def _source_style(source: Json) -> str:
    return FAINT if source == ConfigSource.DEFAULT_CONFIG.name else GOOD


async def _alter(
    cluster: Cluster, resource: Resource, changes: list[Change], arguments: argparse.Namespace
) -> None:
    await alter_configs(cluster, resource, changes, validate_only=arguments.validate_only)
    done = "can be changed" if arguments.validate_only else "has been changed"
    print(f"{resource_text(resource)} {done}.")
