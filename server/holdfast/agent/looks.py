"""Looking whether an endpoint answers: free, bounded, and never a request.

Law: a look always ends, in a failure or in none; one that hangs has found silence (P7).
"""

from __future__ import annotations

import asyncio
from typing import Final

from holdfast.model.port import Model
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure, FailureKind

LOOK_LIMIT_S: Final = 20.0

_NO_WORDS: Final = Failure(kind=FailureKind.NETWORK, message="The endpoint does not answer.")


async def look(model: Model, limit_s: float) -> Failure | None:
    """Return what stands in the way of a request, None when one is worth sending."""
    try:
        async with asyncio.timeout(limit_s):
            found = await model.probe()
    except TimeoutError:
        words = f"The endpoint did not answer within {limit_s:g} s."
        return Failure(kind=FailureKind.TIMEOUT, message=words, cause=Cause.NO_FIRST_BYTE)
    return None if found.ok else found.failure or _NO_WORDS


async def answers(model: Model, limit_s: float) -> bool:
    """Say whether an endpoint is all right: it answers, and has nothing to object to the key."""
    try:
        async with asyncio.timeout(limit_s):
            found = await model.probe()
    except TimeoutError:
        return False
    return found.ok and found.failure is None
