"""A process that uses the store as it is told, line by line, and says what came of it.

Usage, from the tests' directory: python -m journal.process_child PATH

`acquire NOW_MS` takes the lease of s1, creating it if need be; `append` adds the next record;
`limit BYTES` sets the largest file the process may write, 0 takes the limit away. Each line is
answered by "ok" or by the name of the error and its words.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from pathlib import Path

from holdfast.journal.sqlite import SqliteStore
from holdfast.journal.store import Lease, SessionUnknown, StoreError
from journal.samples import BARRIER, a_record, a_summary, json_of


class Child:
    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.head = 0
        self.lease: Lease | None = None

    async def obey(self, word: str, number: int) -> None:
        if word == "acquire":
            try:
                self.lease = await self.store.acquire("s1", "child", number)
            except SessionUnknown:
                self.lease = await self.store.create(a_summary(), "child", number)
        elif word == "append":
            assert self.lease is not None
            record = a_record(self.head + 1, json_of(2000))
            await self.store.append(self.lease, [record], BARRIER)
            self.head += 1
        else:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (number or hard, hard))


async def main(path: str) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    child = Child(await SqliteStore.open(Path(path)))
    for line in sys.stdin:
        word, _, number = line.strip().partition(" ")
        try:
            await child.obey(word, int(number or 0))
        except StoreError as error:
            answer = f"{type(error).__name__} {error}"
        else:
            answer = "ok"
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    await child.store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
