"""A pytest plugin for the run of one mutant: the tests that a file names, in its order.

Loaded with `-p tests.mutation.chosen`; $KBROKER_MUTATION_TESTS names a JSON list of node ids.
"""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import Phase, settings

if TYPE_CHECKING:
    import pytest

_MEMORY_BYTES_MAX = 6 << 30  # a mutant may loop while it allocates

_order = {
    node_id: index
    for index, node_id in enumerate(
        json.loads(Path(os.environ["KBROKER_MUTATION_TESTS"]).read_text())
    )
}
resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES_MAX, _MEMORY_BYTES_MAX))
# One failing example is enough here: nobody reads it, so it need not be made small.
settings.register_profile(
    "mutation", deadline=None, database=None, phases=(Phase.explicit, Phase.generate)
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = sorted(
        (item for item in items if item.nodeid in _order), key=lambda item: _order[item.nodeid]
    )
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in _order])
    items[:] = chosen
