"""The loggers whose levels clients see and set: the root logger and kbroker's own (KIP-412).

Loggers belong to the process. Brokers in the same process share them and their levels.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = "root"
TRACE: Final = "TRACE"
# Log4j's names, in the order in which Kafka lists them.
LEVELS: Final[Mapping[str, int]] = {
    "DEBUG": logging.DEBUG,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "INFO": logging.INFO,
    TRACE: logging.NOTSET + 1,
    "WARN": logging.WARNING,
}

_OWN: Final = "kbroker"
_NAMES: Final = {level: name for name, level in LEVELS.items()}


def levels() -> dict[str, str]:
    """The loggers with the names of their levels in effect."""
    own = sorted(name for name in logging.root.manager.loggerDict if _is_own(name))
    return {name: _NAMES.get(get(name).getEffectiveLevel(), TRACE) for name in (ROOT, *own)}


def is_known(name: str) -> bool:
    """Whether it is one of those loggers."""
    return name == ROOT or (_is_own(name) and name in logging.root.manager.loggerDict)


def get(name: str) -> logging.Logger:
    return logging.getLogger(None if name == ROOT else name)


def _is_own(name: str) -> bool:
    return name.partition(".")[0] == _OWN
