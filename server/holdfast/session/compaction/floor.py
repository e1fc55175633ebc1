"""The floor: what of a context cannot be compacted, told to a person in plain words (B04, B23).

Law: only figures that can be computed here, all in tokens, all called estimates. It names what is
large, so that a person knows what to change.
"""

from __future__ import annotations

from typing import Final

from holdfast.conversation import tokens
from holdfast.session import inputs as inp
from holdfast.session import view
from holdfast.session.compaction import budget, facts
from holdfast.session.state import SessionState

RESULTS_NAMED: Final = 3


def analysis(state: SessionState, limits: inp.Limits) -> str:
    """Return how large the parts of the next request are that a compaction leaves as they are."""
    shown = view.messages(state)
    results = sorted(
        (
            (budget.scaled(state, tokens.estimate_block(block)), view.entry_of(message))
            for message in shown
            for block in message.blocks
            if block.type == "tool_result"
        ),
        reverse=True,
    )
    last = next((m for m in reversed(shown) if m.origin in state.prompt_origins.values()), None)
    parts = [
        ("system prompt", budget.scaled(state, tokens.estimate_text(state.system))),
        ("tool definitions", limits.overhead_tokens),
        ("facts kept verbatim", tokens.estimate_text("\n".join(facts.facts(state)))),
        ("last prompt", budget.scaled(state, tokens.estimate((last,))) if last else 0),
        *((f"output of entry {entry}", size) for size, entry in results[:RESULTS_NAMED]),
    ]
    named = ", ".join(f"{name} {size:,}" for name, size in parts if size)
    whole = budget.context_tokens(state, limits)
    return (
        f"The next request has about {whole:,} of {limits.window_tokens:,} tokens. "
        f"What a compaction cannot remove, estimated: {named or 'nothing large'}."
    )
