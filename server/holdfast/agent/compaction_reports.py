"""What became of a session's compactions: a fold of their own events, for people.

Law: everything that is told is in the journal (P12): each try with its reason, each size with
where it comes from. Nothing here decides; what is in force is what the session's state says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import attrs

from holdfast.agent import compaction_words as words
from holdfast.agent.api import (
    ChunkCount,
    CompactionAttempt,
    CompactionReport,
    CompactionReports,
    CompactionText,
)
from holdfast.agent.errors import UnknownCompaction
from holdfast.agent.recall import SessionPast
from holdfast.conversation.clipping import clip
from holdfast.journal import codec
from holdfast.journal.store import Store
from holdfast.session import events as ev
from holdfast.session import view
from holdfast.session.origins import index_of
from holdfast.session.state import Compaction, SessionState

TEXT_BYTES_MAX: Final = 4_000_000
"""What an editor can be asked to show; the whole history is in `holdfast.session.export`."""
_PAGE: Final = 2_000
_BY_A_MODEL: Final = frozenset({ev.Rung.ON_DEMAND, ev.Rung.SUMMARY, ev.Rung.CHUNKS})


@attrs.define
class Story:
    """One compaction as its events tell it. `previous` is the one in force when it began."""

    started: ev.CompactionStarted
    started_at_ms: int
    previous: str | None
    prepared: ev.CompactionPrepared | None = None
    attempts: list[ev.CompactionRungFailed] = attrs.Factory(list)
    chunks: dict[int, int] = attrs.Factory(dict)
    committed: bool = False
    ended: ev.CompactionEnded | None = None
    recast: ev.CompactionRecast | None = None
    measured: int | None = None
    over_at_ms: int | None = None


class Stories:
    """The fold. `of` are the compactions in the order in which they began."""

    def __init__(self) -> None:
        self.of: dict[str, Story] = {}
        self._in_force: list[str] = []

    def take(self, event: ev.Event, at_ms: int) -> None:
        """Take one event in; those of other things change nothing."""
        if isinstance(event, ev.CompactionStarted):
            previous = self._in_force[-1] if self._in_force else None
            self.of[event.compaction_id] = Story(event, at_ms, previous)
            return
        handler = _HANDLERS.get(type(event))
        if handler is None:
            return
        story = self.of.get(getattr(event, "compaction_id", ""))
        if story is not None:
            handler(self, story, event, at_ms)

    def failed(self, story: Story, event: ev.CompactionRungFailed, _at: int) -> None:
        """A try did not hold."""
        story.attempts.append(event)

    def summarised(self, story: Story, event: ev.CompactionChunkSummarised, _at: int) -> None:
        """A chunk is done; a later try in other sizes begins to count anew."""
        if story.chunks and event.count not in story.chunks.values():
            story.chunks.clear()
        story.chunks[event.number] = event.count

    def prepared(self, story: Story, event: ev.CompactionPrepared, at_ms: int) -> None:
        """There is a summary."""
        story.prepared, story.over_at_ms = event, at_ms

    def committed(self, story: Story, event: ev.CompactionCommitted, at_ms: int) -> None:
        """It came into force."""
        story.committed, story.over_at_ms = True, at_ms
        self._in_force.append(event.compaction_id)

    def ended(self, story: Story, event: ev.CompactionEnded, at_ms: int) -> None:
        """It never will."""
        story.ended, story.over_at_ms = event, at_ms

    def undone(self, _story: Story, event: ev.CompactionUndone, _at: int) -> None:
        """It was taken back."""
        self._in_force = [known for known in self._in_force if known != event.compaction_id]

    def redone(self, _story: Story, event: ev.CompactionRedone, _at: int) -> None:
        """It was put back."""
        self._in_force.append(event.compaction_id)

    def recast(self, story: Story, event: ev.CompactionRecast, _at: int) -> None:
        """Its text stands in for its block."""
        story.recast = event

    def measured(self, story: Story, event: ev.CompactionMeasured, _at: int) -> None:
        """The API has counted what came of it."""
        story.measured = event.tokens


_HANDLERS: Final[Mapping[type[ev.Event], Callable[[Stories, Story, Any, int], None]]] = {
    ev.CompactionRungFailed: Stories.failed,
    ev.CompactionChunkSummarised: Stories.summarised,
    ev.CompactionPrepared: Stories.prepared,
    ev.CompactionCommitted: Stories.committed,
    ev.CompactionEnded: Stories.ended,
    ev.CompactionUndone: Stories.undone,
    ev.CompactionRedone: Stories.redone,
    ev.CompactionRecast: Stories.recast,
    ev.CompactionMeasured: Stories.measured,
}
_TYPES: Final = frozenset(
    name
    for name, kind in ev.EVENT_TYPES.items()
    if kind is ev.CompactionStarted or kind in _HANDLERS
)


async def of_session(store: Store, session_id: str) -> Stories:
    """Fold a session's journal page by page. Raises what `Store.read` raises."""
    stories, seq = Stories(), 0
    while page := await store.read(session_id, seq, _PAGE):
        for record in page:
            if record.type in _TYPES:  # The rest, nearly all of it, need not be decoded.
                recorded = codec.decode(record)
                stories.take(recorded.event, recorded.at_ms)
        seq = page[-1].seq
    return stories


