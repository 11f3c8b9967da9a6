"""How many file descriptors this process has left; sockets and log files share them.

The system always gives the lowest free number. Therefore the number of a descriptor that was just
opened tells roughly how many are in use.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import Final

UNLIMITED: Final = 1 << 30
# With more in use than this share of the limit, logs that may be idle give theirs back.
LOGS_SHARE_MAX: Final = 0.75
# With more in use, connections are refused: with none left for log files nothing could be written.
CONNECTIONS_SHARE_MAX: Final = 0.875


def limit() -> int:
    """How many this process may have."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return UNLIMITED
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> None:
    """As far as the system lets us, as the JVM does for Apache Kafka."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):  # some systems name a hard limit that they do not grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def is_short() -> bool:
    """Whether logs should give some back."""
    return in_use() > limit() * LOGS_SHARE_MAX


def in_use() -> int:
    """About how many this process has; what it may have where none is left."""
    try:
        descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        return limit()
    os.close(descriptor)
    return descriptor
