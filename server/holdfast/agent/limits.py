"""From settings and capabilities to the bounds of one step and the bytes of one request."""

from __future__ import annotations

from holdfast.agent.services import Services
from holdfast.model.port import Capabilities, ModelRequest
from holdfast.session import inputs as inp
from holdfast.session import view
from holdfast.session.state import SessionState


def env_of(session_id: str, services: Services, capabilities: Capabilities) -> inp.Env:
    """Return time, chance and bounds for the next step of a session."""
    settings = services.settings
    window = settings.context_window_tokens or capabilities.window_tokens
    return inp.Env(
        session_id=session_id,
        now_ms=services.world.now_ms(),
        jitter=services.world.jitter(),
        limits=inp.Limits(
            model=settings.model,
            window_tokens=window,
            max_output_tokens=output_tokens(services, capabilities),
            soft_mark=settings.soft_mark,
            hard_mark=settings.hard_mark,
            overhead_tokens=services.overhead_tokens,
            retry_budget_ms=int(settings.retry_budget_s * 1000),
            retry_max_delay_ms=int(settings.retry_max_delay_s * 1000),
            continue_interrupted=settings.continue_interrupted,
        ),
    )


def output_tokens(services: Services, capabilities: Capabilities) -> int:
    """Return how many tokens an answer may have."""
    return min(services.settings.max_output_tokens, capabilities.max_output_tokens)


def model_request(
    services: Services, state: SessionState, capabilities: Capabilities, model: str
) -> ModelRequest:
    """Return the next request of a session."""
    return ModelRequest(
        model=model,
        system=state.system,
        tools=tuple(services.tools.definitions),
        messages=view.messages(state),
        max_output_tokens=output_tokens(services, capabilities),
        idle_cut_s=services.settings.idle_cut_s,
    )