# -- reports -------------------------------------------------------------------------------------


def reports(stories: Stories, state: SessionState) -> CompactionReports:
    """Return what became of each compaction."""
    in_force = {known.compaction_id for known in state.compactions}
    found = tuple(_report(story, in_force) for story in stories.of.values())
    return CompactionReports(found, _in_words(state.title, found))


def _report(story: Story, in_force: set[str]) -> CompactionReport:
    started, prepared = story.started, story.prepared
    outcome, detail = "", ""
    if story.ended is not None:
        outcome, detail = story.ended.outcome.value, story.ended.detail
    elif story.recast is not None:
        outcome, detail = "recast", story.recast.detail or story.recast.reason
    rung = prepared.rung if prepared is not None else _last_tried(story)
    over = story.over_at_ms
    found = CompactionReport(
        compaction_id=started.compaction_id,
        trigger=started.trigger,
        state=_state(story, in_force),
        started_at_ms=story.started_at_ms,
        tokens_before=started.tokens_before,
        rung=rung.value if rung is not None else None,
        duration_ms=None if over is None else max(0, over - story.started_at_ms),
        tokens_after=prepared.tokens_after if prepared is not None else None,
        tokens_measured=story.measured,
        model=(prepared.model or None) if prepared is not None else None,
        attempts=tuple(
            CompactionAttempt(f.rung.value, f.attempt, f.reason, f.detail, f.elapsed_ms)
            for f in story.attempts
        ),
        chunks=_chunks(story),
        outcome=outcome,
        detail=detail,
    )
    return attrs.evolve(
        found, label=words.label(found), sizes=words.sizes(found), reasons=words.reasons(found)
    )


def _state(story: Story, in_force: set[str]) -> Literal["running", "committed", "undone", "ended"]:
    if story.committed:
        return "committed" if story.started.compaction_id in in_force else "undone"
    return "running" if story.ended is None else "ended"


def _last_tried(story: Story) -> ev.Rung | None:
    if story.chunks:
        return ev.Rung.CHUNKS
    return story.attempts[-1].rung if story.attempts else None


def _chunks(story: Story) -> ChunkCount | None:
    if not story.chunks:
        return None
    return ChunkCount(len(story.chunks), max(story.chunks.values()))


# -- for people ----------------------------------------------------------------------------------


def _in_words(title: str, found: Sequence[CompactionReport]) -> str:
    lines = [f"# Compactions of “{title}”", ""]
    if not found:
        lines += ["There was none yet.", ""]
    for report in reversed(found):
        lines += [*_section(report), ""]
    return "\n".join(lines)


def _section(report: CompactionReport) -> list[str]:
    moment = datetime.fromtimestamp(report.started_at_ms / 1000, UTC)
    when = moment.isoformat(" ", timespec="seconds").replace("+00:00", " UTC")
    made = words.MADE.get(report.rung or "", "nothing yet")
    lines = [f"## {when} · {made} · {report.state}", ""]
    after = "" if report.tokens_after is None else f", then about {report.tokens_after:,}"
    lines.append(f"- Size: about {report.tokens_before:,} tokens before{after}.")
    if report.tokens_measured is not None:
        lines.append(f"- Counted by the API afterwards: {report.tokens_measured:,} tokens.")
    lines.append(f"- Begun: {_TRIGGERS.get(report.trigger, report.trigger)}.")
    if report.duration_ms is not None:
        lines.append(f"- Took {report.duration_ms / 1000:.1f} s.")
    if report.model is not None:
        lines.append(f"- Written by {report.model}.")
    if report.chunks is not None:
        lines.append(f"- Chunks: {report.chunks.done} of {report.chunks.count}.")
    if report.outcome or report.detail:
        outcome = ": ".join(filter(None, (report.outcome, report.detail)))
        lines.append(f"- Outcome: {outcome}")
    for tried in report.attempts:
        detail = f" ({_one_line(tried.detail)})" if tried.detail else ""
        waited = f" after {tried.elapsed_ms / 1000:.1f} s" if tried.elapsed_ms else ""
        made = words.MADE.get(tried.rung, tried.rung)
        lines.append(f"- Not held: {made}, try {tried.attempt}{waited}: {tried.reason}{detail}")
    return [*lines, f"- Id: `{report.compaction_id}`"]


