"""Values that are stored elsewhere: `${PROVIDER:PATH:KEY}` (KIP-297), with Kafka's own providers.

`config.providers=file` and `config.providers.file.class` name them. If the provider of a variable
is not named, or has no such key, the variable stays as it is, as in ConfigTransformer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from .errors import ConfigError, invalid_value
from .properties import load_properties
from .values import ConfigType, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

_CLASSES = "org.apache.kafka.common.config.provider."
_VARIABLE = r"\$\{([^}]*?):(([^}]*?):)?([^}]*?)\}"

Lookup = Callable[[str, str], str | None]
"""The value at (path, key); None where it is not. ConfigError."""


def resolve(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The settings with their variables replaced; ConfigError for a provider that there is not."""
    names = parse("config.providers", ConfigType.LIST, settings.get("config.providers", ""))
    assert isinstance(names, tuple)
    if not names:
        return dict(settings)
    lookups = {name: _provider(name, settings, environment) for name in names}

    def replace(match: re.Match[str]) -> str:
        lookup = lookups.get(match[1])
        found = None if lookup is None else lookup(match[3] or "", match[4])
        return match[0] if found is None else found

    return {key: re.sub(_VARIABLE, replace, text) for key, text in settings.items()}


def _provider(name: str, settings: Mapping[str, str], environment: Mapping[str, str]) -> Lookup:
    key = f"config.providers.{name}.class"
    parameters = f"config.providers.{name}.param."
    class_name = settings.get(key, "")
    allowed = settings.get(parameters + "allowed.paths")
    roots = None if allowed is None else [os.path.abspath(p.strip()) for p in allowed.split(",")]
    pattern = settings.get(parameters + "allowlist.pattern", ".*")
    match class_name.removeprefix(_CLASSES):
        case "FileConfigProvider":
            return _file_lookup(roots)
        case "DirectoryConfigProvider":
            return _directory_lookup(roots)
        case "EnvVarConfigProvider":
            return _environment_lookup(environment, pattern)
    raise invalid_value(
        key,
        class_name,
        "expected FileConfigProvider, DirectoryConfigProvider or EnvVarConfigProvider of "
        f"{_CLASSES.rstrip('.')}",
    )


def _file_lookup(roots: list[str] | None) -> Lookup:
    files: dict[str, Mapping[str, str]] = {}

    def look_up(path: str, key: str) -> str | None:
        if not path or not _is_below(path, roots):
            return None
        if path not in files:
            files[path] = load_properties(path)
        return files[path].get(key)

    return look_up


def _directory_lookup(roots: list[str] | None) -> Lookup:
    def look_up(path: str, key: str) -> str | None:
        file = os.path.join(path, key)
        if (
            not path
            or not _is_below(path, roots)
            or os.path.dirname(key)
            or not os.path.isfile(file)
        ):
            return None
        try:
            with open(file, encoding="utf-8") as opened:
                return opened.read()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"Could not read file {file} for property {key}: {error}") from error

    return look_up


def _environment_lookup(environment: Mapping[str, str], pattern: str) -> Lookup:
    def look_up(path: str, key: str) -> str | None:
        if path:
            raise ConfigError(
                f"Path is not supported for EnvVarConfigProvider, invalid value '{path}'"
            )
        return environment.get(key) if re.fullmatch(pattern, key) else None

    return look_up


def _is_below(path: str, roots: list[str] | None) -> bool:
    absolute = os.path.abspath(path)
    return roots is None or any(
        absolute == root or absolute.startswith(root.rstrip("/") + "/") for root in roots
    )
