"""The repair passes, in the one order in which no pass undoes another.

Law: encoding, then single media (their bytes say what type they are), then the shape of single
blocks, then thinking (it can empty a message), then pairs over the whole history, then blanks and
empty messages, then who speaks when, then the sums of media and bytes, then cache marks. Each pass
leaves behind what the later ones rely on: after pairing, results open every turn
they belong to, so that a system message said by the user can only come after them.
"""

from __future__ import annotations

from typing import Final

from holdfast.conversation.passes.alternation import alternate
from holdfast.conversation.passes.blanks import drop_blanks
from holdfast.conversation.passes.cache_marks import drop_cache_marks
from holdfast.conversation.passes.ends import settle_ends, settle_system
from holdfast.conversation.passes.media import fit_media, mend_media
from holdfast.conversation.passes.pairing import pair_calls
from holdfast.conversation.passes.server_tools import (
    cast_lost_tools,
    drop_stale_callers,
    name_toolsets,
    pair_server_calls,
)
from holdfast.conversation.passes.shape import shape_blocks
from holdfast.conversation.passes.steps import Context, Log, Pass
from holdfast.conversation.passes.thinking import drop_thinking
from holdfast.conversation.passes.unicode import replace_lone_surrogates

PASSES: Final[tuple[Pass, ...]] = (
    replace_lone_surrogates,
    mend_media,
    shape_blocks,
    drop_thinking,
    pair_calls,
    pair_server_calls,
    drop_stale_callers,
    name_toolsets,
    cast_lost_tools,
    drop_blanks,
    settle_system,
    settle_ends,
    alternate,
    fit_media,
    drop_cache_marks,
)

__all__ = ["PASSES", "Context", "Log", "Pass"]
