"""What a session has used, for people: tokens as the API counted them, and what they cost.

Law: no number is invented. Tokens are the sums of what the API reported for complete answers,
summaries of compactions included; a cost is said only when every model that was used has a price
in the setting `holdfast.prices`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from holdfast.agent.api import Cost, UsageView
from holdfast.session.events import Usage
from holdfast.session.state import SessionState
from holdfast.settings import Price

PER_TOKENS: Final = 1_000_000
DECIMALS: Final = 6


def usage_of(
    state: SessionState, context_tokens: int, window_tokens: int, prices: Sequence[Price]
) -> UsageView:
    """Return what a session has used since it was created here."""
    spent = state.spent.values()
    return UsageView(
        context_tokens=context_tokens,
        window_tokens=window_tokens,
        input_tokens=sum(usage.input_tokens for usage in spent),
        cache_read_tokens=sum(usage.cache_read_input_tokens for usage in spent),
        cache_write_tokens=sum(usage.cache_creation_input_tokens for usage in spent),
        output_tokens=sum(usage.output_tokens for usage in spent),
        cost=cost_of(state.spent, prices),
    )


def cost_of(spent: Mapping[str, Usage], prices: Sequence[Price]) -> Cost | None:
    """Return what `spent`, by model, cost; None when a model has no price. The first one counts."""
    if not prices:
        return None
    amount = 0.0
    for model, usage in spent.items():
        price = next((p for p in prices if fnmatchcase(model, p.model)), None)
        if price is None:
            return None
        amount += usage.input_tokens * price.input
        amount += usage.cache_read_input_tokens * price.cache_read
        amount += usage.cache_creation_input_tokens * price.cache_write
        amount += usage.output_tokens * price.output
    return Cost(round(amount / PER_TOKENS, DECIMALS))
