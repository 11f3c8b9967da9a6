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
    "storage/truncation.py::truncate_fully_and_start_at: log.checkpoint_queue.add(log) -> pass": (
        "The segments that are discarded before it have queued the log."
    ),
    "storage/log.py::Log.__init__: self.last_append_bytes = 0 -> self.last_append_bytes = -1": (
        "It is read after an append, which sets it."
    ),
    "storage/log.py::Log.__init__: self.last_append_bytes = 0 -> self.last_append_bytes = 1": (
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
    "storage/os_disk.py::: _PROBE_BYTES = 128 * 1024 "
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
    "kbroker/log_dirs/maintenance.py::: NEVER_S = 10.0 * 365 * 86_400 "
    "# an interval longer than this is never reached -> NEVER_S = 11.0 * 365 * 86_400 "
    "# an interval longer than this is never reached": "Neither is reached.",
    "kbroker/log_dirs/moves.py::Moves._keep_the_rate: "
    "self._owed_bytes = 0.0 -> self._owed_bytes = -1.0": "What is owed is never below 0.",
    "kbroker/partitions/partition.py::Partition._advance: "
    "if appended > 0 and self._waiters: -> if appended > -1 and self._waiters:": (
        "Whoever is woken for nothing looks, and waits on."
    ),
    "kbroker/log_dirs/moves.py::Moves._exchange: copied_bytes = 0 -> copied_bytes = -1": (
        "How much is copied in one step is a matter of taste, and a byte is not much."
    ),
    "kbroker/log_dirs/moves.py::Moves._exchange: copied_bytes = 0 -> copied_bytes = 1": (
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
    # controller
    (
        "controller/loader.py::load: loaded.image.epoch = snapshot.epoch -> pass"
    ): "A snapshot has records, and to apply them has set the epoch.",
    (
        "controller/model.py::: "
        "@dataclass(slots=True, kw_only=True)"
        " -> @dataclass(slots=False, kw_only=True)"
    ): "Slots are memory alone.",
    (
        "controller/replay.py::broker_registration_change: "
        "changed.fenced = record.fenced > 0"
        " -> changed.fenced = record.fenced > -1"
    ): "Of a fence there are three: 1, -1, and 0, which is asked about before.",
    (
        "controller/state/brokers.py::_check_features: "
        "low, high = ranges.get(name, (0, 0))"
        " -> low, high = ranges.get(name, ( -1, 0))"
    ): "No level below 1 stands in the image.",
    (
        "controller/state/elections.py::_Decision._last_known_leader: "
        "return last[0] if self._accepts(last[0]) else None"
        " -> return last[ -1] if self._accepts(last[0]) else None"
    ): "It has one element, as the lines before say.",
    # kbroker/coordinators
    (
        "kbroker/coordinators/group/classic/group.py::ClassicGroup.select_protocol: "
        "if len(votes) <= 1:"
        " -> if len(votes) <= 0:"
    ): "The way for several finds the only one too.",
    (
        "kbroker/coordinators/group/classic/join_rules.py::: "
        "PENDING_JOINS_MAX: Final = 10_000"
        " -> PENDING_JOINS_MAX: Final = 9999"
    ): "How many ids may wait is a bound of ours, which nothing promises exactly.",
    (
        "kbroker/coordinators/group/classic/rebalance_rules.py::RebalanceRules.join_due: "
        "if group.new_member_added and remaining_ms != 0:"
        " -> if group.new_member_added and remaining_ms != -1:"
    ): "A further delay of nothing is over at once.",
    (
        "kbroker/coordinators/group/classic/result.py::: "
        "@dataclass(frozen=True, slots=True)"
        " -> @dataclass(frozen=False, slots=True)"
    ): "Nothing sets its fields.",
    (
        "kbroker/coordinators/deadlines.py::: NEVER: Final = 1 << 62 -> NEVER: Final = 1 << 63"
    ): "One number that no time reaches is as good as another.",
    (
        "kbroker/coordinators/finder.py::: "
        "FIND_TIMEOUT_S: Final = 10.0 # a client asks again"
        " -> FIND_TIMEOUT_S: Final = 11.0 # a client asks again"
    ): "How long a search takes at the most is tuning.",
    (
        "kbroker/coordinators/group_coordinator.py::GroupCoordinator.join_group: "
        'member_uuid = "" if request.member_id else '
        "_uuid_text(self._rng.getrandbits(128))"
        ' -> member_uuid = "" if request.member_id else '
        "_uuid_text(self._rng.getrandbits( 127))"
    ): "An id of 127 random bits is as good.",
    (
        "kbroker/coordinators/runtime.py::CoordinatorRuntime._fire: "
        "if partition is None or partition.shard is not deadline.owner:"
        " -> if partition is None and partition.shard is not deadline.owner:"
    ): "The deadlines of a shard that is given up are cancelled with it.",
    # kbroker/server
    (
        "kbroker/server/connection.py::Connection._take_frames: "
        "if not 0 <= size <= request_bytes_max:"
        " -> if not -1 <= size <= request_bytes_max:"
    ): "An empty request is refused as one of a negative size is.",
    (
        "kbroker/server/heap.py::HeapTrimmer.__init__: self._count = 0 -> self._count = 1"
    ): "It is counted before it is read.",
    (
        "kbroker/server/limits.py::: IDLE_POLL_S_MAX = 3600.0 -> IDLE_POLL_S_MAX = 3599.0"
    ): "How long it sleeps at the most is tuning.",
    (
        "kbroker/server/server.py::: "
        "@dataclass(frozen=True, slots=True)"
        " -> @dataclass(frozen=False, slots=True)"
    ): "Nothing sets its fields.",
    (
        "kbroker/server/server.py::: DISK_THREADS_MAX = 8 -> DISK_THREADS_MAX = 7"
    ): "How many threads read at once is tuning.",
    (
        "kbroker/server/server.py::Server._accept: in_a_row = 0 -> in_a_row = 1"
    ): "How many are accepted in a row is tuning.",
}