_TRIGGERS: Final = {
    "auto": "by itself, as the window filled",
    "manual": "by a person",
    "overflow": "because the API refused the request as too long",
}


def _one_line(said: str) -> str:
    return clip(" ".join(said.split()), 400)


# -- what was compacted --------------------------------------------------------------------------


def text(
    stories: Stories, state: SessionState, compaction_id: str, part: Literal["covered", "summary"]
) -> CompactionText:
    """Return what a compaction covers, or what stands for it. Raises `UnknownCompaction`.

    Blocking for long histories.
    """
    story = stories.of.get(compaction_id)
    if story is None:
        raise UnknownCompaction(f"The session has no compaction {compaction_id!r}.")
    if part == "summary":
        title, lines = f"Summary of {state.title}", _summary(story, state)
    else:
        title = f"Compacted part of {state.title}"
        lines = _covered(story, _base(stories, story), state)
    return CompactionText(title, clip("\n\n".join([f"# {title}", *lines]) + "\n", TEXT_BYTES_MAX))


def _summary(story: Story, state: SessionState) -> list[str]:
    prepared = story.prepared
    if prepared is None:
        return ["There is no summary: the compaction did not get that far."]
    known = _known(state, prepared.compaction_id)
    summary = known.summary if known is not None else prepared.summary
    lines = [summary] if summary.strip() else []
    if prepared.block is not None and prepared.facts:
        lines.append(prepared.facts)
    if prepared.cleared:
        count = len(prepared.cleared)
        lines.append(
            f"{count} {'output is' if count == 1 else 'outputs are'} shown to the model shortened."
        )
    return lines or ["Nothing stands for it."]


def _base(stories: Stories, story: Story) -> str | None:
    """Return the newest compaction below that a model wrote: what others made is made anew."""
    name = story.previous
    while name is not None:
        below = stories.of[name]
        if below.prepared is not None and below.prepared.rung in _BY_A_MODEL:
            return name
        name = below.previous
    return None


def _covered(story: Story, base: str | None, state: SessionState) -> list[str]:
    messages = state.messages
    cut = index_of(messages, story.started.cut_origin)
    if story.started.cut_origin and cut is None:
        raise UnknownCompaction("What this compaction covers was rewound.")
    cleared = dict(story.prepared.cleared) if story.prepared is not None else {}
    if cleared:
        return _outputs(SessionPast(messages, whole=True), cleared)
    previous = _known(state, base or "")
    start = view.cut_index(state, previous) if previous is not None else 0
    lines = []
    if previous is not None and previous.summary.strip():
        lines.append(f"## Summary before\n\n{previous.summary}")
    return [*lines, *_entries(SessionPast(messages[start:cut], whole=True))]


def _known(state: SessionState, compaction_id: str) -> Compaction | None:
    known = (*state.compactions, *(undone.compaction for undone in state.undone))
    return next((found for found in known if found.compaction_id == compaction_id), None)


def _entries(past: SessionPast) -> list[str]:
    lines: list[str] = []
    for number in past.digests:
        parts = past.parts(number)
        if parts:
            lines.append(f"## Entry {number} · {past.who(number)}")
            lines += [said if kind in _PROSE else _fenced(said) for kind, said in parts]
    return lines


def _outputs(past: SessionPast, cleared: Mapping[str, int]) -> list[str]:
    """Return the results that the view shows shortened, in full."""
    lines: list[str] = []
    for number, tool_use_id, said in past.results():
        if tool_use_id in cleared:
            kept = cleared[tool_use_id]
            lines += [f"## Entry {number} · result, {kept:,} bytes of it shown", _fenced(said)]
    return lines


_PROSE: Final = frozenset({"prompt", "answer"})


def _fenced(said: str) -> str:
    """Return words as they are, in a fence that they do not hold."""
    longest = max((len(run) for run in re.findall(r"`+", said)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{said}\n{fence}"
