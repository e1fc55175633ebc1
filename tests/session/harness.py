"""A seeded world around the pure state machine: it answers effects, fails, crashes and restarts.

What the machine asks for is done at once or later, in any order that a real world could choose; the
journal is the list of events. After each step the promises that can be seen from here are checked.
"""

from __future__ import annotations

import random

import attrs
import msgspec

from holdfast.conversation.history import Block, text
from holdfast.conversation.profile import DEFAULT, ON_DEMAND
from holdfast.conversation.rules import validate
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import refusals, view
from holdfast.session.bounds import Alternative
from holdfast.session.causes import Cause
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.fold import fold
from holdfast.session.ladder import Answer, Blind
from holdfast.session.lifecycle import advance
from holdfast.session.lifetimes import Lived
from holdfast.session.rungs import Sent
from holdfast.session.state import CallState, Phase, SessionState
from session.climbing import examined

LIMITS = inp.Limits(model="m", window_tokens=3_000, retry_budget_ms=60_000)


CALL_EFFECTS = (inp.Judge, inp.LookBefore, inp.LookAfter, inp.LookForTrace, inp.RunTool)
EVIDENCE = ev.FileEvidence(path="a.txt", sha256="0" * 64, size=3)

REQUESTS = (inp.CallModel, inp.Examine)
TELLING = (
    "Output blocked by content filtering policy",
    "max_tokens: 32000 > 8000, which is the maximum allowed number of output tokens for m",
    "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a "
    "different conversation.",
    "prompt is too long: 4000 tokens > 2900 maximum",
)

TAKING = DEFAULT.with_betas((ON_DEMAND,))
"""The grammar of a model that takes signed compactions."""

RUNG_REASONS = ("timeout", "tooLong", "network", "empty", "unsupported", "notSmaller")

LIVES = (
    Lived(),
    Lived(age_ms=60_000, accepted_ms=900, speaking_ms=50_000, tokens=2_000),
    Lived(age_ms=60_400, accepted_ms=900, speaking_ms=50_000, tokens=10),
    Lived(age_ms=90_000, accepted_ms=90_000),
)
"""How requests live: some die of the same age."""

LEFT = (
    None,
    ev.CommandEvidence(found="ended", pid=7, exit_code=0),
    ev.CommandEvidence(found="stopped", pid=7),
    ev.CommandEvidence(found="nothing"),
)


