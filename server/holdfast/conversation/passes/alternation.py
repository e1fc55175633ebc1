"""Turns are made to alternate where an endpoint asks for it (R20, A32).

Law: messages of one role in a row are joined in their order; after pairing, the results of a turn
come first in it already. Elsewhere nothing is done, because the API joins messages by itself, and
what holds thinking is better left as it was said (A08); endpoints that ask for this take no
thinking back.
"""

from __future__ import annotations

from itertools import pairwise

from holdfast.conversation.history import History
from holdfast.conversation.passes.steps import Context, Log
from holdfast.conversation.turns import joined


def alternate(history: History, context: Context, log: Log) -> History:
    """Join messages of one role in a row, where turns must alternate."""
    if not context.profile.strict_alternation:
        return history
    for before, message in pairwise(history):
        if before.role == message.role:
            log.note("R20", message, "joined two messages of one role", "all of their blocks")
    return joined(history)
