"""Draws the terminal session that the README shows: `python -m compat.bench.session SVG`.

The commands are run one after the other, against a broker that the session starts, each at a
terminal of its own; what they print is what the picture shows. Port 9092 must be free.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 88
SERVE = "kbroker serve --data ./data --topic orders:3"
COMMANDS = (
    """python -c 'from kafka import KafkaProducer
producer = KafkaProducer(bootstrap_servers="127.0.0.1:9092")
producer.send("orders", key=b"alice", value=b"2 apples")
producer.send("orders", key=b"bob", value=b"5 pears")
producer.flush()'""",
    "kbroker consume orders --from-beginning --until-end --keys --offsets",
    "kbroker consume orders --group readers --from-beginning --max 1",
    "kbroker groups describe readers",
    "kbroker topics describe orders",
)
_PROMPT = ("$ ", "bold green")


def record(console: Console) -> None:
    """Run the session, and print it to the console as a terminal would show it."""
    scripts = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "TERM": "xterm-256color",
        "COLUMNS": str(WIDTH),
    }
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(scripts / "kbroker"), *SERVE.split()[1:]]
        broker = subprocess.Popen(
            arguments,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert broker.stdout is not None
            ready = broker.stdout.readline()
            if not ready:
                raise SystemExit("kbroker serve did not start: is port 9092 in use?")
            console.print(Text.assemble(_PROMPT, f"{SERVE} &\n{ready.rstrip()}"))
            for command in COMMANDS:
                console.print(Text.assemble(_PROMPT, command))
                shown = _run(command, folder, environment)
                if shown:
                    console.print(Text.from_ansi(shown))
        finally:
            broker.terminate()
            broker.wait()


def _run(command: str, folder: str, environment: dict[str, str]) -> str:
    """What the command prints at a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, shell=True, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    output = b""
    with suppress(OSError):  # Linux says so when the other end is closed
        while data := os.read(ours, 65536):
            output += data
    os.close(ours)
    if process.wait():
        raise SystemExit(f"{command}\n{output.decode()}")
    return output.decode().replace("\r\n", "\n").rstrip("\n")


def main() -> None:
    target = Path(sys.argv[1])
    with open(os.devnull, "w") as nowhere:
        console = Console(
            record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor"
        )
        record(console)
        picture = console.export_svg(title="kbroker", unique_id="session")
    # Without the fonts that rich loads from a server: a page that shows the picture does not.
    target.write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL))


if __name__ == "__main__":
    main()
