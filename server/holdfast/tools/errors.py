"""How a tool says no.

Law: a tool that cannot do what it was asked raises `ToolFailure` with a sentence that the model can
act on; the guard in `base` turns it into a result. Nothing else leaves a tool but cancellation.
"""

from __future__ import annotations


class ToolFailure(Exception):
    """A call that cannot be done; the message says why and what to try instead."""
