"""One scenario is one fresh broker and the rows that are read off it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from compat.bench import load
from compat.bench.process_stats import rss_bytes
from compat.brokers import BrokerProcess

SETTLE_S = 2.0  # after the start, before anything is measured: a JVM still has things to do

Values = dict[str, float]  # row name -> value


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


QUICK = Sizes(
    gb=50_000_000,
    small_bytes=20_000_000,
    batch_records=500_000,
    single_warm_up=2_000,
    single_measured=2_000,
)


def idle(broker: BrokerProcess, _sizes: Sizes, _groups: frozenset[str]) -> Values:
    """How long it took to start, and what it holds when it has nothing to do."""
    start_s = broker.start_s
    time.sleep(SETTLE_S)
    return {"start": start_s, "rss.idle": rss_bytes(broker.pid) / 1e6}


def produce_and_consume(broker: BrokerProcess, sizes: Sizes, groups: frozenset[str]) -> Values:
    """Four GB in records of 1 KB, one after the other, and the first of them read back."""
    values: Values = {}
    records = sizes.gb // 1000

    def gigabyte() -> load.Work:
        return load.producer_perf(broker, "bench-1k", records, 1000)

    time.sleep(SETTLE_S)
    load.create_topic(broker, "bench-1k")
    first = gigabyte()
    if "produce" in groups:
        values |= _rate_and_cpu("produce.fresh", first)
    if groups & {"produce", "rss"}:
        gigabyte()
    if "rss" in groups:
        values["rss.used"] = rss_bytes(broker.pid) / 1e6
    if "produce" in groups:
        gigabyte()
        values |= _rate_and_cpu("produce.warm", gigabyte())
    if "consume" in groups:
        values |= _rate_and_cpu(
            "consume", load.consume(broker, "bench-1k", sizes.partitions, records)
        )
    return values


def small_records(broker: BrokerProcess, sizes: Sizes, _groups: frozenset[str]) -> Values:
    """Records of 100 bytes with the producer's own batching, on a fresh broker and once more."""
    time.sleep(SETTLE_S)
    load.create_topic(broker, "bench-100")
    values: Values = {}
    for name in ("small.fresh", "small.again"):
        work = load.producer_perf(broker, "bench-100", sizes.small_bytes // 100, 100)
        values |= _rate_and_cpu(name, work)
    return values


def batches(broker: BrokerProcess, sizes: Sizes, _groups: frozenset[str]) -> Values:
    """Records of 100 bytes in batches of 64 KB: the broker's cost of a record."""
    time.sleep(SETTLE_S)
    load.create_topic(broker, "bench-batches")
    work = load.producer_perf(
        broker, "bench-batches", sizes.batch_records, 100, batch_size="65536", linger_ms="50"
    )
    return {"batches": work.records_per_cpu_s / 1e3}


def single(broker: BrokerProcess, sizes: Sizes, _groups: frozenset[str]) -> Values:
    """One record at a time: the first ones of a fresh broker, and then warm ones."""
    time.sleep(SETTLE_S)
    load.create_topic(broker, "bench-single")
    counts = (sizes.single_first, sizes.single_warm_up, sizes.single_measured)
    times = load.single(broker, "bench-single", *counts)
    return {
        "single.first": times["first_ms"],
        "single.p50": times["p50_ms"],
        "single.p99": times["p99_ms"],
    }


def _rate_and_cpu(name: str, work: load.Work) -> Values:
    return {f"{name}.rate": work.mb_per_s, f"{name}.cpu": work.cpu_s_per_gb}


Scenario = Callable[[BrokerProcess, Sizes, frozenset[str]], Values]

SCENARIOS: tuple[tuple[frozenset[str], Scenario], ...] = (
    (frozenset({"start"}), idle),
    (frozenset({"rss", "produce", "consume"}), produce_and_consume),
    (frozenset({"small"}), small_records),
    (frozenset({"batches"}), batches),
    (frozenset({"single"}), single),
)
