"""Journals for tests of the fold to items: of a hostile world, and of any events in any order."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from holdfast.conversation.history import Block, text
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.failures import Failure, FailureKind
from session.harness import World


def of_a_hostile_world(seed: int, steps: int = 60) -> list[inp.Recorded]:
    """Return the journal of a session with faults, crashes, rewinds, repairs and model changes."""
    world = World(seed)
    for _ in range(steps):
        if world.random.random() < 0.08:
            world.give(inp.Note((_note(world),), at_rest="idle"))
        else:
            world.step()
    return world.journal


def _note(world: World) -> ev.AnyEvent:
    chance, state = world.random, world.state
    choices: list[ev.AnyEvent] = [
        ev.ModelSelected(model=chance.choice((None, "other"))),
        ev.EndpointSelected(endpoint=chance.choice(("", "b")), model="other", reason="user"),
    ]
    if world.accepted:
        choices.append(ev.HistoryRewound(prompt_id=chance.choice(sorted(world.accepted))))
    if state.compactions:
        choices.append(ev.CompactionUndone(compaction_id=state.compactions[-1].compaction_id))
    if state.undone:
        undone = state.undone[-1].compaction
        choices.append(ev.CompactionRedone(compaction_id=undone.compaction_id))
    return chance.choice(choices)


def of_any_events(seed: int, length: int = 80) -> list[inp.Recorded]:
    """Return a journal that no state machine would write: the fold must be total."""
    chance = random.Random(seed)
    return [
        inp.Recorded(seq, 1_000 + seq * chance.randint(-1, 9), _event(chance, seq))
        for seq in range(1, length + 1)
    ]


def _event(chance: random.Random, seq: int) -> ev.AnyEvent:
    few = str(chance.randint(1, 4))
    index = chance.randint(0, 2)
    words = chance.choice((f"words {seq} ", " ", "\n", f"é{seq}"))
    failure = Failure(kind=chance.choice(list(FailureKind)), message=words, request_id="req_1")
    evidence: dict[type[ev.Event], dict[str, Any]] = {
        ev.ModelSelected: {"model": few},
        ev.EndpointSelected: {
            "endpoint": chance.choice(("", few)),
            "model": chance.choice((None, few)),
            "reason": chance.choice(("user", "failover", "back", "returned", "begun")),
            "said": words,
        },
        ev.SessionRecovered: {"phase": chance.choice(("idle", "asking")), "generation": 2},
        ev.DiagnosisRecorded: {"verdict": "refused", "says": words, "advice": ""},
        ev.HistoryImported: {"source": "s", "format": chance.choice(("holdfast", "claude-code"))},
        ev.MessageImported: {
            "role": chance.choice(("user", "assistant", "system")),
            "content": ev.raw_blocks(_block(chance, seq) for _ in range(index)),
        },
        ev.HistoryRepaired: {"repair_id": few, "notes": (), "edits": ()},
        ev.RepairUndone: {"repair_id": few},
        ev.HistoryRewound: {"prompt_id": few},
        ev.PromptAccepted: {
            "prompt_id": chance.choice((few, str(seq))),
            "turn_id": few,
            "content": ev.raw_blocks((text(words),)),
        },
        ev.TurnStarted: {"turn_id": few, "prompt_id": few},
        ev.TurnEnded: {"turn_id": few, "reason": chance.choice(list(ev.TurnEnd))},
        ev.RequestStarted: {"turn_id": few, "attempt": 1, "model": "m"},
        ev.BlockStarted: {
            "index": index,
            "kind": chance.choice(("text", "thinking", "tool_use", "server_tool_use")),
            "name": "edit",
        },
        ev.BlockDelta: {
            "index": index,
            "kind": chance.choice(("text", "text", "thinking", "toolInput")),
            "text": words,
        },
        ev.BlockFinished: {"index": index, "block": msgspec.Raw(_block(chance, seq).raw.encode())},
        ev.ResponseFinished: {"message_id": "m", "stop_reason": chance.choice(("refusal", "x"))},
        ev.ResponseCut: {"cause": chance.choice(list(ev.CutCause))},
        ev.RequestFailed: {"turn_id": few, "attempt": index, "failure": failure, "age_ms": seq},
        ev.DurationCapLearned: {"after_ms": seq, "answer_tokens": index},
        ev.RetryScheduled: {"attempt": index, "retry_at_ms": seq, "reason": "network"},
        ev.TurnPaused: {"reason": failure.kind.value, "message": "m", "advice": "a"},
        ev.TurnResumed: {"by": "user"},
        ev.ToolAuthorised: {"tool_use_id": few, "by": "rule", "mutates": True},
        ev.QuestionAsked: {
            "question_id": few,
            "tool_use_id": few,
            "tool": "run",
            "title": "t",
            "detail": "",
            "pattern": "",
        },
        ev.QuestionAnswered: {"question_id": few, "answer": "allow"},
        ev.ToolStarted: {"tool_use_id": few, "name": "run", "mutates": True},
        ev.ToolFinished: {
            "tool_use_id": few,
            "outcome": chance.choice(list(ev.ToolOutcome)),
            "content": ev.raw_blocks((text("out " * chance.choice((1, 5_000))),)),
        },
        ev.CompactionStarted: {
            "compaction_id": few,
            "trigger": "auto",
            "cut_origin": "1",
            "tokens_before": seq,
        },
        ev.CompactionPrepared: {
            "compaction_id": few,
            "rung": chance.choice(list(ev.Rung)),
            "summary": "s",
            "tokens_after": 1,
        },
        ev.CompactionCommitted: {"compaction_id": few},
        ev.CompactionUndone: {"compaction_id": few},
        ev.CompactionRedone: {"compaction_id": few},
        ev.CompactionRecast: {"compaction_id": few, "reason": chance.choice(("model", "x"))},
        ev.CompactionMeasured: {"compaction_id": few, "tokens": seq},
        ev.CompactionEnded: {
            "compaction_id": few,
            "outcome": chance.choice(list(ev.CompactionEnd)),
            "detail": words,
        },
        ev.CompactionRungFailed: {
            "compaction_id": few,
            "rung": chance.choice(list(ev.Rung)),
            "attempt": index,
            "reason": "timeout",
        },
    }
    kind = chance.choice(list(evidence))
    made = kind(**evidence[kind])
    assert isinstance(made, ev.AnyEvent)
    return made


def _block(chance: random.Random, seq: int) -> Block:
    few = str(chance.randint(1, 4))
    return chance.choice(
        (
            text(f"said {seq}"),
            text("\n"),
            Block.of({"type": "thinking", "thinking": f"thought {seq}", "signature": "s"}),
            Block.of({"type": "redacted_thinking", "data": "x"}),
            Block.of({"type": "tool_use", "id": few, "name": "edit", "input": {"path": f"f{seq}"}}),
            Block.of({"type": "tool_result", "tool_use_id": few, "content": f"result {seq}"}),
            Block.of({"type": "server_tool_use", "id": few, "name": "web_search", "input": [seq]}),
            Block.of({"type": "web_search_tool_result", "tool_use_id": few, "content": []}),
            Block.of({"type": "image", "source": {"type": "base64", "media_type": "image/png"}}),
            Block.of({"type": "unheard_of", "text": f"strange {seq}"}),
        )
    )
