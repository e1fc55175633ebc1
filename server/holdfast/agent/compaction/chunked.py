"""The rung of many small requests: each chunk of the history is summarised by itself.

Law: the summary of a chunk goes to the journal as soon as it is accepted, under the hash of all
that it depends on, and is never asked for again: not by a later try, not after a restart (B01).
What a gateway cuts or a window refuses is asked for in smaller chunks.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from holdfast.agent.compaction import asking, prompts
from holdfast.agent.compaction.run import ATTEMPTS_MAX, CHUNK_FAILURES_MAX, TIMED_OUT, TOO_MUCH, Run
from holdfast.agent.compaction.single import ITEM_LIMITS
from holdfast.conversation import chunks, plain_text, tokens
from holdfast.conversation.chunks import Chunk
from holdfast.model import port
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.compaction import acceptance
from holdfast.session.compaction.acceptance import Unacceptable
from holdfast.session.failures import Failure, FailureKind

PARALLEL_MAX: Final = 3
MERGES_MAX: Final = 3
"""How often notes may be joined into fewer before it is given up."""
_NOTE_SHARE: Final = 20
"""A note is about this much shorter than its chunk."""
_NOTE_TOKENS: Final = (200, 1_500)
VERBATIM_TOKENS: Final = 400
"""A part as short as this stands for itself: a note on it would hardly be shorter."""
_RATE: Final = frozenset({FailureKind.RATE_LIMITED, FailureKind.OVERLOADED})


@attrs.frozen
class Asked:
    """How notes are asked for: of parts of the transcript, or of notes that are to be joined."""

    name: str
    system: str
    wish: Callable[[str, str, str, str], str]
    step: str


_NOTES: Final = Asked("chunk", prompts.CHUNK, prompts.chunk, "summarising the parts")
_JOIN: Final = Asked("merge", prompts.MERGE, prompts.merge, "joining the summaries of the parts")


class _GivenUp(Exception):
    """Too many tries did not hold."""


async def summaries(run: Run) -> inp.CompactionReady | None:
    """Have the history summarised in chunks, and these joined until they are short enough."""
    task = run.task
    if run.failed(ev.Rung.CHUNKS) >= CHUNK_FAILURES_MAX:
        return None
    run.enter(ev.Rung.CHUNKS)
    began_ms = run.services.world.now_ms()
    items = await asyncio.to_thread(plain_text.render_each, task.messages, ITEM_LIMITS[-1])
    done = dict(task.chunks)
    pool = await asyncio.to_thread(_Pool, run, _NOTES, chunks.pieces_of(items), done)
    if pool.is_one and run.failed(ev.Rung.SUMMARY):
        return None  # The single summary was asked for the same.
    try:
        notes = await pool.notes()
        text = prompts.joined(notes, task.previous)
        for _ in range(MERGES_MAX):
            if tokens.estimate_text(text) <= task.summary_tokens:
                break
            parts = chunks.pieces_of(text.split(chunks.SEPARATOR))
            notes = await _Pool(run, _JOIN, parts, done).notes()
            text = notes[0] if len(notes) == 1 else prompts.joined(notes, "")
        acceptance.check(text, "end_turn", task.bar)
    except Unacceptable as bad:
        run.fell(bad.reason, bad.detail)
    except _GivenUp:
        pass
    else:
        elapsed_ms = run.services.world.now_ms() - began_ms
        return inp.CompactionReady(
            task.compaction_id, run.rung, text, task.model, elapsed_ms=elapsed_ms
        )
    return None


def key_of(asked: Asked, instructions: str, text: str) -> str:
    """Return the name of a chunk's summary: the hash of all that it depends on."""
    whole = "\0".join((prompts.VERSION, asked.name, instructions, text))
    return hashlib.sha256(whole.encode(errors="surrogatepass")).hexdigest()


