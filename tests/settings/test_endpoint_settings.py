"""The settings `endpoints` and `failover`: who else may answer, without a key in them (P11)."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.settings import EndpointSetting, Kind, Problem, Settings

SECRET = "sk-ant-api03-do-not-show"
OFFICE: dict[str, Any] = {
    "name": "office",
    "kind": "compatible",
    "baseUrl": "http://llm.example:4000/",
    "keyVariable": "OFFICE_KEY",
    "models": {"claude-opus-5-5": "opus"},
}
OTHER = {"name": "other", "kind": "anthropic"}


def the_problem(editor: dict[str, Any]) -> Problem:
    settings, [problem] = Settings.load(editor, {})
    assert settings.endpoints == ()
    return problem


def test_an_endpoint_is_read_with_all_that_it_says() -> None:
    settings, problems = Settings.load({"endpoints": [OFFICE, OTHER]}, {})
    assert problems == ()
    assert settings.endpoints == (
        EndpointSetting(
            "office",
            Kind.COMPATIBLE,
            "http://llm.example:4000",
            "OFFICE_KEY",
            (("claude-opus-5-5", "opus"),),
        ),
        EndpointSetting("other", Kind.ANTHROPIC),
    )


@pytest.mark.parametrize(
    ("change", "at", "says"),
    [
        ({"kind": "mainframe"}, "[0].kind", "compatible, bedrock, vertex or foundry"),
        ({"name": "default"}, "[0].name", "a name that no other endpoint has"),
        ({"name": ""}, "[0].name", "a name"),
        ({"baseUrl": "http://user@host"}, "[0].baseUrl", "without user name"),
        ({"baseUrl": None}, "[0].baseUrl", "which this kind needs"),
        ({"keyVariable": SECRET}, "[0].keyVariable", "the name of an environment variable"),
        ({"models": ["a"]}, "[0].models", "an object of names"),
        ({"models": {"a": 5}}, "[0].models.a", "a name"),
        ({"apiKey": SECRET}, "[0]", "an object with name, kind, baseUrl"),
        ({"region": "eu-central-1"}, "[0].region", "only the kinds bedrock and vertex have it"),
        ({"kind": "bedrock", "resource": "x"}, "[0].resource", "only the kinds foundry have it"),
        ({"kind": "bedrock", "region": "evil.example/"}, "[0].region", "as in the cloud's console"),
        ({"kind": "bedrock", "region": "a@b"}, "[0].region", "as in the cloud's console"),
        ({"kind": "vertex", "project": "../x"}, "[0].project", "as in the cloud's console"),
        ({"kind": "foundry", "resource": "a.b"}, "[0].resource", "as in the cloud's console"),
        ({"kind": "foundry", "resource": 5}, "[0].resource", "as in the cloud's console"),
    ],
)
def test_P11_a_wrong_endpoint_is_named_at_its_place_and_a_key_in_it_is_never_shown(
    change: dict[str, Any], at: str, says: str
) -> None:
    problem = the_problem({"endpoints": [{**OFFICE, **change}]})
    assert problem.name == f"holdfast.endpoints{at}"
    assert says in problem.message
    assert "no other endpoint is used" in problem.message
    assert SECRET not in f"{problem.value} {problem.message}"


def test_an_endpoint_in_a_cloud_needs_no_address_and_says_where_in_the_cloud_it_is() -> None:
    aws = {"name": "aws", "kind": "bedrock", "region": "eu-central-1"}
    gcp = {"name": "gcp", "kind": "vertex", "region": "global", "project": "example.com:kelp"}
    azure = {"name": "azure", "kind": "foundry", "resource": "tide-pool"}
    settings, problems = Settings.load({"endpoints": [aws, gcp, azure]}, {})
    assert problems == ()
    assert settings.endpoints == (
        EndpointSetting("aws", Kind.BEDROCK, region="eu-central-1"),
        EndpointSetting("gcp", Kind.VERTEX, region="global", project="example.com:kelp"),
        EndpointSetting("azure", Kind.FOUNDRY, resource="tide-pool"),
    )
    assert all(each.kind.is_cloud for each in settings.endpoints)


def test_two_endpoints_of_one_name_are_refused() -> None:
    problem = the_problem({"endpoints": [OFFICE, {**OTHER, "name": "office"}]})
    assert problem.name == "holdfast.endpoints[1].name"


def test_a_fail_over_list_is_used_without_the_names_that_no_endpoint_has() -> None:
    editor = {"endpoints": [OFFICE], "failover": ["office", "gone", "default"]}
    settings, [problem] = Settings.load(editor, {})
    assert settings.failover == ("office", "default")
    assert (problem.name, problem.value) == ("holdfast.failover", '"gone"')


def test_sessions_begin_at_the_first_endpoint_when_the_named_one_is_not_there() -> None:
    settings, [problem] = Settings.load({"endpoints": [OFFICE], "endpoint": "gone"}, {})
    assert settings.endpoint == "default"
    assert (problem.name, problem.value) == ("holdfast.endpoint", '"gone"')


def test_a_fail_over_list_names_each_endpoint_once() -> None:
    assert the_problem({"failover": ["default", "default"]}).name == "holdfast.failover"
