"""franz-go's own tests of its client, from the Go module proxy: a module brings its tests with it.

`go/go.sum` pins it. The tests ask for 500,000 records; here they send RECORDS.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

from compat.foreign.environments import GO_MODULE, go

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = "github.com/twmb/franz-go/pkg/kgo"
OUTCOME_OF = {"pass": "passed", "fail": "failed", "skip": "skipped"}
RECORDS = 20_000
TIMEOUT_S = 900
# Those that need a broker; the others test franz-go alone.
CHOSEN = (
    "Ping|ProcessHooks|Issue|Consume|GroupSimple|GroupETL|AddRemovePartitions|Pause|DirectPartition"
    "|Pooling|HookPollStart|PollWaitState|LookbackMilli|Client_Produce|MaxVersions"
)
# Transactions and the newer groups are ahead, and a broker here has no SASL.
LEFT_OUT = "Txn|Share|848|SCRAM|OAuth"


def run(host: str, port: int, folder: Path) -> dict[str, str]:
    """Run them; the outcome of each by its name."""
    environment = os.environ | {
        "KGO_SEEDS": f"{host}:{port}",
        "KGO_TEST_RF": "1",
        "KGO_TEST_RECORDS": str(RECORDS),
        "KGO_LOG_LEVEL": "none",
    }
    command = [
        go(),
        "test",
        "-json",
        "-count=1",
        f"-timeout={TIMEOUT_S}s",
        f"-skip={LEFT_OUT}",
        f"-run=^Test({CHOSEN})",
    ]
    log = folder / "output"
    with log.open("wb") as output:
        subprocess.run(
            [*command, PACKAGE],
            cwd=GO_MODULE,
            env=environment,
            stdout=output,
            stderr=output,
            timeout=TIMEOUT_S + 300,
            check=False,
        )
    found: dict[str, str] = {}
    for line in log.read_text().splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if "Test" in event and event["Action"] in OUTCOME_OF:
            found[event["Test"]] = OUTCOME_OF[event["Action"]]
    if not found:
        raise RuntimeError(f"no test ran:\n{log.read_text()[-4000:]}")
    return found
