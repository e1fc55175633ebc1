"""What a slow follower costs (S15): memory is bounded, what it has missed comes from the store."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.agent.api import Status
from holdfast.agent.feed import RECENT_BYTES_MAX, RECENT_MAX, Feed
from holdfast.journal import codec
from holdfast.journal.sqlite import SqliteStore
from holdfast.session import events as ev
from holdfast.session.inputs import Recorded
from journal.samples import LAZY, NOW_MS, a_summary

LIMIT_S = 30
WRITES = st.lists(
    st.one_of(
        st.integers(1, 40),  # many short pieces of an answer
        st.sampled_from([(200_000,), (600_000, 10), (RECENT_BYTES_MAX + 1,), (10, 999_000, 10)]),
    ),
    min_size=1,
    max_size=8,
)


class Growing:
    """A session whose journal grows, as its driver would make it grow."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.feed = Feed("s1", store, 0, Status("s1", "streaming"))
        self.written: list[Recorded] = []

    async def begin(self) -> None:
        self._lease = await self._store.create(a_summary(), "test", NOW_MS)

    async def write(self, lengths: tuple[int, ...]) -> None:
        head = len(self.written)
        new = [
            Recorded(head + i, NOW_MS, ev.BlockDelta(index=0, kind="text", text="x" * length))
            for i, length in enumerate(lengths, start=1)
        ]
        encoded = [codec.encode(record) for record in new]
        await self._store.append(self._lease, encoded, LAZY)
        self.written += new
        self.feed.publish(new, [len(record.payload) for record in encoded])


async def followed(growing: Growing, since_seq: int) -> list[Recorded]:
    """Return what a follower is given that comes back after `since_seq`."""
    seen: list[Recorded] = []
    async with asyncio.timeout(LIMIT_S):
        async for batch in growing.feed.follow(since_seq):
            seen += batch.events
            if since_seq + len(seen) >= len(growing.written):
                return seen
    return seen


@settings(max_examples=25, deadline=None)
@given(writes=WRITES, back=st.floats(0, 1))
def test_memory_is_bounded_and_nothing_is_missed(
    writes: list[int | tuple[int, ...]], back: float
) -> None:
    """S15: pieces of any size, a follower that comes back anywhere."""

    async def play(path: Path) -> None:
        store = await SqliteStore.open(path)
        growing = Growing(store)
        await growing.begin()
        for write in writes:
            await growing.write((20,) * write if isinstance(write, int) else write)
            assert growing.feed.recent_bytes <= RECENT_BYTES_MAX
        since_seq = int(back * (len(growing.written) - 1))
        assert await followed(growing, since_seq) == growing.written[since_seq:]
        await store.close()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(play(Path(directory) / "holdfast.db"))


async def test_many_small_events_are_bounded_in_number(tmp_path: Path) -> None:
    """S15: two thousand events are kept, the older ones are read."""
    store = await SqliteStore.open(tmp_path / "holdfast.db")
    growing = Growing(store)
    await growing.begin()
    await growing.write((0,) * (RECENT_MAX + 10))
    newest = [codec.encode(record).payload for record in growing.written[-RECENT_MAX:]]
    assert growing.feed.recent_bytes == sum(map(len, newest))
    assert await followed(growing, 0) == growing.written
    await store.close()
