"""Mutants that no test can notice, each with the reason."""

from __future__ import annotations

EQUIVALENT: dict[str, str] = {
    # storage
    "storage/compression.py::_end_of_zstd_frame: "
    '(int.from_bytes(head[:4] + magic[len(head[:4]) :], "little") ^ number) & mask == 0 -> '
    '(int.from_bytes(head[:4] + magic[len(head[: 3]) :], "little") ^ number) & mask == 0': (
        "The mask takes away what the number has beyond four bytes."
    ),
    "storage/compression.py::_end_of_zstd_frame: "
    '(int.from_bytes(head[:4] + magic[len(head[:4]) :], "little") ^ number) & mask == 0 -> '
    '(int.from_bytes(head[:4] + magic[len(head[: 5]) :], "little") ^ number) & mask == 0': (
        "There is nothing behind the fourth byte of a magic."
    ),
    "storage/compression.py::_end_of_zstd_frame: "
    '(int.from_bytes(head[:4] + magic[len(head[:4]) :], "little") ^ number) & mask == 0 -> '
    '(int.from_bytes(head[: 5] + magic[len(head[:4]) :], "little") ^ number) & mask == 0': (
        "The mask takes away what the number has beyond four bytes."
    ),
    "storage/log.py::Log.close: self.changed.add(self) -> pass": (
        "The flush before it has entered the log."
    ),
    "storage/log.py::Log.truncate_fully_and_start_at: self.changed.add(self) -> pass": (
        "The segment that is made before it has entered the log."
    ),
    "storage/log_base.py::LogBase.__init__: "
    "self.last_append_bytes = 0 -> self.last_append_bytes = -1": (
        "It is read after an append, which sets it."
    ),
    "storage/log_base.py::LogBase.__init__: "
    "self.last_append_bytes = 0 -> self.last_append_bytes = 1": (
        "It is read after an append, which sets it."
    ),
    "storage/segment.py::LogSegment.append: self._first_timestamp = max_timestamp -> pass": (
        "It is read from the first batch when it is asked for: that takes longer."
    ),
    "storage/varint.py::read_varint: "
    "value &= _INT32_BITS if bytes_max == VARINT_BYTES_MAX else _INT64_BITS -> "
    "value &= _INT32_BITS if bytes_max <= VARINT_BYTES_MAX else _INT64_BITS": (
        "There are two lengths, and the other is larger."
    ),
    "storage/walk.py::batches: if at + size > len(chunk): -> if at + size != len(chunk):": (
        "A batch that is in the buffer is read once more: that takes longer."
    ),
    "storage/walk.py::batches: if at + size > len(chunk): -> if at + size >= len(chunk):": (
        "A batch that is in the buffer is read once more: that takes longer."
    ),
    "storage/compression.py::: _SNAPPY_CHUNK_BYTES = 32 * 1024 -> "
    "_SNAPPY_CHUNK_BYTES = 32 * 1025": "A chunk may have any size.",
    "storage/disk.py::: _PROBE_BYTES = 128 * 1024 "
    "# what the kernel reads ahead, so what is there or not as a whole -> "
    "_PROBE_BYTES = 128 * 1023 "
    "# what the kernel reads ahead, so what is there or not as a whole": (
        "How densely one looks at the page cache is a tuning value."
    ),
    "storage/disk.py::Disk.open: "
    "def open(self, path: str, *, create: bool = False) -> File: -> "
    "def open(self, path: str, *, create: bool = True) -> File:": (
        "A protocol's method is never called: each disk has its own default."
    ),
    "storage/lz4_frame.py::blocks: if position > len(view): -> if position == len(view):": (
        "The end mark is missing then, or the checksum is wrong: the same error."
    ),
    "storage/producer_replay.py::replay_producers: break -> continue": (
        "What lies behind the end is looked at and left out: that takes longer."
    ),
    # kbroker/partitions
    "kbroker/partitions/fetch_sessions.py::FetchSessionCache.create: "
    "max(1, number * IDS_A_SHARD), (number + 1) * IDS_A_SHARD -> "
    "max( 2, number * IDS_A_SHARD), (number + 1) * IDS_A_SHARD": (
        "Ids are drawn at random, and nothing promises that any of them comes."
    ),
    "kbroker/partitions/fetch_sessions.py::FetchSessionCache._shard_of: "
    "return self._shards[max(session_id, 0) // IDS_A_SHARD % SHARDS] -> "
    "return self._shards[max(session_id, 1) // IDS_A_SHARD % SHARDS]": (
        "Both are ids of the first shard."
    ),
    "kbroker/partitions/maintenance.py::: NEVER_S = 10.0 * 365 * 86_400 "
    "# an interval longer than this is never reached -> NEVER_S = 11.0 * 365 * 86_400 "
    "# an interval longer than this is never reached": "Neither is reached.",
    "kbroker/partitions/moves.py::Moves._keep_the_rate: "
    "self._owed_bytes = 0.0 -> self._owed_bytes = -1.0": "What is owed is never below 0.",
    "kbroker/partitions/partition.py::Partition._advance: "
    "if appended > 0 and self._waiters: -> if appended > -1 and self._waiters:": (
        "Whoever is woken for nothing looks, and waits on."
    ),
    "kbroker/partitions/moves.py::Moves._exchange: copied_bytes = 0 -> copied_bytes = -1": (
        "How much is copied in one step is a matter of taste, and a byte is not much."
    ),
    "kbroker/partitions/moves.py::Moves._exchange: copied_bytes = 0 -> copied_bytes = 1": (
        "How much is copied in one step is a matter of taste, and a byte is not much."
    ),
    # kbroker/handlers
    "kbroker/handlers/list_offsets.py::: NEVER = 1 << 15 -> NEVER = 2 << 15": (
        "No version is as large as either."
    ),
    "kbroker/handlers/list_offsets.py::: NEVER = 1 << 15 -> NEVER = 1 << 16": (
        "No version is as large as either."
    ),
    "kbroker/handlers/list_offsets.py::: NEVER = 1 << 15 -> NEVER = 1 << 14": (
        "No version that is served is as large as either."
    ),
}
