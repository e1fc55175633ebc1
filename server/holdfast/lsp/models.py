"""The commands that say who may answer a session, and choose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdfast.lsp import params as p
from holdfast.lsp import wire
from holdfast.lsp.rows import Command

if TYPE_CHECKING:
    from holdfast.lsp.server import HoldfastServer


async def endpoints(ls: HoldfastServer, _: p.NoParams) -> Any:
    """List the endpoints of the settings."""
    supervisor = await ls.supervisor()
    return wire.plain(supervisor.selection.endpoints())


async def models(ls: HoldfastServer, params: p.EndpointParams) -> Any:
    """List the models that an endpoint has."""
    supervisor = await ls.supervisor()
    return wire.plain(await supervisor.selection.models(params.endpoint))


async def choices(ls: HoldfastServer, params: p.OnSession) -> Any:
    """List what could answer a session, with what changes by it."""
    supervisor = await ls.supervisor()
    return wire.plain(await supervisor.choices.of(params.session_id))


async def select_model(ls: HoldfastServer, params: p.SelectModelParams) -> Any:
    """Send a session's later requests to another model, or to another endpoint."""
    supervisor = await ls.supervisor()
    await supervisor.select_model(params.session_id, params.model, params.endpoint)
    return {}


ROWS: Final = (
    Command(
        "holdfast.endpoint.list",
        p.NoParams,
        endpoints,
        "List the endpoints of the settings, `default` first; none is asked. `models` says what an "
        "endpoint calls the models that sessions want, `failover` which endpoints stand in for "
        "each other, in order.",
        {},
        {
            "endpoints": [
                {
                    "name": "default",
                    "kind": "firstParty",
                    "baseUrl": "https://api.anthropic.com",
                    "models": {},
                },
                {
                    "name": "office",
                    "kind": "compatible",
                    "baseUrl": "http://llm.example:4000",
                    "models": {"claude-opus-5-5": "opus"},
                },
            ],
            "failover": ["default", "office"],
        },
    ),
    Command(
        "holdfast.model.list",
        p.EndpointParams,
        models,
        "Ask an endpoint which models it has, now. `source` says where the numbers come from.",
        {"endpoint": "office"},
        {
            "endpoint": "office",
            "models": [
                {
                    "model": "claude-opus-5-5",
                    "windowTokens": 200000,
                    "maxOutputTokens": 64000,
                    "source": "endpoint",
                }
            ],
        },
    ),
    Command(
        "holdfast.model.choices",
        p.OnSession,
        choices,
        "List all that could answer a session, for a picker: every endpoint is asked at once, for "
        "five seconds at most, which models it has. `group` is a heading, `detail` "
        "what changes, or why an endpoint did not say what it has; `model` and `endpoint` are what "
        "`holdfast.model.select` takes. The last one is the setting's model.",
        {"sessionId": "s_8f2c"},
        {
            "choices": [
                {
                    "group": "Now",
                    "label": "claude-opus-5-5",
                    "description": "in use · 200k tokens",
                    "detail": "",
                    "model": "claude-opus-5-5",
                    "inUse": True,
                },
                {
                    "group": "The same model elsewhere",
                    "label": "claude-opus-5-5 at office",
                    "description": "200k tokens · there called opus",
                    "detail": "opus is asked for in place of claude-opus-5-5.",
                    "model": "claude-opus-5-5",
                    "endpoint": "office",
                    "inUse": False,
                },
            ]
        },
    ),
    Command(
        "holdfast.model.select",
        p.SelectModelParams,
        select_model,
        "Send a session's later requests to another model, or to another endpoint. Without "
        "`endpoint` it stays where it is, and without `model` the setting's is used; with an "
        "`endpoint` alone the session's model is asked for there. What changes is a notice in the "
        "conversation, and a turn that waits goes on at once.",
        {"sessionId": "s_8f2c", "model": "claude-opus-5-5"},
        {},
    ),
)
