"""The voters of the quorum. Source: org.apache.kafka.raft.VoterSet, ReplicaKey (KIP-853)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class ReplicaKey(NamedTuple):
    """A node's id and, where the voter set knows it, the id of its metadata directory.

    A node that lost its disk comes back under a new directory id, and so is no longer the voter it
    was.
    """

    id: int
    directory_id: bytes | None = None


class Endpoint(NamedTuple):
    """Where a voter's listener is found."""

    host: str
    port: int


class Voter(NamedTuple):
    """A member of the quorum: where its listeners are, by name, and which kraft.version it can."""

    key: ReplicaKey
    endpoints: tuple[tuple[str, Endpoint], ...] = ()
    kraft_versions: tuple[int, int] = (0, 1)


class VoterSet:
    """An immutable set of voters, by node id."""

    __slots__ = ("_voters",)

    def __init__(self, voters: Mapping[int, Voter]) -> None:
        assert all(node_id == voter.key.id for node_id, voter in voters.items())
        self._voters = dict(sorted(voters.items()))

    @classmethod
    def of(cls, *keys: ReplicaKey) -> VoterSet:
        return cls({key.id: Voter(key) for key in keys})

    def __len__(self) -> int:
        return len(self._voters)

    def __iter__(self) -> Iterator[Voter]:
        return iter(self._voters.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VoterSet) and self._voters == other._voters

    def __hash__(self) -> int:
        return hash(tuple(self._voters.items()))

    def __repr__(self) -> str:
        return f"VoterSet({list(self._voters.values())!r})"

    @property
    def ids(self) -> frozenset[int]:
        return frozenset(self._voters)

    def get(self, node_id: int) -> Voter | None:
        return self._voters.get(node_id)

    def contains(self, key: ReplicaKey) -> bool:
        """True if `key` is this set's voter of that id; a voter without a directory id matches
        any.
        """
        voter = self._voters.get(key.id)
        if voter is None:
            return False
        return voter.key.directory_id is None or voter.key.directory_id == key.directory_id

    def is_only(self, key: ReplicaKey) -> bool:
        return len(self._voters) == 1 and self.contains(key)
