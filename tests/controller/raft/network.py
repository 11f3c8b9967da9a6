"""A quorum of RaftNodes on a simulated network: delay, loss, duplication, cuts, crashes; one seed,
one run.

Fault model: messages are lost, delayed and duplicated at will, in either direction alone; a crash
loses what was appended since the last flush, but never the quorum state file. After every step the
invariants of Raft are checked.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

from kbroker.controller.raft.effects import Append, Effects, Event, Flushed, Receive, Resign, Tick
from kbroker.controller.raft.log import EpochLog
from kbroker.controller.raft.messages import FetchedBatch, FetchReply, Message
from kbroker.controller.raft.node import RaftConfig, RaftNode
from kbroker.controller.raft.roles import Leader
from kbroker.controller.raft.voters import ReplicaKey, VoterSet

BATCHES_A_REPLY_MAX = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch in a simulated log: its epoch and what it says."""

    epoch: int
    base_offset: int
    values: tuple[bytes, ...]

    @property
    def end_offset(self) -> int:
        return self.base_offset + len(self.values)


@dataclass(slots=True)
class Disk:
    """What a node has written. `flushed` entries survive a crash."""

    entries: list[Entry] = field(default_factory=list)
    flushed: int = 0
    election: object = None

    @property
    def end_offset(self) -> int:
        return self.entries[-1].end_offset if self.entries else 0

    def crash(self, rng: random.Random) -> None:
        """Lose a random tail of what was not flushed."""
        keep = rng.randint(self.flushed, len(self.entries))
        del self.entries[keep:]
        self.flushed = keep


