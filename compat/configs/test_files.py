"""Properties files and what they point to, read by Kafka's classes and by ours."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from compat.configs.candidates import BASE
from kbroker.config.errors import ConfigError
from kbroker.config.properties import load_properties
from kbroker.config.providers import resolve

if TYPE_CHECKING:
    from pathlib import Path

    from compat.configs.kafka_configs import KafkaConfigs

pytestmark = pytest.mark.ci

ALPHABET = ["a", "b", "=", ":", " ", "\t", "\f", "#", "!", "\\", "\n", "\r", "\r\n", "\\\r\n"]
ALPHABET += ["\\u00e9", "\\n", "\xe9", "\x0b", "\x85", "\xa0", "\x1c", "u"]
FILES = 400


def test_a_file_is_read_alike(kafka: KafkaConfigs, tmp_path: Path) -> None:
    rng = random.Random(4)
    path = tmp_path / "server.properties"
    for _ in range(FILES):
        text = "".join(rng.choices(ALPHABET, k=rng.randrange(1, 30)))
        path.write_bytes(text.encode("latin-1"))
        try:
            ours = load_properties(str(path))
        except ConfigError:
            assert "\\u" in text
            continue
        theirs = kafka.load(path)
        if text.endswith("\\") or text.endswith(("\\\r\n", "\\\n", "\\\r")):
            theirs.pop("", None)  # a backslash and nothing behind it is a key without a name there
            ours.pop("", None)
        assert ours == theirs, repr(text)


PROVIDERS = {
    "config.providers": "file,dir,env",
    "config.providers.file.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
    "config.providers.dir.class": "org.apache.kafka.common.config.provider.DirectoryConfigProvider",
    "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
    "config.providers.env.param.allowlist.pattern": "HO.*|PATH",
}


@pytest.mark.parametrize(
    "text",
    [
        *("${file:DIR/values:a}", "${file:DIR/values:nope}", "x${file:DIR/values:a}y${env:HOME}"),
        *("${dir:DIR:secret}", "${dir:DIR:nope}", "${env:HOME}", "${env:USER}", "${env:NOPE}"),
        *("${nope:a}", "${file:a}", "${HOME}", "${env:HOME", "$${env:HOME}", "${file::a}"),
        *("${dir:DIR:sub/deep}", "${file:DIR/values:b.c}", "${file:DIR/../DIR:a}", "plain", ""),
        "${file:DIR/values:a}${file:DIR/values:a}",
    ],
)
def test_variables_are_replaced_alike(kafka: KafkaConfigs, tmp_path: Path, text: str) -> None:
    (tmp_path / "values").write_text("a=1\nb.c=x\\u00e9\n")
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "deep").write_text("deep")
    settings = {**BASE, **PROVIDERS, "my.key": text.replace("DIR", str(tmp_path))}
    try:
        ours = resolve(settings, os.environ)["my.key"]
    except ConfigError:
        assert kafka.start(settings) is not None
        return
    assert ours == kafka.originals(settings)["my.key"]


def test_only_allowed_paths_are_read(kafka: KafkaConfigs, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for folder in (tmp_path, tmp_path / "in"):
        (folder / "values").write_text("a=1")
    for path in ("values", "in/values", "in/../values"):
        settings = {
            **BASE,
            **PROVIDERS,
            "config.providers.file.param.allowed.paths": str(tmp_path / "in"),
            "my.key": f"${{file:{tmp_path}/{path}:a}}",
        }
        ours = resolve(settings, os.environ)["my.key"]
        assert ours == kafka.originals(settings)["my.key"], path
