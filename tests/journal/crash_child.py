"""A process to be killed: it appends to the store without end and says what was acknowledged.

Usage, from the tests' directory: python -m journal.crash_child PATH (append SEED | create NAME)
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from pathlib import Path

from holdfast.journal.sqlite import SqliteStore
from holdfast.journal.store import SessionUnknown
from journal.samples import BARRIER, LAZY, a_record, a_summary, json_of

SESSION_IDS = ("s1", "s2", "s3")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def now_ms() -> int:
    return int(time.time() * 1000)


async def append_for_ever(store: SqliteStore, session_id: str, chance: random.Random) -> None:
    """Append to one session; say so for each acknowledged append."""
    owner = f"server {chance.random()}"
    try:
        lease = await store.acquire(session_id, owner, now_ms())
    except SessionUnknown:
        lease = await store.create(a_summary(session_id), owner, now_ms())
    head = (await store.summary(session_id)).head_seq
    while True:
        count = chance.randint(1, 4)
        batch = [a_record(head + n, json_of(chance.randint(0, 3000))) for n in range(1, count + 1)]
        await store.append(lease, batch, chance.choice([BARRIER, LAZY]))
        head += count
        say(f"{session_id} {head}")


async def main(path: str, mode: str, argument: str) -> None:
    if mode == "create":
        say("ready")
        sys.stdin.readline()
        store = await SqliteStore.open(Path(path))
        await store.create(a_summary(argument), argument, now_ms())
        await store.close()
        return
    store = await SqliteStore.open(Path(path))
    chance = random.Random(argument)
    async with asyncio.TaskGroup() as tasks:
        for session_id in SESSION_IDS:
            tasks.create_task(append_for_ever(store, session_id, chance))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
