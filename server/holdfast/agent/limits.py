"""From settings and capabilities to the bounds of one step and the bytes of one request.

Law: the grammar that a request is held to is that of the session's own model behind its endpoint.
What refusals have taught about sizes counts like what the endpoint says, the smaller of both.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import attrs

from holdfast.agent.services import AgentSettings, Services
from holdfast.conversation import tokens
from holdfast.conversation.models import profile_of
from holdfast.conversation.profile import ON_DEMAND, Profile
from holdfast.conversation.turns import joined
from holdfast.model.port import Capabilities, ModelRequest
from holdfast.session import failover, view
from holdfast.session import inputs as inp
from holdfast.session.bounds import Alternative
from holdfast.session.rungs import Sent
from holdfast.session.state import Learned, SessionState
from holdfast.settings import DEFAULT_ENDPOINT

READ_TOKENS: Final = 200_000
"""A request of so many tokens may take twice as long as a small one until its answer begins."""


def env_of(
    session_id: str, services: Services, state: SessionState, capabilities: Capabilities
) -> inp.Env:
    """Return time, chance and bounds for the next step of a session."""
    return inp.Env(
        session_id=session_id,
        now_ms=services.world.now_ms(),
        jitter=services.world.jitter(),
        limits=limits_of(services, state, capabilities),
    )


def limits_of(services: Services, state: SessionState, capabilities: Capabilities) -> inp.Limits:
    """Return the bounds of a session's requests."""
    settings = services.settings
    return inp.Limits(
        model=settings.model,
        window_tokens=window_tokens(services, state, capabilities),
        max_output_tokens=output_tokens(services, state, capabilities),
        soft_mark=settings.soft_mark,
        hard_mark=settings.hard_mark,
        overhead_tokens=services.overhead_tokens,
        overhead_bytes=services.overhead_bytes + len(state.system.encode()),
        retry_budget_ms=int(settings.retry_budget_s * 1000),
        retry_max_delay_ms=int(settings.retry_max_delay_s * 1000),
        probe_max_ms=int(settings.probe_max_s * 1000),
        continue_interrupted=settings.continue_interrupted,
        profile=profile(services, state, capabilities),
        turns_joined=turns_joined(services, state),
        tools=services.tool_names,
        failover=_alternatives(services, state),
        failover_ms=int(settings.failover_s * 1000),
        home=_home(services, state),
    )


def profile(services: Services, state: SessionState, capabilities: Capabilities) -> Profile:
    """Return the grammar of the session's history for its model behind its endpoint.

    Turns need not alternate in it: they are joined where a request is made (`turns_joined`), for a
    history that is joined has lost where its prompts begin. A signed compaction is a block of it
    exactly when the model takes one (R31, R91).
    """
    grammar = _grammar(services.settings, state.endpoint, model_of(services, state))
    takes = compacts_on_demand(services, state, capabilities)
    return _of_history(_taking_compactions(grammar) if takes else grammar)


def turns_joined(services: Services, state: SessionState) -> bool:
    """Say whether a request has one message for each turn: the endpoint wants it, or said so."""
    grammar = _grammar(services.settings, state.endpoint, model_of(services, state))
    return grammar.strict_alternation or _learned(services, state).turns_joined


def compacts_on_demand(services: Services, state: SessionState, capabilities: Capabilities) -> bool:
    """Say whether the API may be asked to compact, as far as it is known (specification §6)."""
    grammar = _grammar(services.settings, state.endpoint, model_of(services, state))
    offered = grammar.compaction_offered and grammar.betas_allowed
    return offered and capabilities.compaction and not _learned(services, state).no_compaction


def alternative(services: Services, state: SessionState, endpoint: str) -> Alternative:
    """Return another endpoint for the session's model, with what changes by it."""
    settings, model = services.settings, model_of(services, state)
    here = _grammar(settings, state.endpoint, model)
    there = settings.there(endpoint, model)
    other = _grammar(settings, endpoint, model)
    return Alternative(endpoint, there, failover.changes(model, there, here, other))


def _alternatives(services: Services, state: SessionState) -> tuple[Alternative, ...]:
    """Return the endpoints of the fail-over list without the one that answers now."""
    listed = services.settings.failover
    names = ("" if name == DEFAULT_ENDPOINT else name for name in listed)
    return tuple(alternative(services, state, name) for name in names if name != state.endpoint)


def _home(services: Services, state: SessionState) -> Alternative | None:
    """Return the endpoint that a fail-over has left, if the settings name it still."""
    home = state.home
    if home is None:
        return None
    known = not home.endpoint or services.settings.endpoint_named(home.endpoint) is not None
    return alternative(services, state, home.endpoint) if known else None


def _grammar(settings: AgentSettings, endpoint: str, model: str) -> Profile:
    return profile_of(settings.there(endpoint, model), settings.kind_of(endpoint))


@lru_cache(maxsize=64)
def _taking_compactions(grammar: Profile) -> Profile:
    return grammar.with_betas((ON_DEMAND,))


@lru_cache(maxsize=64)
def _of_history(grammar: Profile) -> Profile:
    return attrs.evolve(grammar, strict_alternation=False)


def model_of(services: Services, state: SessionState) -> str:
    """Return the model that answers next."""
    return state.model or services.settings.model


def window_tokens(services: Services, state: SessionState, capabilities: Capabilities) -> int:
    """Return how many tokens fit, as far as it is known."""
    said = services.settings.context_window_tokens or capabilities.window_tokens
    return min(said, _learned(services, state).window_tokens or said)


def output_tokens(services: Services, state: SessionState, capabilities: Capabilities) -> int:
    """Return how many tokens an answer may have."""
    said = min(services.settings.max_output_tokens, capabilities.max_output_tokens)
    return min(said, _learned(services, state).output_tokens or said)


def _learned(services: Services, state: SessionState) -> Learned:
    nothing = Learned()
    return state.learned.get(model_of(services, state), nothing)


def first_byte_s(settings: AgentSettings, input_tokens: int) -> float:
    """Return how long an answer may take to begin: a large request takes longer to be read (C02).

    The setting is for a small request; `READ_TOKENS` more are given as much again.
    """
    return settings.first_byte_s * (1 + input_tokens / READ_TOKENS)


def model_request(
    services: Services, state: SessionState, capabilities: Capabilities, model: str
) -> ModelRequest:
    """Return the next request of a session."""
    sent = Sent(view.messages(state), state.dropping, frozenset(state.left_out))
    return request_of(sent, services, state, capabilities, model)


def request_of(
    sent: Sent, services: Services, state: SessionState, capabilities: Capabilities, model: str
) -> ModelRequest:
    """Return a request as a session would send it, with another history or other tools."""
    most = output_tokens(services, state, capabilities)
    grammar = _grammar(services.settings, state.endpoint, model)
    room = state.turn.answer_tokens if state.turn is not None else None
    piece = state.cap.answer_tokens if state.cap is not None else None
    return ModelRequest(
        model=model,
        system=state.system,
        tools=tuple(t for t in services.definitions if t.get("name") not in sent.left_out),
        messages=joined(sent.history) if turns_joined(services, state) else sent.history,
        max_output_tokens=min(most, room or most, piece or most),
        first_byte_timeout_s=first_byte_s(services.settings, tokens.estimate(sent.history)),
        idle_cut_s=services.settings.idle_cut_s,
        progress_cut_s=services.settings.progress_cut_s,
        drop_mismatched_thinking=sent.dropping and grammar.betas_allowed,
        cache_marks=grammar.cache_marks_max > 0 and not _learned(services, state).no_cache_marks,
    )
