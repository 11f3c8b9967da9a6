"""Paths at which a disk call failed, until the failure watch looks at their directories."""

from __future__ import annotations

import trio


class FailureReports:
    """One broker's. Whoever meets a failure reports it here; `failures.FailureWatch` takes it."""

    def __init__(self) -> None:
        self._paths: set[str] = set()
        self._reported = trio.Event()

    def report(self, path: str) -> None:
        """A call failed on this path, which is a log directory or lies in one."""
        self._paths.add(path)
        self._reported.set()

    async def wait(self) -> None:
        """Until there is a report that nobody has taken."""
        await self._reported.wait()

    def take(self) -> set[str]:
        """The paths reported since the last call."""
        paths, self._paths = self._paths, set()
        self._reported = trio.Event()
        return paths
