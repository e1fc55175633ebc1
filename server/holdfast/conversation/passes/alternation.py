"""Turns are made to alternate where an endpoint asks for it (R20, A32).

Law: messages of one role in a row are joined in their order; after pairing, the results of a turn
come first in it already. Elsewhere nothing is done, because the API joins messages by itself, and
what holds thinking is better left as it was said (A08); endpoints that ask for this take no
thinking back.
"""

from __future__ import annotations

import attrs

from holdfast.conversation.history import History, Message
from holdfast.conversation.passes.steps import Context, Log


def alternate(history: History, context: Context, log: Log) -> History:
    """Join messages of one role in a row, where turns must alternate."""
    if not context.profile.strict_alternation:
        return history
    joined: list[Message] = []
    for message in history:
        if joined and joined[-1].role == message.role:
            log.note("R20", message, "joined two messages of one role", "all of their blocks")
            blocks = (*joined[-1].blocks, *message.blocks)
            joined[-1] = attrs.evolve(joined[-1], blocks=blocks)
        else:
            joined.append(message)
    return history if len(joined) == len(history) else tuple(joined)