class World:
    """One session in a world that is ruled by a seed."""

    def __init__(self, seed: int, limits: inp.Limits = LIMITS) -> None:
        self.random = random.Random(seed)
        self.limits = limits
        self.state = SessionState()
        self.journal: list[inp.Recorded] = []
        self.now_ms = 1_000_000
        self.pending: list[inp.Effect] = []
        self.accepted: dict[str, str] = {}
        self.tool_runs: dict[str, int] = {}
        self.requests = 0
        self.counter = 0
        self.give(inp.Note((ev.SessionCreated(title="t", system="s"),)))

    # -- the machine -----------------------------------------------------------------------------

    def give(self, given: inp.Input) -> None:
        env = inp.Env("s_1", self.now_ms, self.random.random(), self._limits())
        step = advance(self.state, given, env)
        self.journal.extend(step.records)
        for effect in step.effects:
            self._take(effect)
        self.check()

    def _limits(self) -> inp.Limits:
        """Return the bounds of the next step, with the endpoint that a fail-over has left."""
        home = self.state.home
        if home is None:
            return self.limits
        return attrs.evolve(self.limits, home=Alternative(home.endpoint, "m", "Back again."))

    def _take(self, effect: inp.Effect) -> None:
        match effect:
            case inp.AbortModel():
                self.pending = [e for e in self.pending if not isinstance(e, REQUESTS)]
            case inp.WakeAt() | inp.Probe():
                self.pending = [e for e in self.pending if type(e) is not type(effect)]
                self.pending.append(effect)
            case inp.KillTools():
                self.pending = [e for e in self.pending if not isinstance(e, CALL_EFFECTS)]
            case inp.AbortCompaction():
                self.pending = [e for e in self.pending if not isinstance(e, inp.PrepareCompaction)]
            case inp.CallModel():
                self.pending = [e for e in self.pending if not isinstance(e, REQUESTS)]
                self.requests += 1
                problems = validate(view.messages(self.state), self.limits.profile)
                assert not problems, f"P2: a request that breaks {problems[0]} would be sent"
                self.pending.append(effect)
            case inp.RunTool():
                self.tool_runs[effect.tool_use_id] = self.tool_runs.get(effect.tool_use_id, 0) + 1
                assert self.tool_runs[effect.tool_use_id] == 1, "P6: a call runs at most once"
                self.pending.append(effect)
            case _:
                self.pending.append(effect)

    def crash(self) -> None:
        """Lose the process and, unless they were synced, the newest lazy events."""
        lost = 0
        while (
            lost < len(self.journal)
            and self.journal[-1 - lost].event.LAZY
            and self.random.random() < 0.5
        ):
            lost += 1
        if lost:
            del self.journal[-lost:]
        self.pending = []
        self.state = fold((r.seq, r.at_ms, r.event) for r in self.journal)
        self.give(inp.Restarted(generation=2))

    # -- what must hold --------------------------------------------------------------------------

    def check(self) -> None:
        refolded = fold((r.seq, r.at_ms, r.event) for r in self.journal)
        assert refolded == self.state, "the journal alone gives the state"
        assert self.state.ignored_events == 0, "the machine emits no event its phase forbids"
        assert [r.seq for r in self.journal] == list(range(1, len(self.journal) + 1))
        shown = set(self.state.prompt_origins) | {p.prompt_id for p in self.state.queue}
        assert set(self.accepted) <= shown, "P1: every accepted prompt is there"
        self._check_alive()

    def _check_alive(self) -> None:
        """P3, P7: whatever the phase, something is under way or a person is asked."""
        wanted = {type(effect) for effect in self.pending}
        match self.state.phase:
            case Phase.REQUESTING | Phase.STREAMING:
                assert inp.CallModel in wanted
            case Phase.REPAIRING:
                assert inp.Examine in wanted
            case Phase.WAITING:
                assert inp.WakeAt in wanted
            case Phase.COMPACTING:
                assert inp.PrepareCompaction in wanted
            case Phase.ASKING:
                assert self.state.questions
            case Phase.RUNNING_TOOLS:
                assert wanted & set(CALL_EFFECTS)
                for call in self.state.open_calls():
                    assert call.state in set(CallState) - {CallState.SETTLED}
            case Phase.PAUSED:
                assert self.state.pause is not None
                assert self.state.pause.advice
                timed = self.state.pause.retry_at_ms is not None
                assert not timed or wanted & {inp.WakeAt, inp.Probe}, "P7: the time is watched"
            case Phase.QUEUED:
                assert self.state.held
            case Phase.IDLE:
                assert not self.state.queue

    # -- what the world does ---------------------------------------------------------------------

    def fresh(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    def submit(self, words: str = "") -> str:
        prompt_id = self.fresh("p")
        self.give(inp.Submit(prompt_id, self.fresh("t"), (text(words or f"prompt {prompt_id}"),)))
        self.accepted[prompt_id] = words
        return prompt_id

    def act(self, effect: inp.Effect) -> None:
        """Answer one pending effect in one of the ways that a world could."""
        if effect not in self.pending:
            return
        match effect:
            case inp.CallModel():
                self._respond(effect)
            case inp.Examine():
                self.pending.remove(effect)
                outcome = examined(effect.case, self._answer)
                given = inp.Examined(effect.turn_id, effect.prefix_version, effect.case, outcome)
                self.give(given)
            case inp.Judge():
                self.pending.remove(effect)
                answer = self.random.choice(("allow", "allow", "ask", "deny"))
                verdict = inp.Verdict(answer, "rule", mutates=self.random.random() < 0.5)
                self.give(inp.Judged(effect.tool_use_id, verdict))
            case inp.LookBefore():
                self.pending.remove(effect)
                before = self.random.choice((None, EVIDENCE))
                traced = self.random.random() < 0.5
                self.give(inp.Looked(effect.tool_use_id, before, traced))
            case inp.LookAfter():
                self.pending.remove(effect)
                self.give(inp.LookedAgain(effect.tool_use_id, self.random.choice((None, EVIDENCE))))
            case inp.LookForTrace():
                self.pending.remove(effect)
                self.give(inp.TraceFound(effect.tool_use_id, self.random.choice(LEFT), "out"))
            case inp.RunTool():
                self.pending.remove(effect)
                bad = self.random.random() < 0.2
                output = text("out " * self.random.choice((1, 1, 1, 600, 2_400)))
                self.give(inp.Ran(effect.tool_use_id, (output,), is_error=bad))
            case inp.WakeAt():
                self.pending.remove(effect)
                self.now_ms = max(self.now_ms, effect.at_ms - self.random.choice((0, 0, 5)))
                self.give(inp.Tick())
            case inp.Probe():
                self.pending.remove(effect)
                kinds = (None, FailureKind.NETWORK, FailureKind.OVERLOADED)
                kind = self.random.choice(kinds)
                failure = None if kind is None else Failure(kind=kind, message="no way")
                self.give(inp.Probed(effect.since_ms, failure))
                self.give(inp.Probed(effect.since_ms - 1, None))  # That of a pause that is over.
            case inp.LookBack():
                self.pending.remove(effect)
                self.give(inp.LookedBack(effect.since_ms - 1, answers=True))  # Of another turn.
                self.give(inp.LookedBack(effect.since_ms, answers=self.random.random() < 0.5))
            case inp.PrepareCompaction():
                self._prepare(effect)
            case _:
                self.pending.remove(effect)

    def _prepare(self, effect: inp.PrepareCompaction) -> None:
        """Make a summary, or part of one, or fail to, as models do."""
        compaction_id, rung = effect.compaction_id, effect.first
        how = self.random.choice(("good", "good", "signed", "failed", "chunk", "huge"))
        if how == "failed" and rung is not ev.Rung.DIGEST:
            reason = self.random.choice(RUNG_REASONS)
            self.give(inp.RungFailed(compaction_id, rung, 1, reason, "", 9_000, 60_000))
            return
        if how == "chunk" and rung is not ev.Rung.DIGEST:
            key = self.random.choice(("k1", "k2"))
            self.give(inp.ChunkReady(compaction_id, key, 1, 2, "part", "m", ev.Usage()))
            return
        self.pending.remove(effect)
        block = None
        if how == "signed" and rung is ev.Rung.ON_DEMAND:
            block = signed("what happened before")
        words = "what happened before " * (2_000 if how == "huge" else 1)
        self.give(inp.CompactionReady(compaction_id, rung, words, "m", ev.Usage(), block))

    def _answer(self, sent: Sent) -> Answer:
        """Count like an API that dislikes something now and then, or cannot count."""
        assert sent.history, "nothing is asked about nothing"
        words = f"messages.{self.random.randint(0, len(sent.history))}: no"
        failure = Failure(kind=FailureKind.INVALID_REQUEST, message=words)
        return self.random.choice((None, None, refusals.read(failure), Blind.MISSING))

    def _respond(self, effect: inp.CallModel) -> None:
        kind = self.random.choice(("text", "tools", "fail", "partial", "cut", "odd"))
        if kind == "fail":
            self.pending.remove(effect)
            kinds = (*FailureKind, *[FailureKind.INVALID_REQUEST] * 4)
            words = self.random.choice(("no", "messages.0.content.0: no", "tools.0: no", *TELLING))
            self.give(inp.Failed(Failure(kind=self.random.choice(kinds), message=words)))
            return
        started = ev.ResponseStarted(message_id=self.fresh("m"), model="m", input_tokens=10)
        if not (self.state.response and self.state.response.started):
            self.give(inp.Arrived((started,)))
        words = "word " * self.random.randint(1, 60)
        self.give(inp.Arrived((ev.BlockDelta(index=0, kind="text", text=words),)))
        if kind == "partial":
            return  # More comes later, or a crash, or a stop.
        if kind == "cut":
            self.pending.remove(effect)
            cut = Failure(kind=FailureKind.CUT, message="cut", cause=Cause.CUT_STREAM)
            self.give(inp.Failed(cut, self.random.choice(LIVES)))
            return
        self._finish(effect, kind, words)

    def _finish(self, effect: inp.CallModel, kind: str, words: str) -> None:
        blocks = [text(words)]
        if self.random.random() < 0.3:
            blocks.insert(0, _thinking())
        if kind == "odd":
            blocks = self.random.choice(
                ([], [text("\n\n")], [_thinking()], [_thinking(), text("x")])
            )
        stop_reason = "end_turn"
        if kind == "tools":
            blocks += [self._tool_use() for _ in range(self.random.randint(1, 3))]
            stop_reason = self.random.choice(("tool_use", "tool_use", "max_tokens"))
        if kind == "odd":
            stop_reason = self.random.choice(("end_turn", "refusal", "max_tokens", "unheard_of"))
        finished = tuple(
            ev.BlockFinished(index=i, block=msgspec.Raw(block.raw.encode()))
            for i, block in enumerate(blocks)
        )
        self.give(inp.Arrived(finished))
        self.pending.remove(effect)
        usage = ev.Usage(input_tokens=self.random.randint(0, 2_900), output_tokens=20)
        lived = self.random.choice(LIVES)
        self.give(inp.Completed("m", stop_reason, usage, lived=lived))

    def _tool_use(self) -> Block:
        tool_use_id = self.random.choice((self.fresh("toolu_"), "toolu_same", "bad id!", ""))
        name = self.random.choice(("run", "edit", "x" * 300, "bad name!", ""))
        arguments = self.random.choice(({"a": 1}, {}, [], "text", None))
        return Block.of({"type": "tool_use", "id": tool_use_id, "name": name, "input": arguments})

    def step(self) -> None:
        """Let something happen."""
        choice = self.random.random()
        if choice < 0.08:
            self.submit()
        elif choice < 0.12:
            self.give(inp.Stop())
        elif choice < 0.16:
            self.give(inp.Resume(give_up=self.random.random() < 0.3))
        elif choice < 0.21:
            self.crash()
        elif choice < 0.23:
            self.give(inp.CompactAsked())
        elif choice < 0.24:
            self.give(inp.CancelCompaction())
        elif choice < 0.25:
            self.change_views()
        elif choice < 0.27:
            self.now_ms += self.random.choice((1, 1_000, 100_000, -5_000))
            self.give(inp.Tick())
        elif choice < 0.275:
            self.give(inp.Woke())
        elif choice < 0.34 and self.state.questions:
            question = self.random.choice(sorted(self.state.questions))
            answer = self.random.choice(("allow", "allowAlways", "deny"))
            self.give(inp.Answered(question, answer))
            self.give(inp.Answered(question, "allow"))
        elif self.pending:
            self.act(self.random.choice(self.pending))

    def change_views(self) -> None:
        """Undo or redo a compaction, or choose a model with or without signed compactions."""
        state = self.state
        events: list[ev.Event] = [ev.ModelSelected(model=self.random.choice(("m", "other")))]
        if state.in_force is not None:
            events.append(ev.CompactionUndone(compaction_id=state.in_force.compaction_id))
        if state.undone:
            found = state.undone[-1].compaction.compaction_id
            events.append(ev.CompactionRedone(compaction_id=found))
        event = self.random.choice(events)
        if isinstance(event, ev.ModelSelected):
            profile = self.random.choice((DEFAULT, TAKING))
            self.limits = attrs.evolve(self.limits, profile=profile)
        self.give(inp.Note((event,)))

    def settle(self) -> None:
        """Let the world be kind: everything is answered, allowed and finished."""
        for _ in range(400):
            if self.state.phase is Phase.IDLE:
                return
            if self.state.phase in {Phase.PAUSED, Phase.QUEUED}:
                self.give(inp.Resume())
            elif self.state.questions:
                self.give(inp.Answered(next(iter(self.state.questions)), "allow"))
            else:
                self._kind()
        raise AssertionError(f"P3: the session does not come to rest: {self.state.phase}")

    def _kind(self) -> None:
        order = (inp.CallModel, inp.Examine, *CALL_EFFECTS, inp.PrepareCompaction, inp.WakeAt)
        effect = next(e for kind in order for e in self.pending if isinstance(e, kind))
        match effect:
            case inp.CallModel():
                self._finish(effect, "text", "All is well. ")
            case inp.Judge():
                self.pending.remove(effect)
                self.give(inp.Judged(effect.tool_use_id, inp.Verdict("allow", "rule")))
            case inp.PrepareCompaction():
                self.pending.remove(effect)
                rung = ev.Rung.DIGEST
                self.give(inp.CompactionReady(effect.compaction_id, rung, "what happened before"))
            case _:
                self.act(effect)


def signed(content: str) -> Block:
    """Return the API's own compaction as a block."""
    return Block.of({"type": "compaction", "content": content, "signature": "c2ln"})


def _thinking() -> Block:
    return Block.of({"type": "thinking", "thinking": "", "signature": "c2ln"})
