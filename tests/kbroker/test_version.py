"""`kbroker.__version__` is the version in pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import kbroker
from kbroker import cli

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_version_is_the_project_s(capsys: pytest.CaptureFixture[str]) -> None:
    version = tomllib.loads(PYPROJECT.read_text())["project"]["version"]
    assert kbroker.__version__ == version
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"kbroker {version}\n"


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        kbroker.nothing  # type: ignore[attr-defined]  # noqa: B018
