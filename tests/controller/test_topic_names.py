from __future__ import annotations

import pytest

from kbroker.controller.topic_names import invalid_topic_name


@pytest.mark.parametrize("name", ["a", "A-z_0.9", "...", "x" * 249])
def test_valid_names(name: str) -> None:
    assert invalid_topic_name(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "Topic name is invalid: the empty string is not allowed"),
        ("..", "Topic name is invalid: '..' is not allowed"),
        (
            "a b",
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII "
            "alphanumerics, '.', '_' and '-'",
        ),
        (
            "x" * 250,
            f"Topic name is invalid: the length of '{'x' * 250}' is longer than the max allowed "
            "length 249",
        ),
    ],
)
def test_other_names_are_refused_in_kafkas_words(name: str, problem: str) -> None:
    assert invalid_topic_name(name) == problem
