"""The repair passes, in the one order in which no pass undoes another.

Law: encoding, then the shape of single blocks, then half thinking (it can empty a message), then
pairs over the whole history, then blanks and empty messages, then who speaks when, then cache
marks. Each pass leaves behind what the later ones rely on: after pairing, results open every turn
they belong to, so that a system message said by the user can only come after them.
"""

from __future__ import annotations

from typing import Final

from holdfast.conversation.passes.blanks import drop_blanks
from holdfast.conversation.passes.cache_marks import drop_cache_marks
from holdfast.conversation.passes.ends import settle_ends, settle_system
from holdfast.conversation.passes.pairing import pair_calls
from holdfast.conversation.passes.server_tools import drop_stale_callers, pair_server_calls
from holdfast.conversation.passes.shape import shape_blocks
from holdfast.conversation.passes.steps import Context, Log, Pass
from holdfast.conversation.passes.thinking import drop_half_thinking
from holdfast.conversation.passes.unicode import replace_lone_surrogates

PASSES: Final[tuple[Pass, ...]] = (
    replace_lone_surrogates,
    shape_blocks,
    drop_half_thinking,
    pair_calls,
    pair_server_calls,
    drop_stale_callers,
    drop_blanks,
    settle_system,
    settle_ends,
    drop_cache_marks,
)

__all__ = ["PASSES", "Context", "Log", "Pass"]
