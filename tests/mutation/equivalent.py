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
    (
        "storage/recovery.py::Recovery.recover: "
        "epochs = self.epochs = self._load_epochs(log_start_offset, "
        "suspects[0].base_offset) -> epochs = self.epochs = "
        "self._load_epochs(log_start_offset, suspects[ "
        "-1].base_offset)"
    ): "What a later segment says of epochs is cut again, and is learnt from its batches.",
    (
        "storage/validation.py::prepare: "
        "if attributes & (CONTROL_MASK | TRANSACTIONAL_MASK) or "
        "header.producer_id >= 0: -> if attributes | (CONTROL_MASK | "
        "TRANSACTIONAL_MASK) or header.producer_id >= 0:"
    ): "A batch that has neither passes the check: that takes longer.",
    (
        "storage/log.py::Log.verify_tail: self.is_tail_known = True -> self.is_tail_known = False"
    ): "It is looked at again, and found as it is: that takes longer.",
    (
        "storage/segment_loading.py::FoundSegments._rebuild_indexes: "
        "segment.release_indexes() -> pass"
    ): "The files are removed, and the mappings go with the log that cannot be opened.",
    (
        "storage/segment_loading.py::FoundSegments.__init__: "
        "self.indexed_to = 0 -> self.indexed_to = -1"
    ): "It is set before it is read, or the log has no other segment.",
    (
        "storage/producer_replay.py::replay_producers: "
        "if from_offset < end_offset: -> if from_offset <= "
        "end_offset:"
    ): "No batch begins in between: that takes longer.",
    (
        "storage/partition_directory.py::PartitionDirectory.discard_segment: "
        "segment.release() -> pass"
    ): "The segment goes, and what it has mapped with it.",
    (
        "storage/producer_checks.py::_check_marker_epoch: "
        "if producer_epoch == current_epoch and ( -> if "
        "producer_epoch >= current_epoch and ("
    ): "A larger one has returned before.",
    (
        "storage/segment.py::LogSegment.locate: "
        "if length < _MIN_LENGTH and length < length_min(magic): -> "
        "if length <= _MIN_LENGTH and length < length_min(magic):"
    ): "A batch of any format may be as long as that.",
    (
        "storage/index.py::MappedIndex.trim: "
        "if self._file_size != size: -> if self._file_size > size:"
    ): "A file is never smaller than its entries.",
    (
        "storage/producer_state.py::ProducerState._clear: self._oldest_timestamp = _NEVER -> pass"
    ): "Those that have expired are looked for sooner than needed: that takes longer.",
    (
        "storage/txn_index.py::TransactionIndex.release: self._records = None -> pass"
    ): "They are kept in memory, and the file says the same.",
    (
        "storage/segment.py::LogSegment._check_indexes: "
        "self._is_sane = True -> self._is_sane = False"
    ): "They are looked at again when the file is opened again: that takes longer.",
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
    (
        "kbroker/partitions/partition.py::Partition.delete_records: "
        "if not 0 <= offset <= self.high_watermark: -> if not -1 <= "
        "offset <= self.high_watermark:"
    ): "The lines before have made an offset of -1 the high watermark.",
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
    (
        "kbroker/handlers/fetch.py::_Reader.respond: "
        "want.answered_high_watermark = -1 if answer.error_code else "
        "answer.high_watermark -> want.answered_high_watermark = - 2 "
        "if answer.error_code else answer.high_watermark"
    ): "No partition has a high watermark below 0.",
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
    (
        "controller/controller.py::Controller._write_snapshot: "
        "driver.log_bytes_since_snapshot = 0 -> "
        "driver.log_bytes_since_snapshot = 1"
    ): "One byte more or less of what is logged between two snapshots is not noticed.",
    (
        "controller/state/configs.py::_check_existence: "
        "if resource_type == ResourceType.TOPIC and name not in "
        "image.topics: -> if resource_type <= ResourceType.TOPIC and "
        "name not in image.topics:"
    ): "A type below is not known, and has been refused before.",
    (
        "controller/replay.py::partition_change: "
        "if record.leader != NO_LEADER_CHANGE: -> if record.leader > "
        "NO_LEADER_CHANGE:"
    ): "No leader is below it.",
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
    (
        "kbroker/java_order.py::string_hash: "
        "for low, high in zip(units[::2], units[1::2], strict=True): "
        "-> for low, high in zip(units[::2], units[1::2], "
        "strict=False):"
    ): "Both have as many: UTF-16 has units of two bytes.",
    (
        "kbroker/coordinators/group/classic/rebalance_rules.py::RebalanceRules.prepare: "
        "group.initial_delay = None -> pass"
    ): "Only a group that is empty has such a delay, and it gets a new one.",
    (
        "kbroker/coordinators/group/classic/group.py::ClassicGroup.remove: "
        "self.pending_syncs.discard(member_id) -> pass"
    ): "Whoever goes makes the group rebalance, which awaits all anew.",
    (
        "kbroker/coordinators/finder.py::CoordinatorFinder.partition_for: "
        "if len(self._partitions) >= PARTITIONS_CACHED_MAX: -> if "
        "len(self._partitions) > PARTITIONS_CACHED_MAX:"
    ): "How many are kept is tuning.",
    (
        "kbroker/coordinators/group/classic/group.py::ClassicGroup.validate_offset_commit: "
        "if generation_id < 0 and not request.member_id and "
        "request.group_instance_id is None: -> if not generation_id "
        "< 0 and not request.member_id and request.group_instance_id "
        "is None:"
    ): "No member is without an id, so the next check refuses it with the same error.",
    (
        "kbroker/coordinators/loader.py::Loader._run: await turn.next() -> pass"
    ): "Each load has let others have their turn after each step.",
    (
        "kbroker/coordinators/runtime.py::CoordinatorRuntime._write: "
        "partition.shard.replay_written(records, last_offset - len(records) + 1)"
        " -> partition.shard.replay_written(records, last_offset + len(records) + 1)"
    ): "They are compared with those of loaded transactions, which are lower.",
    (
        "kbroker/coordinators/runtime.py::CoordinatorRuntime._write: "
        "partition.shard.replay_written(records, last_offset - len(records) + 1)"
        " -> partition.shard.replay_written(records, last_offset - len(records) + 0)"
    ): "They are compared with those of loaded transactions, which are lower.",
    (
        "kbroker/coordinators/deadlines.py::Deadlines.__init__: self._stale = 0 -> self._stale = -1"
    ): "How many may pile up is tuning.",
    (
        "kbroker/coordinators/group/deadlines.py::: "
        "@dataclass(frozen=True, slots=True) -> "
        "@dataclass(frozen=True, slots=False)"
    ): "Slots are memory alone.",
    (
        "kbroker/coordinators/group/classic/rebalance_rules.py::RebalanceRules.sync_due: "
        "or group.state not in (GroupState.COMPLETING_REBALANCE, "
        "GroupState.STABLE) -> and group.state not in "
        "(GroupState.COMPLETING_REBALANCE, GroupState.STABLE)"
    ): "The deadline is cancelled before a group leaves the generation or these states.",
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
        "kbroker/server/binding.py::: "
        "@dataclass(frozen=True, slots=True) -> "
        "@dataclass(frozen=False, slots=True)"
    ): "Nothing sets its fields.",
    (
        "kbroker/server/server.py::: DISK_THREADS_MAX = 8 -> DISK_THREADS_MAX = 7"
    ): "How many threads read at once is tuning.",
    (
        "kbroker/server/server.py::Server._accept: in_a_row = 0 -> in_a_row = 1"
    ): "How many are accepted in a row is tuning.",
    (
        "kbroker/server/connection.py::Connection._read: "
        "is_done = received < 0 -> is_done = received < 1"
    ): "A read of nothing has returned before.",
    (
        "kbroker/server/connection.py::Connection._read: "
        "if pool.is_scarce and end < len(view) == "
        "POOLED_BUFFER_BYTES: -> if pool.is_scarce and end < "
        "len(view) != POOLED_BUFFER_BYTES:"
    ): "The same was looked at after what was received, and nobody had a turn since.",
    (
        "kbroker/server/server.py::: ACCEPT_RETRY_S = 0.1 -> ACCEPT_RETRY_S = 1.1"
    ): "How soon it tries again is tuning.",
}
