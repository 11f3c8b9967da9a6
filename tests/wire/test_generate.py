"""The generator, on small definitions of our own."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from kbroker.wire import generate
from kbroker.wire.schema_json import definition_from_json, snake_case

if TYPE_CHECKING:
    from pathlib import Path

REQUEST: dict[str, object] = {
    "apiKey": 999,
    "type": "request",
    "listeners": ["broker"],
    "name": "SmallRequest",
    "validVersions": "1-3",
    "flexibleVersions": "2+",
    "fields": [
        {"name": "Ids", "type": "[]uuid", "versions": "1+", "about": "Prose that stays out."},
        {"name": "Class", "type": "string", "versions": "1+", "nullableVersions": "2+"},
        {"name": "Part", "type": "Part", "versions": "3+", "fields": [
            {"name": "ErrorCode", "type": "int16", "versions": "3+", "default": "0x7f"},
        ]},
    ],
}  # fmt: skip
RESPONSE: dict[str, object] = REQUEST | {"type": "response", "name": "SmallResponse"}
GONE: dict[str, object] = {
    "apiKey": 998,
    "type": "request",
    "name": "OldRequest",
    "validVersions": "none",
}
DEFAULTS: dict[str, object] = {
    "type": "data",
    "name": "KRaftDefaults",
    "validVersions": "0",
    "flexibleVersions": "0+",
    "fields": [
        {"name": "A", "type": "[]int32", "versions": "0+", "default": "null",
         "nullableVersions": "0+"},
        {"name": "B", "type": "[]int32", "versions": "0+", "default": None,
         "nullableVersions": "0+"},
        {"name": "C", "type": "bool", "versions": "0+", "default": True},
        {"name": "D", "type": "Sub", "taggedVersions": "0+", "tag": 0, "nullableVersions": "0+",
         "default": "null", "fields": [{"name": "E", "type": "float64", "versions": "0+"}]},
    ],
}  # fmt: skip


def run(definitions: list[dict[str, object]]) -> dict[str, str]:
    return generate.generate([definition_from_json("kafka-x", each) for each in definitions])


def load(text: str) -> dict[str, type]:
    scope: dict[str, type] = {"__package__": "kbroker.wire.messages"}  # type: ignore[dict-item]
    exec(compile(text, "generated", "exec"), scope)
    return scope


def test_a_request_and_its_response_share_a_module() -> None:
    scope = load(run([REQUEST, RESPONSE])["messages/small.py"])
    request = scope["SmallRequest"]()
    assert (request.API_KEY, request.MIN_VERSION, request.MAX_VERSION) == (999, 1, 3)
    assert request.FLEXIBLE == 2
    assert request.__slots__ == ("ids", "class_", "part")
    assert (request.ids, request.class_, request.part.error_code) == ([], "", 127)


def test_a_struct_name_used_twice_gets_the_messages_name_in_front() -> None:
    scope = load(run([REQUEST, RESPONSE])["messages/small.py"])
    assert type(scope["SmallRequest"]().part) is scope["SmallRequestPart"]
    assert type(scope["SmallResponse"]().part) is scope["SmallResponsePart"]
    assert "Part" in load(run([REQUEST])["messages/small.py"])


def test_prose_is_left_out() -> None:
    assert not any("Prose" in text for text in run([REQUEST]).values())


def test_what_has_no_valid_version_is_only_named() -> None:
    files = run([REQUEST, RESPONSE, GONE])
    assert "messages/old.py" not in files
    assert "Old (998)" in files["api_keys.py"]
    assert "OLD" not in files["api_keys.py"]


def test_defaults() -> None:
    """A quoted null is null; JSON's own null is the type's empty value, as in Kafka's generator."""
    record = load(run([DEFAULTS])["records/kraft_defaults.py"])["KRaftDefaults"]()
    assert (record.a, record.b, record.c, record.d) == (None, [], True, None)


def test_an_empty_list_is_told_from_null() -> None:
    cls = load(run([DEFAULTS])["records/kraft_defaults.py"])["KRaftDefaults"]
    assert (cls(b=None).b, cls(a=[]).a) == (None, [])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ErrorCode", "error_code"),
        ("OffsetForLeaderEpoch", "offset_for_leader_epoch"),
        ("KRaftVersion", "kraft_version"),
        ("topicId", "topic_id"),
        ("UserSCRAMCredential", "user_scram_credential"),
        ("From", "from_"),
    ],
)
def test_names_in_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


def test_files_are_written_from_jars_or_folders_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    schemas = tmp_path / "schemas" / "kafka-clients"
    schemas.mkdir(parents=True)
    text = "// a licence\n" + json.dumps(REQUEST)
    (schemas / "SmallRequest.json").write_text(text)
    jars = tmp_path / "jars"
    jars.mkdir()
    with zipfile.ZipFile(jars / "kafka-clients-9.9.jar", "w") as jar:
        jar.writestr("common/message/SmallRequest.json", text)
    output = tmp_path / "output"
    output.mkdir()
    monkeypatch.setattr(generate, "HERE", output)
    by_folder, by_jars = ["--schemas", str(schemas.parent)], ["--jars", str(jars)]

    assert generate.main([*by_folder, "--check"]) == 1
    assert generate.main(by_folder) == 0
    assert generate.main([*by_jars, "--check"]) == 0
    assert (output / "messages" / "small.py").exists()

    (output / "messages" / "small.py").write_text("changed")
    (output / "records" / "stale.py").write_text("")
    capsys.readouterr()
    assert generate.main([*by_jars, "--check"]) == 1
    said = capsys.readouterr().out
    assert "differs: messages/small.py" in said
    assert "not generated any more: records/stale.py" in said
    assert generate.main(by_jars) == 0
    assert not (output / "records" / "stale.py").exists()
    assert generate.main([*by_folder, "--check"]) == 0


def test_a_folder_without_definitions_is_an_error(tmp_path: Path) -> None:
    assert generate.main(["--schemas", str(tmp_path)]) == 1
