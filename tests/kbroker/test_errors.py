"""What a client is told of an exception, and what of it is logged."""

from __future__ import annotations

import logging

import pytest

from kbroker.errors import refusal
from kbroker.storage import errors as storage
from kbroker.wire.errors import ErrorCode, RequestError


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            RequestError(ErrorCode.INVALID_CONFIG, "no such key"),
            ErrorCode.INVALID_CONFIG,
            "no such key",
        ),
        (
            storage.DiskFull("/data", "no room"),
            ErrorCode.KAFKA_STORAGE_ERROR,
            "/data: no room",
        ),
        (storage.InvalidRecord("no key"), ErrorCode.INVALID_RECORD, "no key"),
    ],
)
def test_what_is_meant_for_a_client_has_its_code_and_is_not_logged(
    error: Exception, code: ErrorCode, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    refused = refusal(error, "a part")
    assert (refused.code, refused.message) == (code, message)
    assert not caplog.records


@pytest.mark.parametrize(
    "error",
    [KeyError("inside"), MemoryError(), storage.LogDirLocked("/data"), OSError(5, "inside")],
    ids=repr,
)
def test_what_is_not_is_logged_and_says_nothing(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    refused = refusal(error, "a part")
    unknown = ErrorCode.UNKNOWN_SERVER_ERROR
    assert (refused.code, refused.message) == (unknown, unknown.message)
    (record,) = caplog.records
    assert record.getMessage() == "a part failed"
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_a_broken_invariant_is_raised_again() -> None:
    error = AssertionError("broken")
    with pytest.raises(AssertionError) as raised:
        refusal(error, "a part")
    assert raised.value is error
