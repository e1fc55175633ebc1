"""A client's credentials: in memory, before the environment's, until it takes them back (P11)."""

from __future__ import annotations

import pytest

from holdfast.model.credentials import CredentialSource


def test_what_a_client_gives_goes_before_the_environment_until_it_is_forgotten() -> None:
    environment = {"ANTHROPIC_API_KEY": "of the environment"}
    source = CredentialSource(environment)
    assert (source.source, source.current().secret) == ("environment", "of the environment")
    source.give("of-the-client", None)
    assert (source.source, source.current().secret) == ("client", "of-the-client")
    source.give(None, None)
    assert (source.source, source.current().secret) == ("environment", "of the environment")
    environment.clear()
    assert (source.source, source.current().secret) == ("none", None)


def test_a_bearer_token_counts_as_well_and_replaces_a_key() -> None:
    source = CredentialSource({})
    source.give("a-key", None)
    source.give(None, "a-token")
    assert (source.source, source.current().secrets) == ("client", ("a-token",))


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_blank_credentials_are_none(blank: str) -> None:
    source = CredentialSource({})
    source.give(blank, blank)
    assert source.source == "none"


def test_a_copied_line_end_is_cut_off_and_nothing_is_shown() -> None:
    source = CredentialSource({})
    source.give(" sk-secret\n", None)
    assert source.current().secret == "sk-secret"
    assert "sk-secret" not in f"{source.current()!r} {source!r} {source.current()}"
