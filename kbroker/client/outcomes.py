"""The outcome of a request for each partition; those that can be retried are sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.errors import ErrorCode

from .errors import BrokerError, ClientError, error_code

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from .cluster import Cluster, TopicPartition


class Outcomes:
    """One partition that is refused costs nothing of the others, and what was done is known."""

    def __init__(self, cluster: Cluster, partitions: Iterable[TopicPartition], verb: str) -> None:
        """`verb`: what is not done to a partition that is refused, as "moved"."""
        self._cluster = cluster
        self._verb = verb
        self.left = dict.fromkeys(partitions)
        self.done: dict[TopicPartition, int] = {}
        self.failures: list[ClientError] = []
        self._passing: list[BrokerError] = []  # of the last attempt

    async def collect(self, ask: Callable[[], Awaitable[None]]) -> None:
        """Let `ask` take the answers for what is `left`, again after an error that may pass."""

        async def attempt() -> None:
            self._passing = []
            await ask()
            if self._passing:
                raise self._passing[0]

        try:
            await self._cluster.retry(attempt)
        except ClientError as error:
            self.failures += self._passing if error in self._passing else [error]

    def take(self, topic: str, index: int, code: int, value: int = 0) -> None:
        """A partition's answer."""
        partition = (topic, index)
        if code == ErrorCode.NONE:
            self.done[partition] = value
            self.left.pop(partition, None)
            return
        error = BrokerError(
            f"Partition {topic}-{index} could not be {self._verb}", error_code(code)
        )
        if error.code.retriable:
            self._passing.append(error)
            return
        self.failures.append(error)
        self.left.pop(partition, None)
