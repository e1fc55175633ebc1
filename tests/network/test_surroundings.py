"""What is examined is what a request would use, and no key goes where it was not meant for."""

from __future__ import annotations

import pytest

from holdfast.model.credentials import Credentials, resolve
from holdfast.model.port import Probe
from holdfast.network import Subject
from holdfast.network.surroundings import subject_of
from holdfast.settings import Settings

KEY, OTHER_KEY = "first-key", "other-key"
ENDPOINTS = [
    {
        "name": "gateway",
        "kind": "gateway",
        "baseUrl": "https://gateway.example",
        "keyVariable": "G",
    },
    {"name": "local", "kind": "compatible", "baseUrl": "http://127.0.0.1:8080"},
    {"name": "again", "kind": "anthropic"},
    {"name": "aws", "kind": "bedrock", "region": "eu-west-1"},
    {"name": "nowhere", "kind": "bedrock"},
    {
        "name": "named",
        "kind": "gateway",
        "baseUrl": "https://named.example",
        "models": {"claude-opus-5-5": "its-own-name"},
    },
]


async def look() -> Probe:
    return Probe(ok=True)


def subject(endpoint: str, given: Credentials | None = None, **environment: str) -> Subject:
    """The one place here that knows how a subject is made."""
    section = {"baseUrl": "https://first.example", "endpoints": ENDPOINTS}
    settings, problems = Settings.load(section, {})
    assert problems == ()
    credentials = resolve({}, api_key=KEY)
    model = "claude-opus-5-5"
    return subject_of(
        settings, credentials, environment, endpoint=endpoint, model=model, given=given, look=look
    )


def test_the_first_endpoint_is_examined_with_its_key() -> None:
    for name in ("", "default"):
        found = subject(name)
        assert (found.base_url, found.key_problem) == ("https://first.example", None)
        assert KEY in found.headers.values()
        assert found.look is None, "only a cloud is asked by its own client"


def test_every_endpoint_gets_its_own_key_and_no_other() -> None:
    gateway = subject("gateway", G=OTHER_KEY)
    assert gateway.base_url == "https://gateway.example"
    assert OTHER_KEY in "".join(gateway.headers.values())
    for name in ("gateway", "local", "named", "aws"):
        assert KEY not in "".join(subject(name, G=OTHER_KEY).headers.values()), name
    assert KEY in "".join(subject("again").headers.values()), "it is Anthropic's own, too"
    assert subject("again").base_url == "https://api.anthropic.com"


def test_a_model_is_asked_for_by_the_name_that_the_endpoint_has_for_it() -> None:
    assert subject("named").model == "its-own-name"


def test_a_cloud_is_examined_at_its_region_and_without_a_key_by_hand() -> None:
    found = subject("aws")
    assert "eu-west-1" in found.base_url
    assert (dict(found.headers), found.key_problem) == ({}, None)
    assert found.look is look


@pytest.mark.parametrize(("name", "says"), [("nowhere", "region"), ("gone", "'gone'")])
def test_what_cannot_be_addressed_is_said_and_nothing_is_taken_in_its_place(
    name: str, says: str
) -> None:
    found = subject(name)
    assert found.base_url == ""
    assert found.address_problem is not None
    assert says in found.address_problem


def test_a_key_that_a_client_handed_over_for_an_endpoint_is_the_one_that_is_tried() -> None:
    given = resolve({}, api_key=OTHER_KEY)
    assert OTHER_KEY in "".join(subject("local", given).headers.values())
    assert KEY not in "".join(subject("local", given).headers.values())
    gateway = subject("gateway", Credentials(), G=OTHER_KEY)
    assert OTHER_KEY in "".join(gateway.headers.values()), "none was handed over"
    assert dict(subject("aws", given).headers) == {}, "a cloud's client sends it, nobody else"
