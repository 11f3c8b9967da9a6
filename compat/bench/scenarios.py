"""One scenario is one fresh broker and the rows that are read off it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from compat.bench import cold, group, growth, load, many
from compat.bench.findings import Findings, at
from compat.bench.process_stats import RssOverTime, rss_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.bench.sizes import Sizes
    from compat.brokers import BrokerProcess

SETTLE_S = 2.0  # after the start, before anything is measured: a JVM still has things to do


def idle(broker: BrokerProcess, _sizes: Sizes, _groups: frozenset[str]) -> Findings:
    """How long it took to start, and what it holds when it has nothing to do."""
    start_s = broker.start_s
    time.sleep(SETTLE_S)
    return Findings({"start": start_s, "rss.idle": rss_bytes(broker.pid) / 1e6})


def produce_and_consume(broker: BrokerProcess, sizes: Sizes, groups: frozenset[str]) -> Findings:
    """Four GB in records of 1 KB, one after the other, and the first of them read back."""
    time.sleep(SETTLE_S)
    load.create_topic(broker, "bench-1k")
    with RssOverTime(broker.pid) as memory:
        found = _produce_and_consume(broker, sizes, groups)
    found.series["memory"] = memory.points
    return found


def _produce_and_consume(broker: BrokerProcess, sizes: Sizes, groups: frozenset[str]) -> Findings:
    found = Findings()
    records = sizes.gb // 1000

    def gigabyte() -> load.Work:
        return load.producer_perf(broker, "bench-1k", records, 1000)

    first = gigabyte()
    if "produce" in groups:
        found.add(_rate_and_cpu("produce.fresh", first))
    if groups & {"produce", "rss"}:
        gigabyte()
    if "rss" in groups:
        found.values["rss.used"] = rss_bytes(broker.pid) / 1e6
    if "produce" in groups:
        gigabyte()
        found.add(_rate_and_cpu("produce.warm", gigabyte()))
    if "consume" in groups:
        work = load.consume(broker, "bench-1k", sizes.partitions, records)
        found.add(_rate_and_cpu("consume", work))
    return found


def small_records(broker: BrokerProcess, sizes: Sizes, _groups: frozenset[str]) -> Findings:
    """Records of 100 bytes with the producer's own batching, on a fresh broker and once more."""
    time.sleep(SETTLE_S)
    load.create_topic(broker, "bench-100")
    found = Findings()
    for name in ("small.fresh", "small.again"):
        work = load.producer_perf(broker, "bench-100", sizes.small_bytes // 100, 100)
        found.add(_rate_and_cpu(name, work))
    return found


def batches(broker: BrokerProcess, sizes: Sizes, _groups: frozenset[str]) -> Findings:
    """Records of 100 bytes in batches of 64 KB: the broker's cost of a record."""
    time.sleep(SETTLE_S)
    load.create_topic(broker, "bench-batches")
    work = load.producer_perf(
        broker, "bench-batches", sizes.batch_records, 100, batch_size="65536", linger_ms="50"
    )
    return Findings({"batches": work.records_per_cpu_s / 1e3})


def single(broker: BrokerProcess, sizes: Sizes, _groups: frozenset[str]) -> Findings:
    """One record at a time: the first ones of a fresh broker, and then warm ones."""
    time.sleep(SETTLE_S)
    load.create_topic(broker, "bench-single")
    counts = (sizes.single_first, sizes.single_warm_up, sizes.single_measured)
    first_ms, times = load.single(broker, "bench-single", *counts)
    return Findings(
        {"single.first": first_ms, "single.p50": at(times, 50), "single.p99": at(times, 99)},
        {"latency": times},
    )


def _rate_and_cpu(name: str, work: load.Work) -> Findings:
    return Findings({f"{name}.rate": work.mb_per_s, f"{name}.cpu": work.cpu_s_per_gb})


class Scenario(NamedTuple):
    """What is done to one fresh broker, for the rows of any of these groups."""

    groups: frozenset[str]
    run: Callable[[BrokerProcess, Sizes, frozenset[str]], Findings]
    is_long: bool = False  # a minute or more


SCENARIOS = (
    Scenario(frozenset({"start"}), idle),
    Scenario(frozenset({"rss", "produce", "consume"}), produce_and_consume),
    Scenario(frozenset({"small"}), small_records),
    Scenario(frozenset({"batches"}), batches),
    Scenario(frozenset({"single"}), single),
    Scenario(frozenset({"growth-log"}), growth.log, is_long=True),
    Scenario(frozenset({"growth-partitions"}), growth.partitions, is_long=True),
    Scenario(frozenset({"growth-connections"}), growth.connections),
    Scenario(frozenset({"start-10k"}), many.start, is_long=True),
    Scenario(frozenset({"create-1000"}), many.create),
    Scenario(frozenset({"group-100"}), group.rebalance),
    Scenario(frozenset({"cold"}), cold.cold, is_long=True),
)
