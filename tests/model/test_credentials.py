"""Credentials: where they come from and where they never go."""

from __future__ import annotations

import pytest

from holdfast.model.credentials import Credentials, resolve


@pytest.mark.parametrize(
    ("environment", "explicit", "expected"),
    [
        ({"ANTHROPIC_API_KEY": " key\n"}, {}, Credentials(api_key="key")),
        ({"ANTHROPIC_AUTH_TOKEN": "tok"}, {}, Credentials(auth_token="tok")),
        ({"ANTHROPIC_API_KEY": "  ", "ANTHROPIC_AUTH_TOKEN": ""}, {}, Credentials()),
        ({"ANTHROPIC_API_KEY": "old"}, {"api_key": "new"}, Credentials(api_key="new")),
        ({"ANTHROPIC_API_KEY": "old"}, {"auth_token": "t"}, Credentials(auth_token="t")),
        ({"ANTHROPIC_API_KEY": "old"}, {"api_key": " "}, Credentials(api_key="old")),
    ],
)
def test_explicit_credentials_go_before_those_of_the_environment(
    environment: dict[str, str], explicit: dict[str, str], expected: Credentials
) -> None:
    assert resolve(environment, **explicit) == expected


def test_a_secret_is_not_in_the_repr() -> None:
    """P11"""
    assert "s3cret" not in repr(Credentials("s3cret", "s3cret"))


def test_a_missing_or_unsendable_key_is_a_problem_in_plain_words() -> None:
    missing = Credentials().problem()
    assert missing is not None
    assert "ANTHROPIC_API_KEY" in missing
    for bad in ("two words", "line\nbreak", "smart“quote", "nul\0"):
        problem = Credentials(api_key=bad).problem()
        assert problem is not None
        assert bad not in problem
    assert Credentials(api_key="sk-ant-fine_1").problem() is None


def test_gateways_get_a_key_in_both_places_and_the_api_in_one() -> None:
    key, token = Credentials(api_key="k"), Credentials(auth_token="t")
    assert key.headers(first_party=True) == {"Authorization": "Bearer k"}
    assert key.headers(first_party=False) == {"Authorization": "Bearer k", "x-api-key": "k"}
    assert token.headers(first_party=False) == {"Authorization": "Bearer t"}
    assert Credentials("k", "t").headers(first_party=True) == {"Authorization": "Bearer k"}
    assert Credentials("k", "t").secrets == ("k", "t")
