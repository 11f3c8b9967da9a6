"""`kbroker cluster features`: shows and changes the feature levels of the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.client import cluster_state
from kbroker.commands.shared.arguments import (
    UserError,
    add_action,
    add_actions,
    parse_settings,
    whole_number,
)
from kbroker.commands.shared.output import FAINT, GOOD, Column, add_json, print_json, print_table
from kbroker.commands.shared.remote import add_bootstrap, with_cluster
from kbroker.controller.features import METADATA_VERSION
from kbroker.controller.releases import METADATA_LEVEL_NAMES, metadata_level, release_levels
from kbroker.wire.codes import UpgradeType

if TYPE_CHECKING:
    import argparse

    from kbroker.client.cluster import Cluster
    from kbroker.commands.shared.output import Json

LEVEL_MAX = 32_767  # an int16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = add_actions(parser, "feature_action")
    describe = add_action(actions, "describe", "show the supported levels and the levels in force")
    add_json(describe)
    for name, help_text in (
        ("upgrade", "raise the levels of features"),
        ("downgrade", "lower the levels of features"),
        ("disable", "turn features off"),
    ):
        if name == "disable":
            change = add_action(actions, name, help_text)
            change.add_argument("levels", metavar="FEATURE", nargs="+")
        else:
            example = f"kbroker cluster features {name} metadata.version=4.2-IV1"
            change = add_action(actions, name, help_text, example)
            change.add_argument(
                "levels",
                metavar="FEATURE=LEVEL",
                nargs="*",
                help="LEVEL is a number; for metadata.version also the name of a level, such as "
                "4.3-IV0, or a release, such as 4.3",
            )
            change.add_argument(
                "--release-version",
                metavar="VERSION",
                help="set all features to their levels in this release of Kafka",
            )
        if name != "upgrade":
            change.add_argument(
                "--unsafe",
                action="store_true",
                help="allow the change even if metadata may be lost",
            )
        change.add_argument(
            "--validate-only",
            "--dry-run",
            action="store_true",
            help="only check whether the change is allowed, and change nothing",
        )
    for action in actions.choices.values():
        add_bootstrap(action)


def run(arguments: argparse.Namespace) -> None:
    action = arguments.feature_action
    if action == "describe":
        with_cluster(arguments, lambda cluster: _describe(cluster, arguments.json))
        return
    levels = _levels(arguments)
    way = UpgradeType.UPGRADE
    if action != "upgrade":
        way = UpgradeType.UNSAFE_DOWNGRADE if arguments.unsafe else UpgradeType.SAFE_DOWNGRADE

    async def update(cluster: Cluster) -> None:
        await cluster_state.update_features(
            cluster, levels, way, validate_only=arguments.validate_only
        )
        verb = "can be" if arguments.validate_only else "is"
        for name, level in levels.items():
            print(
                f"{name} {verb} {f'at level {_level_text(name, level)}' if level else 'off'} now."
            )

    with_cluster(arguments, update)


def _levels(arguments: argparse.Namespace) -> dict[str, int]:
    if arguments.feature_action == "disable":
        return dict.fromkeys(arguments.levels, 0)
    release: str | None = arguments.release_version
    if (release is None) == (not arguments.levels):
        raise UserError(
            f"{arguments.feature_action} requires either FEATURE=LEVEL or --release-version, "
            "but not both."
        )
    if release is not None:
        return release_levels(_metadata_level(release, "--release-version"))
    levels: dict[str, int] = {}
    for pair in arguments.levels:
        ((name, text),) = parse_settings([pair], arguments.feature_action).items()
        if name in levels:
            raise UserError(f"{arguments.feature_action} {pair}: {name} is given twice.")
        level = whole_number(text, LEVEL_MAX)
        if level is None and name == METADATA_VERSION and not text.isdigit():
            level = _metadata_level(text, pair)
        if level is None:
            raise UserError(f"{pair}: {text!r} is not a valid level.")
        levels[name] = level
    return levels


def _metadata_level(text: str, where: str) -> int:
    level = metadata_level(text)
    if level is None:
        first, *_, last = METADATA_LEVEL_NAMES.values()
        raise UserError(
            f"{where}: {text!r} is not a release or the name of a level from {first} to {last}."
        )
    return level


def _level_text(feature: str, level: int) -> str:
    name = METADATA_LEVEL_NAMES.get(level) if feature == METADATA_VERSION else None
    return f"{level} ({name})" if name else str(level)


async def _describe(cluster: Cluster, as_json: bool) -> None:
    response = await cluster_state.api_versions(cluster)
    found = cluster_state.features(response)
    rows: list[dict[str, Json]] = [
        {
            "name": feature.name,
            "level": feature.level,
            "min_supported": feature.min_level,
            "max_supported": feature.max_level,
            "level_name": (
                METADATA_LEVEL_NAMES.get(feature.level)
                if feature.name == METADATA_VERSION
                else None
            ),
        }
        for feature in found
    ]
    if as_json:
        print_json({"epoch": response.finalized_features_epoch, "features": rows})
        return
    for row, (name, *levels) in zip(rows, found, strict=True):
        texts = [_level_text(name, level) for level in levels]
        row["min_supported"], row["max_supported"], row["level"] = texts
    columns = [
        Column("FEATURE", "name"),
        Column("LEVEL", "level", lambda level: FAINT if level == "0" else GOOD),
        Column("MIN", "min_supported"),
        Column("MAX", "max_supported"),
    ]
    print_table(columns, rows)
