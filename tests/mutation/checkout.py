"""A copy of the checkout that may be broken, and the runs of pytest in it."""

from __future__ import annotations

import compileall
import contextlib
import json
import os
import py_compile
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_COPIED = (
    "pyproject.toml",
    "README.md",
    "docs",
    "kbroker",
    "wire",
    "storage",
    "controller",
    "tests",
)
_TEST_S_MAX = 60  # no test takes as long, unless it hangs
_ALL_PASSED, _SOME_FAILED = 0, 1
_COLLECTION_FAILED, _NO_TESTS = 2, 5


class Checkout:
    """The tree under `folder`: the tests there import the code there, not what is installed."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.top = folder
        folder.mkdir(parents=True)
        skipped = shutil.ignore_patterns("__pycache__")
        for name in _COPIED:
            if (source / name).is_dir():
                shutil.copytree(source / name, folder / name, symlinks=True, ignore=skipped)
            else:
                shutil.copy(source / name, folder / name)
        # Compiled files that go by the source's hash: two edits within a second are told apart.
        compileall.compile_dir(
            folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
        )

    def trace(self, out: Path) -> None:
        """Run all tests once and write what they cover into `out`.

        Those that the tracer makes fail are told, and left out. SystemExit if none could be run.
        """
        out.mkdir(parents=True, exist_ok=True)
        (out / "top").write_text(str(self.top))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.mutation.tracing"]
        environment = self._environment(KBROKER_MUTATION_OUT=str(out), KBROKER_TURNS="off")
        status = subprocess.run(command, cwd=self.top, env=environment).returncode
        if status not in (_ALL_PASSED, _SOME_FAILED):
            sys.exit(f"the tests cannot be run: pytest ended with status {status}")

    def run(self, tests: list[str], timeout_s: float) -> str:
        """Run `tests` in their order until one fails: "passed", or how the edit was noticed.

        What a run leaves behind (processes, a hanging test) ends with it.
        """
        chosen = self.top / "chosen.json"
        chosen.write_text(json.dumps(tests))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "tests.mutation.chosen"]
        command += ["--hypothesis-profile=mutation", "--hypothesis-seed=0", "--no-header"]
        command += ["-o", f"faulthandler_timeout={_TEST_S_MAX}", "-p", "no:cacheprovider"]
        command += _files(tests)
        process = subprocess.Popen(
            command,
            cwd=self.top,
            env=self._environment(KBROKER_MUTATION_TESTS=str(chosen)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return "time limit"
        finally:
            _end(process)
        if process.returncode in (_ALL_PASSED, _NO_TESTS):
            return "passed"
        if process.returncode == _SOME_FAILED:
            return _failed_test(output)
        return "import" if process.returncode == _COLLECTION_FAILED else "crash"

    def _environment(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "PYTEST_"))}
        return {**kept, "PYTHONPATH": str(self.top), **more}


def _files(tests: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(test.partition("::")[0] for test in tests))


def _failed_test(output: str) -> str:
    for line in reversed(output.splitlines()):
        if line.startswith(("FAILED ", "ERROR ")):
            return line.split()[1].partition(" - ")[0]
    return "time limit"  # pytest ends the run without a summary


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
