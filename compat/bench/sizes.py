"""How much work a run is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much work a round is."""

    gb: int = 1_000_000_000  # value bytes of "a GB"
    small_bytes: int = 500_000_000  # of records of 100 bytes, a run
    batch_records: int = 5_000_000  # of 100 bytes, in batches of 64 KB
    single_first: int = 1_000
    single_warm_up: int = 20_000
    single_measured: int = 20_000
    partitions: int = 1
    probes: int = 2_000  # appends and fetches that give one point of a growth
    log_bytes: int = 10_000_000_000  # how large the growing log gets
    many_partitions: int = 10_000
    connections: int = 5_000
    topics: int = 1_000
    members: int = 100
    member_partitions: int = 1_000
    cold_bytes: int = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Preset:
    """Sizes, and how many rounds: of all rows, and of those that take long (`once` at most)."""

    sizes: Sizes
    rounds: int
    long_rounds: int
    says: str


PRESETS = {
    "full": Preset(Sizes(), 3, 1, "everything at full size, about 20 minutes"),
    "quick": Preset(
        Sizes(
            gb=50_000_000,
            small_bytes=20_000_000,
            batch_records=500_000,
            single_warm_up=2_000,
            single_measured=2_000,
            probes=200,
            log_bytes=300_000_000,
            many_partitions=500,
            connections=200,
            topics=50,
            members=10,
            member_partitions=100,
            cold_bytes=100_000_000,
        ),
        1,
        1,
        "small sizes: does it work at all?",
    ),
}
