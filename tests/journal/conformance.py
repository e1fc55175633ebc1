"""What every `Store` must do, whatever it is built on.

A store passes by subclassing `StoreConformance` and `JournalMachine` and saying how it is opened.
Opening twice means two servers on the same data.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from holdfast.journal.store import (
    Durability,
    Lease,
    LeaseLost,
    Record,
    SessionOwnedElsewhere,
    SessionUnknown,
    Store,
    StoreUnavailable,
    SummaryChange,
)
from journal.samples import BARRIER, LAZY, NOW_MS, a_record, a_summary, json_of, records

OpenStore: TypeAlias = Callable[[], Awaitable[Store]]

FIVE_MINUTES_MS = 5 * 60_000


class StoreConformance:
    """The promises of the port, one test each."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        raise NotImplementedError

    @pytest.fixture
    async def store(self, open_store: OpenStore) -> AsyncIterator[Store]:
        store = await open_store()
        yield store
        await store.close()

    @pytest.fixture
    async def lease(self, store: Store) -> Lease:
        return await store.create(a_summary(), "owner-1", NOW_MS)

    # -- records

    @pytest.mark.parametrize("durability", [BARRIER, LAZY])
    async def test_p1_what_was_acknowledged_is_there_after_opening_again(
        self, open_store: OpenStore, durability: Durability
    ) -> None:
        store = await open_store()
        lease = await store.create(a_summary(), "owner-1", NOW_MS)
        await store.append(lease, records(1, 3), durability)
        await store.close()
        again = await open_store()
        assert await again.read("s1") == records(1, 3)
        await again.close()

    async def test_p4_a_record_comes_back_byte_for_byte(self, store: Store, lease: Lease) -> None:
        written = [
            Record(1, 0, "", 0, b"{}"),
            Record(2, 2**62, "type \N{SNOWMAN}", 2**31, json_of(76_800)),
            Record(3, -1, "x", 1, b' {"text" : "\\u0000"}\n'),
        ]
        await store.append(lease, written, BARRIER)
        assert await store.read("s1") == written

    async def test_reading_starts_after_a_seq_and_stops_at_a_limit(
        self, store: Store, lease: Lease
    ) -> None:
        await store.append(lease, records(1, 5), LAZY)
        assert await store.read("s1", after_seq=2) == records(3, 5)
        assert await store.read("s1", after_seq=2, limit=2) == records(3, 4)
        assert await store.read("s1", limit=0) == []
        assert await store.read("s1", after_seq=5) == []

    async def test_sessions_do_not_see_each_others_records(
        self, store: Store, lease: Lease
    ) -> None:
        other = await store.create(a_summary("s2"), "owner-1", NOW_MS)
        await store.append(lease, records(1, 2), LAZY)
        await store.append(other, records(1, 1), LAZY)
        assert await store.read("s1") == records(1, 2)
        assert await store.read("s2") == records(1, 1)

    @pytest.mark.parametrize("first", [0, 1, 2, 4, 5])
    async def test_a_record_that_does_not_follow_the_head_is_refused_and_changes_nothing(
        self, store: Store, lease: Lease, first: int
    ) -> None:
        await store.append(lease, records(1, 2), BARRIER)
        with pytest.raises(ValueError, match="does not follow"):
            await store.append(lease, [a_record(first)], BARRIER, SummaryChange(title="no"))
        assert await store.read("s1") == records(1, 2)
        assert (await store.summary("s1")).title == "First title"

    async def test_a_gap_inside_an_append_refuses_all_of_it(
        self, store: Store, lease: Lease
    ) -> None:
        with pytest.raises(ValueError, match="does not follow"):
            await store.append(lease, [a_record(1), a_record(3)], BARRIER)
        assert await store.read("s1") == []

    async def test_appends_take_effect_in_the_order_of_the_calls(
        self, store: Store, lease: Lease
    ) -> None:
        calls = [
            store.append(lease, [record], BARRIER if record.seq % 7 == 0 else LAZY)
            for record in records(1, 50)
        ]
        await asyncio.gather(*calls)
        assert await store.read("s1") == records(1, 50)

    async def test_p1_what_was_acknowledged_is_seen_by_a_second_server(
        self, open_store: OpenStore, store: Store, lease: Lease
    ) -> None:
        second = await open_store()
        await store.append(lease, records(1, 1), LAZY)
        assert await second.read("s1") == records(1, 1)
        await store.append(lease, records(2, 2), BARRIER)
        assert await second.read("s1") == records(1, 2)
        await second.close()

    # -- summaries

    async def test_an_append_changes_the_summary_with_it(self, store: Store, lease: Lease) -> None:
        await store.append(
            lease,
            records(1, 2),
            BARRIER,
            SummaryChange(title="New", model="model-b", phase="streaming", archived=True),
        )
        assert await store.summary("s1") == attrs.evolve(
            a_summary(),
            title="New",
            model="model-b",
            phase="streaming",
            archived=True,
            head_seq=2,
            updated_at_ms=NOW_MS + 2,
        )

    async def test_what_a_change_does_not_name_stays(self, store: Store, lease: Lease) -> None:
        await store.append(lease, records(1, 1), LAZY, SummaryChange(phase="streaming"))
        await store.append(lease, [], LAZY, SummaryChange(archived=True))
        await store.append(lease, [], BARRIER, SummaryChange(archived=False))
        assert await store.summary("s1") == attrs.evolve(
            a_summary(), phase="streaming", head_seq=1, updated_at_ms=NOW_MS + 1
        )

    async def test_sessions_are_listed_with_the_last_changed_first(self, store: Store) -> None:
        for number in (1, 2, 3):
            await store.create(a_summary(f"s{number}", at_ms=number), "owner-1", NOW_MS)
        second = await store.acquire("s2", "owner-1", NOW_MS)
        await store.append(second, [a_record(1)], LAZY)
        assert [s.session_id for s in await store.summaries()] == ["s2", "s3", "s1"]

    async def test_a_session_is_created_empty_and_only_once(self, store: Store) -> None:
        await store.create(attrs.evolve(a_summary(), head_seq=9), "owner-1", NOW_MS)
        assert await store.summary("s1") == a_summary()
        with pytest.raises(ValueError, match="already"):
            await store.create(a_summary(), "owner-2", NOW_MS)
        assert await store.read("s1") == []

    async def test_p1_a_session_is_created_together_with_its_beginning(self, store: Store) -> None:
        lease = await store.create(a_summary(), "owner-1", NOW_MS, records(1, 2))
        assert await store.read("s1") == records(1, 2)
        assert (await store.summary("s1")).head_seq == 2
        await store.append(lease, records(3, 3), BARRIER)
        assert await store.read("s1") == records(1, 3)

    @pytest.mark.parametrize("beginning", [[a_record(2)], [a_record(1), a_record(3)]])
    async def test_a_session_that_begins_with_a_gap_is_not_created(
        self, store: Store, beginning: list[Record]
    ) -> None:
        with pytest.raises(ValueError, match=r"begins with record 1|does not follow"):
            await store.create(a_summary(), "owner-1", NOW_MS, beginning)
        assert await store.summaries() == []

    async def test_an_unknown_session_is_named(self, store: Store) -> None:
        calls = [
            store.read("nobody"),
            store.summary("nobody"),
            store.acquire("nobody", "owner-1", NOW_MS),
            store.append(Lease("nobody", "owner-1", 1), [a_record(1)], LAZY),
            store.delete(Lease("nobody", "owner-1", 1)),
        ]
        for call in calls:
            with pytest.raises(SessionUnknown, match="nobody"):
                await call

    # -- leases, killer D10

    async def test_d10_a_session_has_one_owner(self, store: Store, lease: Lease) -> None:
        with pytest.raises(SessionOwnedElsewhere) as caught:
            await store.acquire("s1", "owner-2", NOW_MS)
        assert (caught.value.session_id, caught.value.owner) == ("s1", "owner-1")
        assert caught.value.pid > 0
        await store.append(lease, records(1, 1), BARRIER)

    async def test_d10_a_released_session_is_free_and_its_old_lease_cannot_write(
        self, store: Store, lease: Lease
    ) -> None:
        await store.release(lease)
        with pytest.raises(LeaseLost):
            await store.append(lease, records(1, 1), BARRIER)
        taken = await store.acquire("s1", "owner-2", NOW_MS)
        assert taken.generation > lease.generation
        await store.append(taken, records(1, 1), BARRIER)

    async def test_d10_the_same_owner_may_acquire_again_and_fences_itself(
        self, store: Store, lease: Lease
    ) -> None:
        again = await store.acquire("s1", "owner-1", NOW_MS)
        assert again.generation > lease.generation
        with pytest.raises(LeaseLost):
            await store.append(lease, records(1, 1), BARRIER)
        await store.append(again, records(1, 1), BARRIER)

    async def test_d10_a_silent_owner_is_fenced_off_for_good(
        self, store: Store, lease: Lease
    ) -> None:
        later = NOW_MS + FIVE_MINUTES_MS + 1
        taken = await store.acquire("s1", "owner-2", later)
        assert await store.heartbeat([taken, lease], later) == [lease], "the owner is told"
        await store.release(lease)
        with pytest.raises(LeaseLost):
            await store.append(lease, records(1, 1), BARRIER)
        await store.append(taken, records(1, 1), BARRIER)

    async def test_d10_a_heartbeat_keeps_the_lease(self, store: Store, lease: Lease) -> None:
        later = NOW_MS + FIVE_MINUTES_MS + 1
        assert await store.heartbeat([lease], later) == []
        assert await store.heartbeat([], later) == []
        with pytest.raises(SessionOwnedElsewhere):
            await store.acquire("s1", "owner-2", later)

    async def test_d10_a_stale_owner_does_not_fail_its_neighbours(
        self, store: Store, lease: Lease
    ) -> None:
        other = await store.create(a_summary("s2"), "owner-1", NOW_MS)
        taken = await store.acquire("s1", "owner-1", NOW_MS)
        outcomes = await asyncio.gather(
            store.append(other, records(1, 1), BARRIER),
            store.append(lease, records(1, 1), BARRIER),
            store.append(taken, records(1, 1), BARRIER),
            store.append(other, records(3, 3), BARRIER),
            store.append(other, records(2, 2), BARRIER),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [
            type(None),
            LeaseLost,
            type(None),
            ValueError,
            type(None),
        ]
        assert await store.read("s1") == records(1, 1)
        assert await store.read("s2") == records(1, 2)

    # -- deletion

    async def test_deleting_removes_the_session_and_its_records(
        self, store: Store, lease: Lease
    ) -> None:
        other = await store.create(a_summary("s2"), "owner-1", NOW_MS)
        await store.append(lease, records(1, 3), BARRIER)
        await store.append(other, records(1, 3), BARRIER)
        await store.delete(lease)
        assert [s.session_id for s in await store.summaries()] == ["s2"]
        assert await store.read("s2") == records(1, 3)
        with pytest.raises(SessionUnknown):
            await store.read("s1")
        with pytest.raises(SessionUnknown):
            await store.append(lease, records(4, 4), BARRIER)

    async def test_a_lost_lease_cannot_delete(self, store: Store, lease: Lease) -> None:
        await store.acquire("s1", "owner-1", NOW_MS)
        with pytest.raises(LeaseLost):
            await store.delete(lease)
        assert await store.read("s1") == []

    async def test_a_session_created_anew_starts_empty_and_is_safe_from_old_leases(
        self, store: Store, lease: Lease
    ) -> None:
        await store.append(lease, records(1, 3), BARRIER)
        await store.delete(lease)
        anew = await store.create(a_summary(), "owner-1", NOW_MS)
        assert anew.generation > lease.generation
        assert await store.read("s1") == []
        with pytest.raises(LeaseLost):
            await store.append(lease, records(1, 1), BARRIER)

    # -- blobs

    async def test_a_blob_is_named_by_its_content(self, store: Store) -> None:
        content = bytes(range(256)) * 1000
        digest = await store.put_blob(content)
        assert digest == hashlib.sha256(content).hexdigest()
        assert await store.put_blob(content) == digest
        assert await store.get_blob(digest) == content
        assert await store.get_blob(await store.put_blob(b"")) == b""

    async def test_an_unknown_blob_is_a_key_error(self, store: Store) -> None:
        with pytest.raises(KeyError):
            await store.get_blob("0" * 64)

    async def test_a_dropped_blob_is_gone_and_the_others_stay(self, store: Store) -> None:
        dropped, other = await store.put_blob(b"one"), await store.put_blob(b"other")
        await store.drop_blobs([dropped, "0" * 64])
        with pytest.raises(KeyError):
            await store.get_blob(dropped)
        assert await store.get_blob(other) == b"other"

    async def test_blobs_outlive_the_session_that_brought_them(
        self, store: Store, lease: Lease
    ) -> None:
        digest = await store.put_blob(b"shared")
        await store.delete(lease)
        assert await store.get_blob(digest) == b"shared"

    # -- cancelling and closing

    async def test_a_cancelled_append_is_whole_or_absent_and_the_session_goes_on(
        self, store: Store, lease: Lease
    ) -> None:
        appending = asyncio.create_task(store.append(lease, records(1, 3), BARRIER))
        await asyncio.sleep(0)  # let the call begin
        appending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await appending
        await store.append(lease, [], LAZY)  # waits behind the cancelled one
        head = (await store.summary("s1")).head_seq
        assert head in (0, 3)
        await store.append(lease, records(head + 1, head + 1), BARRIER)
        assert await store.read("s1") == records(1, head + 1)

    async def test_closing_finishes_what_is_queued(self, open_store: OpenStore) -> None:
        store = await open_store()
        lease = await store.create(a_summary(), "owner-1", NOW_MS)
        appends = [
            asyncio.create_task(store.append(lease, [record], LAZY)) for record in records(1, 20)
        ]
        await asyncio.sleep(0)  # let the calls begin
        await asyncio.gather(store.close(), store.close())
        assert await asyncio.gather(*appends) == [None] * 20
        again = await open_store()
        assert await again.read("s1") == records(1, 20)
        await again.close()

    async def test_a_closed_store_says_so(self, open_store: OpenStore) -> None:
        store = await open_store()
        lease = await store.create(a_summary(), "owner-1", NOW_MS)
        await store.close()
        await store.close()
        for call in (store.append(lease, records(1, 1), BARRIER), store.read("s1")):
            with pytest.raises(StoreUnavailable, match="closed"):
                await call


@attrs.define
class Model:
    """What one session must hold: `sent` appends in order, `promised` records for certain."""

    lease: Lease
    sent: list[Record] = attrs.Factory(list)
    promised: int = 0


class JournalMachine(RuleBasedStateMachine):
    """Any interleaving of appends, cancellations, takeovers and restarts keeps P1.

    What is read of a session is a prefix of what was sent to it, ends between two appends, and
    holds all that was acknowledged.
    """

    sessions = Bundle("sessions")

    async def open(self) -> Store:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.models: dict[str, Model] = {}
        self.store = self.runner.run(self.open())

    def teardown(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()

    @initialize(target=sessions)
    def first_session(self) -> str:
        return self.create()

    @rule(target=sessions)
    def create(self) -> str:
        session_id = f"s{len(self.models)}"
        lease = self.runner.run(self.store.create(a_summary(session_id), "owner", NOW_MS))
        self.models[session_id] = Model(lease)
        return session_id

    @rule(
        burst=st.lists(
            st.tuples(sessions, st.integers(1, 3), st.sampled_from(Durability), st.booleans()),
            min_size=1,
            max_size=12,
        ),
        yields=st.integers(0, 3),
    )
    def append_concurrently(
        self, burst: list[tuple[str, int, Durability, bool]], yields: int
    ) -> None:
        self.runner.run(self._append_concurrently(burst, yields))

    async def _append_concurrently(
        self, burst: list[tuple[str, int, Durability, bool]], yields: int
    ) -> None:
        """Send all appends before awaiting any; cancel some after a few turns of the loop."""
        tasks = []
        for session_id, count, durability, _ in burst:
            model = self.models[session_id]
            head = len(model.sent)
            batch = records(head + 1, head + count)
            model.sent += batch
            tasks.append(asyncio.create_task(self.store.append(model.lease, batch, durability)))
        for _ in range(yields + 1):
            await asyncio.sleep(0)
        for task, (_, _, _, cancelled) in zip(tasks, burst, strict=True):
            if cancelled:
                task.cancel()
        ends = {session_id: self.models[session_id].promised for session_id, *_ in burst}
        for task, (session_id, count, _, _) in zip(tasks, burst, strict=True):
            ends[session_id] += count
            try:
                await task
            except asyncio.CancelledError:
                continue
            self.models[session_id].promised = ends[session_id]
        await self._settle_cancelled(set(ends))

    async def _settle_cancelled(self, session_ids: set[str]) -> None:
        """Learn how the cancelled ones ended: an empty append waits behind all of them."""
        for session_id in session_ids:
            model = self.models[session_id]
            await self.store.append(model.lease, [], LAZY)
            found = await self.store.read(session_id)
            assert found == model.sent[: len(found)]
            assert len(found) >= model.promised
            model.sent, model.promised = found, len(found)

    @rule(session_id=sessions)
    def take_over(self, session_id: str) -> None:
        model = self.models[session_id]
        stale = model.lease
        model.lease = self.runner.run(self.store.acquire(session_id, "owner", NOW_MS))
        batch = records(len(model.sent) + 1, len(model.sent) + 1)
        with pytest.raises(LeaseLost):
            self.runner.run(self.store.append(stale, batch, BARRIER))

    @rule()
    def restart(self) -> None:
        self.runner.run(self.store.close())
        self.store = self.runner.run(self.open())

    @invariant()
    def p1_every_session_holds_what_was_acknowledged(self) -> None:
        for session_id, model in self.models.items():
            assert self.runner.run(self.store.read(session_id)) == model.sent
            assert self.runner.run(self.store.summary(session_id)).head_seq == len(model.sent)