class _Pool:
    """Summarises the chunks of one text, a few at a time.

    It begins with one request and widens with the first answer, so that an endpoint that answers
    none is not asked three times at once. A rate limit narrows it for good. `done` are summaries by
    key, and grows.
    """

    def __init__(self, run: Run, asked: Asked, pieces: Sequence[str], done: dict[str, str]) -> None:
        self._run = run
        self._asked = asked
        self._pieces = pieces
        self._done = done
        self._keys: dict[Chunk, str] = {}
        self._under_way: set[str] = set()
        self._tries: dict[str, int] = {}
        self._faults: dict[str, str] = {}
        self._width, self._width_max = 1, PARALLEL_MAX
        self._not_before_ms = 0
        self._cause: Failure | None = None
        self._chunks = self._partition()

    @property
    def is_one(self) -> bool:
        """Whether the text is a single chunk."""
        return len(self._chunks) == 1

    async def notes(self) -> list[str]:
        """Return the summaries of all chunks, in order. Raises `_GivenUp` and `NoModel`."""
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                for chunk in self._waiting()[: self._width - len(running)]:
                    self._under_way.add(self._key_of(chunk))
                    running.add(asyncio.create_task(self._one(chunk)))
                self._show()
                if not running:
                    break
                finished, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                failed = [error for task in finished if (error := task.exception()) is not None]
                if failed:
                    raise failed[0]
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return [self._note(chunk) or "" for chunk in self._chunks]

    def _note(self, chunk: Chunk) -> str | None:
        """Return what stands for a chunk; None while nothing does."""
        if chunk.tokens <= VERBATIM_TOKENS:
            return chunk.text.strip()
        return self._done.get(self._key_of(chunk))

    def _waiting(self) -> list[Chunk]:
        """Return the chunks that nobody has asked for yet, each text once."""
        open_ = (chunk for chunk in self._chunks if self._note(chunk) is None)
        found = {self._key_of(chunk): chunk for chunk in open_}
        return [chunk for key, chunk in found.items() if key not in self._under_way]

    async def _one(self, chunk: Chunk) -> None:
        """Ask for one chunk once; what did not hold is asked for again, whole or in parts."""
        key, world = self._key_of(chunk), self._run.services.world
        self._tries[key] = self._tries.get(key, 0) + 1
        await self._gate()
        request = self._request(chunk)
        size, began_ms, at = asking.input_tokens(request), world.now_ms(), self._run.endpoint
        try:
            run = self._run
            said = await asking.ask(request, run.model, run.hurry, lambda _tokens: None)
            acceptance.check(said.text, said.stop_reason, self._bar(chunk))
        except Unacceptable as bad:
            self._run.unacceptable(bad, size, world.now_ms() - began_ms)
            self._faults[key] = bad.reason
            self._under_way.discard(key)
            self._bound(key)
        except port.ModelFailed as failed:
            self._under_way.discard(key)
            elapsed_ms = world.now_ms() - began_ms
            moved = self._run.refused(failed.failure, at, size, elapsed_ms)
            self._failed(key, failed.failure, moved=moved)
        else:
            self._under_way.discard(key)
            self._accept(key, chunk, said, world.now_ms() - began_ms)

    def _accept(self, key: str, chunk: Chunk, said: asking.Said, elapsed_ms: int) -> None:
        self._done[key] = said.text
        self._width = self._width_max
        self._run.post(
            inp.ChunkReady(
                compaction_id=self._run.task.compaction_id,
                key=key,
                number=self._chunks.index(chunk) + 1 if chunk in self._chunks else 1,
                count=len(self._chunks),
                summary=said.text,
                model=self._run.task.model,
                usage=said.usage,
                elapsed_ms=elapsed_ms,
            )
        )

    def _failed(self, key: str, failure: Failure, *, moved: bool) -> None:
        """Take note of a failed request: smaller, elsewhere, later, or not at all any more."""
        run = self._run
        if failure.kind in _RATE and not moved:
            self._width = self._width_max = 1
        if failure.kind in TIMED_OUT | TOO_MUCH:
            before = self._chunks
            self._chunks = self._partition()
            if self._chunks != before:
                self._bound(None)
                return
        elif not (moved or run.may_repeat(failure)):
            raise _GivenUp
        self._bound(key)
        if moved:
            return
        wait_s = run.backoff_s(failure, self._tries[key])
        self._not_before_ms = run.services.world.now_ms() + int(wait_s * 1000)
        self._cause = failure

    def _bound(self, key: str | None) -> None:
        """Hold the number of tries to what is allowed: of one chunk, and in all."""
        if self._run.failed(ev.Rung.CHUNKS) >= CHUNK_FAILURES_MAX or (
            key is not None and self._tries[key] >= ATTEMPTS_MAX
        ):
            raise _GivenUp

    async def _gate(self) -> None:
        """Wait, visibly, until requests may be sent again."""
        left_ms = self._not_before_ms - self._run.services.world.now_ms()
        if left_ms > 0 and self._cause is not None:
            attempt = self._run.failed(ev.Rung.CHUNKS) + 1
            await self._run.wait(left_ms / 1000, self._cause, attempt, 0.0)
            self._not_before_ms = 0  # Its time has come, or somebody is in a hurry.

    def _request(self, chunk: Chunk) -> port.ModelRequest:
        task = self._run.task
        fault = self._faults.get(self._key_of(chunk), "")
        words = self._asked.wish(chunk.text, task.instructions, self._room(chunk), fault)
        return asking.plain_request(task, self._asked.system, words)

    def _room(self, chunk: Chunk) -> str:
        """Say how long the note may be: a share of its chunk, or of all that is joined."""
        if self._asked is _JOIN:
            return prompts.words_for(self._run.task.summary_tokens // max(len(self._chunks), 1))
        least, most = _NOTE_TOKENS
        return prompts.words_for(min(max(chunk.tokens // _NOTE_SHARE, least), most))

    def _bar(self, chunk: Chunk) -> acceptance.Bar:
        """Return what the note must pass; the one that stands for everything passes it all."""
        whole = self._asked is _JOIN and len(self._chunks) == 1
        return self._run.task.bar if whole else acceptance.chunk_bar(chunk.text)

    def _partition(self) -> list[Chunk]:
        size = chunks.size_under(self._run.input_tokens_max)
        kept = self._done.keys() | self._under_way
        return list(chunks.partition(self._pieces, size, lambda text: self._key(text) in kept))

    def _key_of(self, chunk: Chunk) -> str:
        key = self._keys.get(chunk)
        if key is None:
            key = self._keys[chunk] = self._key(chunk.text)
        return key

    def _key(self, text: str) -> str:
        return key_of(self._asked, self._run.task.instructions, text)

    def _show(self) -> None:
        done = sum(self._note(chunk) is not None for chunk in self._chunks)
        share = done / max(len(self._chunks), 1)
        self._run.progress.report(
            self._asked.step,
            0.8 * share if self._asked is _NOTES else 0.8 + 0.2 * share,
            chunk=done,
            chunks=len(self._chunks),
        )
