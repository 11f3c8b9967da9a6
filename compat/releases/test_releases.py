"""The committed facts of each release against the release itself."""

from __future__ import annotations

import pytest

from compat.releases.__main__ import FOLDER
from compat.releases.facts import facts_of
from compat.releases.module import module_name, module_text
from kbroker.releases.release import RELEASES, Release

pytestmark = pytest.mark.ci


@pytest.mark.parametrize("release", RELEASES.values(), ids=str)
def test_the_facts_are_what_the_release_says(release: Release) -> None:
    version = release.version
    committed = (FOLDER / f"{module_name(version)}.py").read_text()
    assert committed == module_text(version, facts_of(version))
