"""Where foreign software lives: virtual environments of their own, made once, and Go's programs.

A virtual environment is named by a digest of what is in it and stays in ~/.cache/kbroker/foreign.
A missing Python or Go is an EnvironmentMissing that says which.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path("~/.cache/kbroker/foreign").expanduser()
GO_MODULE = Path(__file__).parent / "go"


class EnvironmentMissing(Exception):
    """A tool that a foreign program needs is not on this machine."""


def virtualenv(python: str, *requirements: str) -> Path:
    """The interpreter of a virtual environment of that Python ("3.10") with these installed.

    Requirements are pip's arguments. Raises EnvironmentMissing if there is no such Python,
    CalledProcessError if pip fails.
    """
    digest = hashlib.sha256("\n".join((python, *requirements)).encode()).hexdigest()[:16]
    folder = CACHE / f"python{python}-{digest}"
    interpreter = folder / "bin" / "python"
    complete = folder / "complete"  # written last: an installation that was cut short starts again
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two sessions may want it at once
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([find_python(python), "-m", "venv", str(folder)], check=True)
            pip = [str(interpreter), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*pip, *requirements], check=True)
            complete.touch()
    return interpreter


def find_python(version: str) -> str:
    """The interpreter of a version, on the path or among pyenv's."""
    found = [shutil.which(f"python{version}"), shutil.which("python3")]
    versions = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found += [str(path) for path in sorted(versions.glob(f"{version}.*/bin/python"))]
    for candidate in found:
        if candidate and _version(candidate) == version:  # pyenv's shims may be for nothing
            return candidate
    raise EnvironmentMissing(f"needs Python {version}, which is not on the path")


def _version(interpreter: str) -> str:
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([interpreter, "-c", script], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def go() -> str:
    """The go command."""
    found = shutil.which("go")
    if found is None:
        raise EnvironmentMissing("needs Go 1.26 or newer, which is not on the path")
    return found
