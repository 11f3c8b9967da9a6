"""The client against a whole broker, on a network and a disk in memory."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from kbroker.client.cluster import Cluster, connect
from tests.sim.broker import Machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from kbroker.node.settings import TopicSpec
    from tests.sim.network import MemoryStream

ADDRESS = ("broker", 9092)


class Links:
    """Opens connections and remembers them, so that a test can cut them."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.streams: list[MemoryStream] = []

    async def connect(self, host: str, port: int) -> MemoryStream:
        stream = await self._machine.network.connect(host, port)
        self.streams.append(stream)
        return stream

    def cut(self) -> None:
        for stream in self.streams:
            stream.transport.close()
        self.streams.clear()


@asynccontextmanager
async def cluster_of(
    *topics: TopicSpec, settings: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[Cluster, Links]]:
    machine = Machine()
    keys = {"listeners": f"PLAINTEXT://{ADDRESS[0]}:{ADDRESS[1]}", **(settings or {})}
    async with machine.broker(*topics, settings=keys):
        links = Links(machine)
        async with connect([ADDRESS], links.connect) as cluster:
            yield cluster, links