class Quorum:
    """Nodes 1..n and their network, on virtual milliseconds."""

    def __init__(
        self, voters: int, seed: int, *, observers: int = 0, loss: float = 0.0, delay_ms: int = 20
    ) -> None:
        self.rng = random.Random(seed)
        self.now_ms = 0
        self.loss = loss
        self.delay_ms = delay_ms
        self.keys = [ReplicaKey(i) for i in range(1, voters + observers + 1)]
        self.voters = VoterSet.of(*self.keys[:voters])
        self.disks = {key.id: Disk() for key in self.keys}
        self.nodes: dict[int, RaftNode] = {}
        self.cut: set[tuple[int, int]] = set()
        self.committed: list[Entry] = []
        self.leaders: dict[int, int] = {}
        self.acknowledged: list[bytes] = []
        self._pending: dict[int, list[tuple[int, int, bytes]]] = {}
        self._queue: list[tuple[int, int, int, Event, int]] = []
        self._sequence = 0
        self._incarnation = dict.fromkeys(self.disks, 0)
        for node_id in self.disks:
            self.start(node_id)

    # Faults and inputs

    def start(self, node_id: int) -> None:
        disk = self.disks[node_id]
        log = EpochLog()
        for entry in disk.entries:
            log.append(entry.epoch, entry.base_offset, entry.end_offset)
        log.flushed_offset = log.end_offset
        disk.flushed = len(disk.entries)
        self._incarnation[node_id] += 1
        node = RaftNode(
            local=ReplicaKey(node_id),
            voters=self.voters,
            log=log,
            stored=disk.election,  # type: ignore[arg-type]
            config=RaftConfig(
                election_timeout_ms=100,
                fetch_timeout_ms=200,
                request_timeout_ms=80,
                fetch_max_wait_ms=50,
            ),
            rng=random.Random(self.rng.random()),
        )
        self.nodes[node_id] = node
        self._pending[node_id] = []
        self._carry_out(node_id, node.start(self.now_ms))

    def crash(self, node_id: int) -> None:
        if self.nodes.pop(node_id, None) is not None:
            self.disks[node_id].crash(self.rng)

    def propose(self, value: bytes) -> bool:
        """Give `value` and its name to every node that thinks it leads. True if there was one."""
        leaders = [i for i, node in self.nodes.items() if node.is_leader]
        for node_id in leaders:
            named = b"%s at %d" % (value, node_id)
            node = self.nodes[node_id]
            self._pending[node_id].append((node.epoch, node.log.end_offset, named))
            self._step(node_id, Append((named,)))
        return bool(leaders)

    def resign(self, node_id: int) -> None:
        if node_id in self.nodes:
            self._step(node_id, Resign())

    # Time

    def run(self, duration_ms: int) -> None:
        end = self.now_ms + duration_ms
        while True:
            due = min((node.deadline_ms for node in self.nodes.values()), default=end + 1)
            if self._queue:
                due = min(due, self._queue[0][0])
            if due > end:
                break
            self.now_ms = max(self.now_ms, due)
            if self._queue and self._queue[0][0] <= self.now_ms:
                _, _, to, event, incarnation = heapq.heappop(self._queue)
                if to in self.nodes and incarnation in (0, self._incarnation[to]):
                    self._step(to, event)
                continue
            for node_id, node in list(self.nodes.items()):
                if node.deadline_ms <= self.now_ms:
                    self._step(node_id, Tick())
        self.now_ms = end

    def _step(self, node_id: int, event: Event) -> None:
        node = self.nodes[node_id]
        if isinstance(event, Flushed):
            disk = self.disks[node_id]
            while (
                disk.flushed < len(disk.entries)
                and disk.entries[disk.flushed].end_offset <= event.end_offset
            ):
                disk.flushed += 1
            durable = disk.entries[disk.flushed - 1].end_offset if disk.flushed else 0
            event = Flushed(durable)
        if isinstance(event, Receive) and isinstance(event.message, FetchReply):
            event = self._deliver_records(event)
        self._carry_out(node_id, node.step(event, self.now_ms))
        self._check(node_id)

    @staticmethod
    def _deliver_records(event: Receive) -> Receive:
        reply = event.message
        assert isinstance(reply, FetchReply)
        entries: tuple[Entry, ...] = reply.records  # type: ignore[assignment]
        batches = tuple(
            FetchedBatch(epoch=e.epoch, base_offset=e.base_offset, end_offset=e.end_offset)
            for e in entries or ()
        )
        return Receive(event.source, reply._replace(batches=batches))

    def _carry_out(self, node_id: int, effects: Effects) -> None:
        disk = self.disks[node_id]
        if effects.persist is not None:
            disk.election = effects.persist
        if effects.truncate_to is not None:
            while disk.entries and disk.entries[-1].end_offset > effects.truncate_to:
                disk.entries.pop()
            assert disk.end_offset == effects.truncate_to, "truncation inside a batch"
            disk.flushed = min(disk.flushed, len(disk.entries))
        for batch in effects.append:
            disk.entries.append(Entry(batch.epoch, batch.base_offset, tuple(batch.values)))
        disk.entries.extend(effects.append_fetched)  # type: ignore[arg-type]
        for outbound in effects.send:
            self._send(node_id, outbound.to, outbound.message)
        if effects.flush:
            self._schedule(
                self.rng.randint(0, 5),
                node_id,
                Flushed(disk.end_offset),
                self._incarnation[node_id],
            )
        if effects.commit is not None:
            self._commit(node_id, effects.commit)

    def _send(self, source: int, to: int, message: Message) -> None:
        if isinstance(message, FetchReply) and message.read_from is not None:
            entries = [e for e in self.disks[source].entries if e.end_offset > message.read_from]
            message = message._replace(records=tuple(entries[:BATCHES_A_REPLY_MAX]))  # type: ignore[arg-type]
        copies = 2 if self.rng.random() < self.loss / 2 else 1
        for _ in range(copies):
            if (source, to) in self.cut or self.rng.random() < self.loss:
                continue
            delay = self.rng.randint(1, self.delay_ms)
            self._schedule(delay, to, Receive(ReplicaKey(source), message), 0)

    def _schedule(self, delay_ms: int, to: int, event: Event, incarnation: int) -> None:
        self._sequence += 1
        heapq.heappush(
            self._queue, (self.now_ms + delay_ms, self._sequence, to, event, incarnation)
        )

    # Invariants

    def _commit(self, node_id: int, offset: int) -> None:
        entries = [e for e in self.disks[node_id].entries if e.end_offset <= offset]
        known = self.committed[: len(entries)]
        assert entries[: len(known)] == known, f"node {node_id} commits something else"
        self.committed.extend(entries[len(known) :])
        if entries and self.nodes[node_id].is_leader:
            mine = self.nodes[node_id].epoch
            done = [each for each in self._pending[node_id] if each[1] < offset]
            self.acknowledged.extend(value for epoch, _, value in done if epoch == mine)
            self._pending[node_id] = [p for p in self._pending[node_id] if p[1] >= offset]

    def _check(self, node_id: int) -> None:
        node = self.nodes[node_id]
        assert node.log.end_offset == self.disks[node_id].end_offset
        if isinstance(node.role, Leader):
            assert self.leaders.setdefault(node.epoch, node_id) == node_id, "two leaders an epoch"
        if node.high_watermark is not None:
            durable = sum(
                1 for voter in self.voters if self._durable_end(voter.key.id) >= node.high_watermark
            )
            assert durable > len(self.voters) // 2, f"{node.high_watermark} is on {durable} disks"

    def _durable_end(self, node_id: int) -> int:
        disk = self.disks[node_id]
        return disk.entries[disk.flushed - 1].end_offset if disk.flushed else 0

    def check_at_the_end(self) -> None:
        """Every acknowledged value is committed once, and the logs agree up to what is
        committed.
        """
        values = [value for entry in self.committed for value in entry.values]
        for value in self.acknowledged:
            assert values.count(value) == 1, value
        for node in self.nodes.values():
            known = node.high_watermark or 0
            entries = [e for e in self.disks[node.local.id].entries if e.end_offset <= known]
            assert entries == self.committed[: len(entries)]

    @property
    def leader(self) -> RaftNode | None:
        """The leader of the highest epoch."""
        leading = [node for node in self.nodes.values() if node.is_leader]
        return max(leading, key=lambda node: node.epoch, default=None)
