"""The table of decisions: its functions are there, and are of the API in whose row they stand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from kbroker.controller.decisions import DECISIONS, Decision
from kbroker.wire.api_keys import API_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbroker.wire.message import Message


def hints(function: Callable[..., object]) -> list[str]:
    """Of its parameters and of what it returns, without the names of modules."""
    return [re.sub(r"\w+\.", "", hint) for hint in function.__annotations__.values()]


@pytest.mark.parametrize("request_", DECISIONS, ids=lambda cls: cls.__name__)
def test_a_row_has_the_function_of_its_api(request_: type[Message]) -> None:
    row = DECISIONS[request_]
    api = API_TABLE[request_.API_KEY or 0]
    response = api.response.__name__
    if isinstance(row, Decision):
        assert row.decide.__name__ == f"decide_{api.module}"
        assert hints(row.decide) == ["DecisionContext", request_.__name__, f"Result[{response}]"]
        assert row.refusal in (None, api.response)
    else:
        assert row.answer.__name__ == f"answer_{api.module}"
        assert hints(row.answer)[:2] == ["QuorumContext", request_.__name__]
        assert hints(row.answer)[2] in (response, "NoReturn")
