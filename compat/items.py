"""What brokers that imitate Kafka get wrong, item by item: what the suite's verdict speaks of.

A test says with `@pytest.mark.item(5)` which of them it judges.
"""

from __future__ import annotations

ITEMS = {
    1: "ApiVersions of a version too new is answered in version 0, and the connection stays open",
    2: "headers: the answer to ApiVersions has no tags, requests with and without tags are taken",
    3: "every advertised version is answered in its own shape and meaning",
    4: "what is not served ends as with Kafka; pipelined requests are answered in order",
    5: "a duplicate among a producer's last five batches is answered with its first offset",
    6: "an unknown producer may begin anywhere; epochs rise",
    7: "limits of records: max.message.bytes, keys on compacted topics, CRC, magic, codecs",
    8: "LogAppendTime is answered and stored",
    9: "a fetch from inside a batch returns the whole batch",
    10: "fetch sessions: forgotten partitions, errors every time, wrong epochs",
    11: "topics made again: which error, and at once",
    12: "the first batch comes whatever max_bytes says; min_bytes and max_wait",
    13: "ListOffsets by timestamp and special value, by version",
    14: "OffsetForLeaderEpoch: past, current and future epochs",
    15: "offsets are dense and rise, and nothing stands behind the last record",
    16: "commits keep their metadata and epoch; their errors are right",
    17: "read_committed shows nothing aborted",
    18: "offsets of transaction markers count as in Kafka",
    19: "unstable offset commits clear",
    20: "transaction timeouts abort and fence",
    21: "looking up a coordinator disturbs no group, at every version",
    22: "many groups form at once; members lose nothing",
    23: "the first lookup of a coordinator is retriable at worst; groups survive a restart",
    24: "joins: member ids, static members, timeouts; the consumer protocol of KIP-848",
    25: "share groups: assignments, locks, delivery counts, acknowledgements, isolation",
    26: "DescribeConfigs: every key with value, source and synonyms",
    27: "configs change one by one or together; what is unknown is an error",
    28: "topics: good and bad in one request, defaults, validation, auto-creation, deletion",
    29: "the cluster, authorized operations, reassignments",
    30: "retention, compaction, offsets that expire",
    31: "leaders and addresses: hints, IPv6 and IPv4 where a name has both",
}
