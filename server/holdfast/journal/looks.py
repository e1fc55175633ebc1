"""What a look at a store of sessions tells of it, without opening a session.

Law: data only, so that who judges it need not know what kind of store it is.
"""

from __future__ import annotations

from enum import StrEnum

import attrs


class Standing(StrEnum):
    """What can be said of the process that has sessions open."""

    HERE = "here"  # it is the one that asks
    ALIVE = "alive"
    GONE = "gone"  # its sessions are free
    ELSEWHERE = "elsewhere"  # on another machine, or not to be seen from here


@attrs.frozen
class Holder:
    """One process that has sessions open. `silent_s` is how long ago it last said so."""

    pid: int
    host: str
    sessions: int
    silent_s: float
    standing: Standing


@attrs.frozen
class StoreLook:
    """What was seen. Sizes in bytes; `log_bytes` is what is not yet in the main file.

    `problem` says why the store cannot be used, in words for people; the rest is then unknown.
    `locked_s` is how long somebody kept the store from being written, 0 when nobody did. `suspect`:
    it has shown damage, and the next opening will check it as a whole.
    """

    exists: bool
    sessions: int = 0
    size_bytes: int = 0
    log_bytes: int = 0
    holders: tuple[Holder, ...] = ()
    locked_s: float = 0.0
    suspect: bool = False
    problem: str = ""
