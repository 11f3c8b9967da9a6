"""Produce: versions, acks, codecs, topics and partitions that are wrong, batches that are wrong."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from compat.differential.asking import (
    EARLIEST,
    LATEST,
    NAMES_LAST,
    NO_SUCH_ID,
    Topic,
    batch,
    make_topic,
    produce_request,
)
from compat.differential.peer import SILENCE_S, TIMEOUT_S
from compat.differential.scenarios import scenario
from kbroker.storage.batch import (
    ATTRIBUTES_AT,
    BASE_OFFSET_AT,
    BASE_SEQUENCE_AT,
    BASE_TIMESTAMP_AT,
    CRC_AT,
    LAST_OFFSET_DELTA_AT,
    LEADER_EPOCH_AT,
    LENGTH_AT,
    MAGIC_AT,
    MAX_TIMESTAMP_AT,
    PRODUCER_EPOCH_AT,
    PRODUCER_ID_AT,
    RECORD_COUNT_AT,
)
from kbroker.storage.compression import Codec
from kbroker.storage.crc import crc32c
from kbroker.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from kbroker.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from kbroker.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
)

if TYPE_CHECKING:
    from compat.differential.peer import Peer


def with_field(data: bytes, at: int, form: str, value: int, *, crc: bool = True) -> bytes:
    """The batch with one field of its header overwritten, and the CRC of that unless not `crc`."""
    changed = bytearray(data)
    struct.pack_into(form, changed, at, value)
    if crc:
        struct.pack_into(">I", changed, CRC_AT, crc32c(bytes(changed[ATTRIBUTES_AT:])))
    return bytes(changed)


def ends(peer: Peer, step: str, topic: Topic, partition: int = 0) -> None:
    """Where the log of a partition begins and ends now."""
    parts = [
        ListOffsetsPartition(partition_index=partition, timestamp=stamp)
        for stamp in (EARLIEST, LATEST)
    ]
    for part in parts:
        asked = ListOffsetsTopic(name=topic.name, partitions=[part])
        request = ListOffsetsRequest(replica_id=-1, topics=[asked])
        peer.probe(f"{step}: offset {part.timestamp}", request, peer.last(ListOffsetsRequest))


def read_back(peer: Peer, step: str, topic: Topic, partition: int = 0) -> None:
    """All that a partition holds."""
    part = FetchPartition(partition=partition, fetch_offset=0, partition_max_bytes=1 << 22)
    request = FetchRequest(
        max_bytes=1 << 22,
        topics=[FetchTopic(topic=topic.name, topic_id=topic.id, partitions=[part])],
    )
    peer.probe(f"{step}: read back", request, peer.last(FetchRequest))


@scenario(ProduceRequest)
def versions(peer: Peer) -> None:
    topic = make_topic(peer, "versions", 2)
    for version in peer.shared(ProduceRequest):
        v = f"v{version} "
        one = batch(peer, b"a", b"b")
        request = produce_request(topic, one, one, version=version)
        peer.probe(v + "two partitions", request, version)
        for acks in (1, -1, 2, -2, 32767):
            request = produce_request(topic, one, version=version, acks=acks)
            peer.probe(f"{v}acks {acks}", request, version)
        for partition in (2, -1, 2**31 - 1):
            request = produce_request(topic, one, version=version, partition=partition)
            peer.probe(f"{v}partition {partition}", request, version)
        request = produce_request(topic, one, one, version=version, partition=1)
        peer.probe(v + "one right, one missing", request, version)
        unknown = Topic(peer.name("missing"), NO_SUCH_ID, 1)
        peer.probe(v + "missing topic", produce_request(unknown, one, version=version), version)
        if version <= NAMES_LAST:
            for name in ("", "a b", "x" * 250):
                wrong = Topic(name, NO_SUCH_ID, 1)
                request = produce_request(wrong, one, version=version)
                peer.probe(f"{v}topic {name[:5]!r}", request, version)
        else:
            request = produce_request(Topic("", bytes(16), 1), one, version=version)
            peer.probe(v + "no id", request, version)
        peer.probe(v + "no topics", ProduceRequest(acks=-1, timeout_ms=1000), version)
        request = produce_request(topic, version=version)
        peer.probe(v + "no partitions", request, version)
        for timeout_ms in (0, -1):
            request = produce_request(topic, one, version=version, timeout_ms=timeout_ms)
            peer.probe(f"{v}timeout {timeout_ms}", request, version)
        twice = produce_request(topic, one, version=version)
        twice.topic_data[0].partition_data.append(PartitionProduceData(index=0, records=one))
        peer.probe(v + "a partition twice", twice, version, connection="odd")
        request = produce_request(topic, one, version=version, transactional_id="t")
        peer.probe(v + "a transactional id", request, version)
        ends(peer, v, topic)
    read_back(peer, "all", topic)


@scenario(ProduceRequest)
def no_acks(peer: Peer) -> None:
    """acks=0: no answer, and the connection closes on an error."""
    topic = make_topic(peer, "no-acks")
    for version in peer.shared(ProduceRequest):
        peer.unanswered(produce_request(topic, batch(peer, b"a"), version=version, acks=0), version)
        ends(peer, f"v{version} after one", topic)
    one = produce_request(topic, batch(peer, b"a"), version=version, acks=0)
    peer.probe("not answered", one, version, connection="silent", silence_expected=True)
    version = peer.last(ProduceRequest, below=NAMES_LAST + 1)
    bad = produce_request(topic, b"", version=version, acks=0)
    bad.topic_data[0].partition_data[0].index = 9
    peer.unanswered(bad, version)
    ends(peer, "after a missing partition", topic)


@scenario(ProduceRequest)
def codecs(peer: Peer) -> None:
    for config in ("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"):
        topic = make_topic(peer, f"to-{config}", compression_type=config)
        for codec in Codec:
            for version in (3, 6, 7, peer.last(ProduceRequest)):
                values = [b"value %d " % i * 20 for i in range(20)]
                records = batch(peer, *values, codec=codec)
                request = produce_request(topic, records, version=version)
                peer.probe(f"{codec.name} to {config} v{version}", request, version)
        for attribute in (5, 6, 7):
            records = with_field(batch(peer, b"x"), ATTRIBUTES_AT, ">h", attribute)
            request = produce_request(topic, records, version=peer.last(ProduceRequest))
            peer.probe(f"codec {attribute} to {config}", request, peer.last(ProduceRequest))
        read_back(peer, config, topic)


@scenario(ProduceRequest)
def not_compressed(peer: Peer) -> None:
    """Batches whose content is not what the codec in their header would have made."""
    version = peer.last(ProduceRequest)
    for config in ("producer", "uncompressed", "gzip", "zstd"):
        topic = make_topic(peer, f"to-{config}", len(Codec), compression_type=config)
        for codec in list(Codec)[1:]:
            records = with_field(batch(peer, b"x"), ATTRIBUTES_AT, ">h", int(codec))
            request = produce_request(topic, records, version=version, partition=int(codec))
            peer.probe(f"{codec.name} to {config}", request, version)


@scenario(ProduceRequest)
def bad_batches(peer: Peer) -> None:
    version = peer.last(ProduceRequest)
    good = batch(peer, b"one", b"two", b"three")
    cases = {
        "null": None,
        "empty": b"",
        "two batches": good + good,
        "a byte": b"\0",
        "header only": good[:61],
        "cut off": good[:-1],
        "cut off in the header": good[:30],
        "trailing byte": good + b"\0",
        "good, then cut off": good + good[:-4],
        "zeroes": bytes(100),
        "base offset 5": with_field(good, BASE_OFFSET_AT, ">q", 5),
        "base offset -1": with_field(good, BASE_OFFSET_AT, ">q", -1),
        "leader epoch 7": with_field(good, LEADER_EPOCH_AT, ">i", 7),
        "length 0": with_field(good, LENGTH_AT, ">i", 0),
        "length -1": with_field(good, LENGTH_AT, ">i", -1),
        "length 48": with_field(good, LENGTH_AT, ">i", 48),
        "length of 2 GiB": with_field(good, LENGTH_AT, ">i", 2**31 - 1),
        "magic 0": with_field(good, MAGIC_AT, ">b", 0),
        "magic 1": with_field(good, MAGIC_AT, ">b", 1),
        "magic 3": with_field(good, MAGIC_AT, ">b", 3),
        "magic -1": with_field(good, MAGIC_AT, ">b", -1),
        "CRC": with_field(good, CRC_AT, ">I", 5, crc=False),
        "log append time": with_field(good, ATTRIBUTES_AT, ">h", 8),
        "transactional": with_field(good, ATTRIBUTES_AT, ">h", 16),
        "control": with_field(good, ATTRIBUTES_AT, ">h", 32),
        "delete horizon": with_field(good, ATTRIBUTES_AT, ">h", 64),
        "unused attributes": with_field(good, ATTRIBUTES_AT, ">h", 0x700),
        "last offset delta 0": with_field(good, LAST_OFFSET_DELTA_AT, ">i", 0),
        "last offset delta 9": with_field(good, LAST_OFFSET_DELTA_AT, ">i", 9),
        "last offset delta -1": with_field(good, LAST_OFFSET_DELTA_AT, ">i", -1),
        "count 0": with_field(good, RECORD_COUNT_AT, ">i", 0),
        "count -1": with_field(good, RECORD_COUNT_AT, ">i", -1),
        "count 2": with_field(good, RECORD_COUNT_AT, ">i", 2),
        "count 4": with_field(good, RECORD_COUNT_AT, ">i", 4),
        "base timestamp -1": with_field(good, BASE_TIMESTAMP_AT, ">q", -1),
        "max timestamp -1": with_field(good, MAX_TIMESTAMP_AT, ">q", -1),
        "max timestamp later": with_field(good, MAX_TIMESTAMP_AT, ">q", peer.now_ms + 99),
        "producer id without epoch": with_field(good, PRODUCER_ID_AT, ">q", 5),
        "producer id -2": with_field(good, PRODUCER_ID_AT, ">q", -2),
        "producer epoch alone": with_field(good, PRODUCER_EPOCH_AT, ">h", 5),
        "sequence alone": with_field(good, BASE_SEQUENCE_AT, ">i", 5),
    }
    topic = make_topic(peer, "bad", len(cases))
    for partition, (label, data) in enumerate(cases.items()):
        request = produce_request(topic, data, version=version, partition=partition)
        patience_s = SILENCE_S if data is None else TIMEOUT_S
        peer.probe(label, request, version, connection="odd", timeout_s=patience_s)
        ends(peer, label, topic, partition)
        read_back(peer, label, topic, partition)
    for version in peer.shared(ProduceRequest):
        for label in ("CRC", "magic 1", "last offset delta 9", "control", "trailing byte"):
            request = produce_request(topic, cases[label], version=version)
            peer.probe(f"v{version} {label}", request, version, connection="odd")


@scenario(ProduceRequest)
def limits(peer: Peer) -> None:
    version = peer.last(ProduceRequest)
    small = make_topic(peer, "small", max_message_bytes="200")
    compact = make_topic(peer, "compact", cleanup_policy="compact")
    both = make_topic(peer, "both", cleanup_policy="compact,delete")
    stamped = make_topic(peer, "stamped", message_timestamp_type="LogAppendTime")
    strict = make_topic(
        peer,
        "strict",
        message_timestamp_before_max_ms="600000",
        message_timestamp_after_max_ms="600000",
    )
    for size in range(120, 150, 3):
        request = produce_request(small, batch(peer, b"x" * size), version=version)
        peer.probe(f"{size} bytes", request, version)
    for version in peer.shared(ProduceRequest):
        v = f"v{version} "
        request = produce_request(small, batch(peer, b"x" * 300), version=version)
        peer.probe(v + "too large", request, version)
        for topic in (compact, both):
            for label, records in (
                ("keyless", batch(peer, b"a", b"b", key=None)),
                ("keyless, compressed", batch(peer, b"a", b"b", key=None, codec=Codec.LZ4)),
                ("with a key", batch(peer, b"a", b"b")),
                ("empty key", batch(peer, b"a", key=b"")),
                ("tombstone", batch(peer, None)),
            ):
                request = produce_request(topic, records, version=version)
                peer.probe(f"{v}{label} {topic.name[-7:]}", request, version)
        for label, stamps in (
            ("now", [peer.now_ms] * 2),
            ("old", [peer.now_ms, peer.now_ms - 1_200_000]),
            ("new", [peer.now_ms, peer.now_ms + 1_200_000]),
            ("none", [-1, -1]),
            ("negative", [-5, -5]),
        ):
            for topic in (strict, stamped):
                records = batch(peer, b"a", b"b", stamps=stamps)
                request = produce_request(topic, records, version=version)
                peer.probe(f"{v}{label} {topic.name[-7:]}", request, version)
    read_back(peer, "compacted", compact)
    read_back(peer, "stamped", stamped)
    read_back(peer, "strict", strict)
