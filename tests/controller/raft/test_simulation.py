"""Raft on a hostile network: whatever is lost, delayed, cut or crashed, what was acknowledged
stays.
"""

from __future__ import annotations

import random

import pytest

from .network import Quorum

SEEDS = 60


def storm(seed: int, voters: int, observers: int) -> Quorum:
    """Two minutes of faults, then calm."""
    rng = random.Random(seed)
    quorum = Quorum(
        voters, seed, observers=observers, loss=rng.choice([0.0, 0.05, 0.2]), delay_ms=40
    )
    nodes = [key.id for key in quorum.keys]
    for value in range(120):
        match rng.randrange(10):
            case 0:
                quorum.cut = {(a, b) for a in nodes for b in nodes if a != b and rng.random() < 0.3}
            case 1:
                side = set(rng.sample(nodes, rng.randint(1, len(nodes))))
                quorum.cut = {(a, b) for a in nodes for b in nodes if (a in side) != (b in side)}
            case 2:
                quorum.cut = set()
            case 3:
                quorum.crash(rng.choice(nodes))
            case 4:
                for node_id in nodes:
                    if node_id not in quorum.nodes:
                        quorum.start(node_id)
            case 5:
                quorum.resign(rng.choice(nodes))
            case _:
                quorum.propose(b"%d" % value)
        quorum.run(rng.randint(1, 400))
    quorum.cut = set()
    quorum.loss = 0.0
    for node_id in nodes:
        if node_id not in quorum.nodes:
            quorum.start(node_id)
    quorum.run(5_000)
    return quorum


@pytest.mark.parametrize("voters", [1, 2, 3, 5])
def test_acknowledged_records_survive_any_faults_and_all_logs_agree(voters: int) -> None:
    acknowledged = 0
    for seed in range(SEEDS // voters):
        quorum = storm(seed * 10 + voters, voters, observers=seed % 2)
        quorum.check_at_the_end()
        assert quorum.propose(b"after the storm"), f"seed {seed}: no leader once faults ended"
        quorum.run(2_000)
        last = quorum.acknowledged[-1:]
        assert last[0].startswith(b"after the storm"), f"seed {seed}: no progress"
        quorum.check_at_the_end()
        ends = {node.high_watermark for node in quorum.nodes.values()}
        assert len(ends) == 1, f"seed {seed}: nodes disagree on the end: {ends}"
        acknowledged += len(quorum.acknowledged)
    assert acknowledged > 100
