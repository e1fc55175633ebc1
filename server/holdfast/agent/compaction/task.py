"""What is to be compacted and with what, taken from the session once.

Law: a task is a picture of the session at the moment in which the compactor began; nothing in it
changes while the compactor works. What is learned meanwhile is in `Run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

import attrs

from holdfast.agent import limits
from holdfast.agent.services import Services
from holdfast.conversation.history import Message
from holdfast.conversation.profile import Profile
from holdfast.model import port
from holdfast.session import events as ev
from holdfast.session.compaction import acceptance, budget, planning
from holdfast.session.rungs import Sent
from holdfast.session.state import SessionState

SUMMARY_TOKENS_MAX: Final = 8_000
"""How long a summary may be, whatever it stands for."""
OUTPUT_TOKENS_MAX: Final = 16_000
"""Room for an answer of the summariser, its thinking included."""
OUTPUT_TOKENS_MIN: Final = 4_000
"""With less room than this the API is not asked to compact."""
DIGEST_TOKENS_MAX: Final = 12_000
SILENCE_MAX_S: Final = 120.0
"""An endpoint that reads even a full window has begun to answer by then."""


@attrs.frozen
class Task:
    """What a compaction covers and what it is made with. Sizes in tokens.

    `model` is asked for at `endpoint`, and words of it at the `others` when that fails, in a
    person's order. `output_tokens` is the room for an answer, and
    `output_tokens_max` what it may grow to. `previous` stands for what came before `messages`.
    `on_demand` is the request that the API's own compaction takes, None where there is none.
    `input_tokens_max` is how much one request for a summary may hold, `failed` counts the tries
    that did not hold, `chunks` are summaries that are there already.
    """

    compaction_id: str
    previous: str
    messages: tuple[Message, ...]
    instructions: str
    model: str
    window_tokens: int
    output_tokens: int
    output_tokens_max: int
    input_tokens_max: int
    idle_cut_s: float
    deadline_s: float
    grammar: Profile
    bar: acceptance.Bar
    on_demand: port.ModelRequest | None
    failed: Mapping[ev.Rung, int]
    chunks: Mapping[str, str]
    endpoint: str = ""
    others: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        state: SessionState,
        started: ev.CompactionStarted,
        services: Services,
        capabilities: port.Capabilities,
    ) -> Self:
        """Take from the state what the compaction covers."""
        previous, messages = planning.covered(state, started)
        model = limits.model_of(services, state)
        window = limits.window_tokens(services, state, capabilities)
        most = limits.output_tokens(services, state, capabilities)
        learned = state.learned.get(model)
        cap = learned.summary_tokens if learned is not None else None
        running = state.compaction
        bounds = limits.limits_of(services, state, capabilities)
        return cls(
            compaction_id=started.compaction_id,
            previous=previous,
            messages=messages,
            instructions=started.instructions,
            model=model,
            window_tokens=window,
            output_tokens=min(OUTPUT_TOKENS_MAX, most, window // 4),
            output_tokens_max=min(most, window // 4),
            input_tokens_max=min(window // 2, cap or window),
            idle_cut_s=services.settings.idle_cut_s,
            deadline_s=services.settings.compaction_deadline_s,
            grammar=limits.profile(services, state, capabilities),
            bar=acceptance.bar_of(state, started),
            on_demand=_on_demand(state, started, services, capabilities),
            failed=dict(running.failed) if running is not None else {},
            chunks=dict(state.chunks),
            endpoint=state.endpoint,
            others=tuple(other.endpoint for other in bounds.failover),
        )

    @property
    def digest_tokens(self) -> int:
        """The budget of the local digest."""
        return min(DIGEST_TOKENS_MAX, self.window_tokens // 8)

    @property
    def summary_tokens(self) -> int:
        """The budget of a summary that a model writes."""
        return min(SUMMARY_TOKENS_MAX, self.window_tokens // 8)


def silence_s(deadline_s: float) -> float:
    """Return how long an endpoint may say nothing, in seconds, before a request is given up.

    At most half of all the time there is: a silent one must leave some for smaller requests.
    """
    return min(SILENCE_MAX_S, max(1.0, deadline_s / 2))


def _on_demand(
    state: SessionState,
    started: ev.CompactionStarted,
    services: Services,
    capabilities: port.Capabilities,
) -> port.ModelRequest | None:
    """Return the request that the API's own compaction takes: what was sent, up to the cut.

    None when the model has none, when the history does not fit into the window (B03), and when the
    kept turns would lose their thinking all the same (specification §6).
    """
    if not limits.compacts_on_demand(services, state, capabilities):
        return None
    covered = planning.on_demand(state, started)
    if covered is None:
        return None
    model = limits.model_of(services, state)
    sent = Sent(covered, state.dropping, frozenset(state.left_out))
    bounds = limits.limits_of(services, state, capabilities)
    room = bounds.window_tokens - budget.estimated_tokens(state, bounds, covered)
    most = min(OUTPUT_TOKENS_MAX, bounds.max_output_tokens, bounds.window_tokens // 4)
    if room < min(OUTPUT_TOKENS_MIN, most):
        return None
    return attrs.evolve(
        limits.request_of(sent, services, state, capabilities, model),
        compaction="",
        max_output_tokens=min(most, room),
        first_byte_timeout_s=silence_s(services.settings.compaction_deadline_s),
    )
