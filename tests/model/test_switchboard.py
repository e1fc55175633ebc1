"""One model for each endpoint: its own names, its own key, no other's (P11, C07)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from holdfast.conversation.history import user
from holdfast.model.anthropic_adapter import AnthropicModel
from holdfast.model.credentials import Credentials
from holdfast.model.port import ModelFailed, ModelRequest, ResponseEnded
from holdfast.model.switchboard import Switchboard
from holdfast.session.failures import FailureKind
from holdfast.settings import EndpointSetting, Kind
from holdfast.simulator import Simulator

OWN = Credentials(api_key="the-first-endpoints-key")
REQUEST = ModelRequest("wanted", "", (), (user("Hello."),), 100)


def own() -> Credentials:
    return OWN


def built(setting: EndpointSetting, credentials: Callable[[], Credentials]) -> AnthropicModel:
    return AnthropicModel(credentials, setting.base_url)


@asynccontextmanager
async def board(
    environment: dict[str, str], *endpoints: EndpointSetting
) -> AsyncIterator[Switchboard]:
    first = AnthropicModel(own)
    switchboard = Switchboard(first, own, environment, built, endpoints)
    try:
        yield switchboard
    finally:
        await switchboard.close()
        await first.close()


async def test_a_model_is_asked_for_by_the_name_that_the_endpoint_has_for_it() -> None:
    async with Simulator() as there:
        names = (("wanted", "claude-haiku-4-5"),)
        office = EndpointSetting("office", Kind.COMPATIBLE, there.base_url, None, names)
        async with board({}, office) as switchboard:
            model = switchboard.at("office")
            async with model.stream(REQUEST) as items:
                last = [item async for item in items][-1]
            assert isinstance(last, ResponseEnded)
            assert await model.count_tokens(REQUEST) > 0
            assert (await model.capabilities("wanted")).model == "claude-haiku-4-5"
        asked = [entry.body for entry in there.log if entry.body]
        assert {body["model"] for body in asked} == {"claude-haiku-4-5"}


async def test_C07_the_key_of_an_endpoint_is_read_anew_for_every_attempt() -> None:
    async with Simulator(api_key="good") as there:
        office = EndpointSetting("office", Kind.GATEWAY, there.base_url, "OFFICE_KEY")
        environment: dict[str, str] = {}
        async with board(environment, office) as switchboard:
            model = switchboard.at("office")
            for key in ("", "bad"):
                environment["OFFICE_KEY"] = key
                with pytest.raises(ModelFailed) as failed:
                    await model.models()
                assert failed.value.failure.kind is FailureKind.AUTHENTICATION
            environment["OFFICE_KEY"] = "good"
            assert await model.models()


async def test_P11_the_first_endpoints_key_is_not_sent_to_another_address() -> None:
    async with Simulator(api_key=OWN.api_key) as there:
        office = EndpointSetting("office", Kind.GATEWAY, there.base_url)
        async with board({}, office) as switchboard:
            with pytest.raises(ModelFailed) as failed:
                await switchboard.at("office").models()
            assert failed.value.failure.status == 401


async def test_C07_a_key_that_a_client_hands_over_for_an_endpoint_goes_before_what_is_set() -> None:
    async with Simulator(api_key="given") as there:
        office = EndpointSetting("office", Kind.GATEWAY, there.base_url, "OFFICE_KEY")
        async with board({"OFFICE_KEY": "old"}, office) as switchboard:
            credentials = switchboard.credentials_at("office")
            assert credentials is not None
            assert credentials.source == "environment"
            credentials.give("given", None)
            assert credentials.source == "client"
            assert await switchboard.at("office").models()
            credentials.give(None, None)
            with pytest.raises(ModelFailed, match="key"):
                await switchboard.at("office").models()
            assert switchboard.credentials_at("gone") is None


async def test_P11_a_key_for_an_endpoint_is_not_sent_to_another_address_of_that_name() -> None:
    async with Simulator(api_key="given") as there:
        before = EndpointSetting("office", Kind.GATEWAY, "http://127.0.0.1:9")
        async with board({}, before) as switchboard:
            credentials = switchboard.credentials_at("office")
            assert credentials is not None
            credentials.give("given", None)
            switchboard.use([EndpointSetting("office", Kind.GATEWAY, there.base_url)])
            with pytest.raises(ModelFailed) as failed:
                await switchboard.at("office").models()
            assert failed.value.failure.status == 401


async def test_an_endpoint_that_the_settings_do_not_name_fails_in_words() -> None:
    async with board({}) as switchboard:
        model = switchboard.at("gone")
        for asking in (model.models(), model.count_tokens(REQUEST)):
            with pytest.raises(ModelFailed, match="no endpoint 'gone'"):
                await asking
        with pytest.raises(ModelFailed, match="no endpoint 'gone'"):
            async with model.stream(REQUEST):
                pass
        assert not (await model.probe()).ok
        assert (await model.capabilities("claude-opus-5-5")).window_tokens == 1_000_000
        await model.drop_connections()
        await model.close()


async def test_endpoints_that_are_set_later_are_known_at_once_and_the_first_stays() -> None:
    async with board({}) as switchboard, Simulator() as there:
        first = switchboard.at("")
        switchboard.use([EndpointSetting("office", Kind.COMPATIBLE, there.base_url)])
        assert (await switchboard.at("office").probe()).ok
        assert switchboard.at("office") is switchboard.at("office")
        assert switchboard.at("default") is first
