"""The bounds, the time and the chance that one step of the state machine is decided under.

Law: nothing in here changes while a step is decided; whoever calls makes it anew for each.
"""

from __future__ import annotations

import attrs

from holdfast.conversation.profile import DEFAULT, Profile


@attrs.frozen
class Alternative:
    """Another endpoint that a person lets answer: what the session's model is called `there`, and
    what changes by it, in words.
    """

    endpoint: str
    there: str
    says: str


@attrs.frozen
class Limits:
    """The bounds a session runs under; from settings and the model's capabilities.

    Marks are fractions of the window. Times in milliseconds. `profile` is the grammar of the
    session's model behind its endpoint; `tools` are the names of the tools there are, in the order
    in which they are sent. `overhead_...` is the size of a request besides its messages. `failover`
    are other endpoints in a person's order, for when this one has failed for `failover_ms`; `home`
    is the one that a fail-over has left. `turns_joined`: a request has one message for each turn.
    """

    model: str
    window_tokens: int = 200_000
    max_output_tokens: int = 32_000
    soft_mark: float = 0.75
    hard_mark: float = 0.92
    keep_fraction: float = 0.2
    overhead_tokens: int = 0
    overhead_bytes: int = 0
    retry_budget_ms: int = 600_000
    retry_max_delay_ms: int = 60_000
    probe_max_ms: int = 300_000
    continue_interrupted: bool = True
    profile: Profile = DEFAULT
    tools: tuple[str, ...] = ()
    failover: tuple[Alternative, ...] = ()
    failover_ms: int = 60_000
    home: Alternative | None = None
    turns_joined: bool = False


@attrs.frozen
class Env:
    """Time, chance and bounds for one step. `jitter` is uniform in [0, 1)."""

    session_id: str
    now_ms: int
    jitter: float
    limits: Limits
