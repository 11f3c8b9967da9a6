"""A replica that this broker leads, and what its leader epoch and its log make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.partitions.partition import Partition
from kbroker.storage.origin import Origin
from tests.kbroker.broker_parts import NOW_MS
from tests.kbroker.cluster_image import NODE_ID, topic_id
from tests.kbroker.handlers.data_path import DataPath, batch, partition_state

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("leader_epoch", [0, 1, 5])
def test_a_leader_alone_takes_over_all_that_is_in_its_log(
    tmp_path: Path, leader_epoch: int
) -> None:
    """The checkpoint of the high watermark lags behind."""
    path = DataPath(tmp_path)
    before = path.add("t", leader_epoch=leader_epoch)
    before.append(batch(b"x", b"y"), NOW_MS, Origin.CLIENT)
    state = partition_state(NODE_ID, leader_epoch=leader_epoch)
    store = path.services.log_store
    store.unsaved_high_watermarks.clear()
    partition = Partition(
        "t", 0, topic_id("t"), before.log, state, NODE_ID, 1, lambda each: None, store
    )
    assert (partition.high_watermark, store.unsaved_high_watermarks) == (2, {partition})
    partition.apply(partition_state(NODE_ID, leader_epoch=leader_epoch + 1))
    assert partition.log.epochs.end_offset_for(leader_epoch, 2) == (leader_epoch, 2)
    assert partition.log.epochs.end_offset_for(leader_epoch + 1, 2) == (leader_epoch + 1, 2)
