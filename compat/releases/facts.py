"""The facts of a release, from its own classes (java/Facts.java) and message definitions."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compat import apache
from kbroker.wire.generate import definitions_of, texts_of_jars

if TYPE_CHECKING:
    from collections.abc import Mapping

JAVA = Path(__file__).parent / "java"


def facts_of(version: str) -> dict[str, Any]:
    """Those of Facts.java, and `records`: the versions of each record definition.

    CalledProcessError if the program fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        classes = Path(folder)
        jars = f"{apache.libs(version)}/*"
        compile_java = ["javac", "-cp", jars, "-d", str(classes), str(JAVA / "Facts.java")]
        subprocess.run(compile_java, check=True)
        command = apache.java_command(
            "Facts", heap="1G", flags=apache.SHORT_RUN, classes=classes, version=version
        )
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    facts["records"] = record_versions(version)
    return facts


def record_versions(version: str) -> Mapping[str, tuple[int, int]]:
    """Each record that a log or a file holds: the lowest and the highest version of it."""
    return {
        each.name: each.versions
        for each in definitions_of(texts_of_jars(apache.libs(version)))
        if each.versions is not None and each.kind not in ("request", "response", "header")
    }
