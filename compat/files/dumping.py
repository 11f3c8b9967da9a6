"""dump-log, Apache Kafka's judge of a broker's files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from compat.apache import run_tool

if TYPE_CHECKING:
    from pathlib import Path


def dump(files: list[Path], *options: str, gaps: bool = False) -> dict[str, str]:
    """What dump-log says of each file; nothing that it complains of is let through.

    `gaps` is whether offsets may be missing, as compaction leaves them. Raises ToolError if
    dump-log fails.
    """
    output = run_tool(
        "dump-log", *options, "--files", ",".join(str(file) for file in files), timeout_s=300
    )
    for sign in ("Exception", "isvalid: false", "Mismatches", "mismatch"):
        assert sign not in output, output[max(0, output.index(sign) - 500) :][:2000]
    # dump-log believes that every file begins at offset 0.
    found_gaps = re.findall(r"^ +(-?\d+) is followed by \d+", output, flags=re.MULTILINE)
    assert gaps or set(found_gaps) <= {"-1"}, output[output.index("Non-consecutive") :][:2000]
    parts = re.split(r"^Dumping (.+)$", output, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert found.keys() == {str(file) for file in files}
    return found
