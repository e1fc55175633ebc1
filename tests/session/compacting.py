"""A world in which a person talks and compacts, for tests that play one story at a time."""

from __future__ import annotations

from typing import TypeVar

import attrs

from holdfast.conversation.history import Block, text
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import view
from session.harness import TAKING, World, signed

LIMITS = inp.Limits(model="m", window_tokens=20_000)
SIGNING = attrs.evolve(LIMITS, profile=TAKING)

Event = TypeVar("Event", bound=ev.Event)
Effect = TypeVar("Effect", bound=inp.Effect)

THINKING = Block.of({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"})


def about(tokens: int, word: str = "kelp") -> str:
    """Return words of about so many estimated tokens."""
    return f"{word} " * (tokens * 35 // 10 // (len(word) + 1))


def told(world: World, kind: type[Event]) -> list[Event]:
    return [r.event for r in world.journal if isinstance(r.event, kind)]


def wanted(world: World, kind: type[Effect]) -> list[Effect]:
    return [effect for effect in world.pending if isinstance(effect, kind)]


def done(world: World, kind: type[inp.Effect]) -> None:
    """Take the effects of a kind as carried out."""
    world.pending = [effect for effect in world.pending if not isinstance(effect, kind)]


def shown(world: World) -> str:
    return "\n".join(b.raw for m in view.messages(world.state) for b in m.blocks)


def answer(world: World, *blocks: Block, tokens: int = 0, stop: str = "end_turn") -> None:
    """Let the model answer; `tokens` is what the API says was in the window."""
    assert wanted(world, inp.CallModel), "nothing was asked"
    said = blocks or (text("Aye."),)
    world.give(
        inp.Arrived(
            tuple(
                ev.BlockFinished(index=i, block=ev.raw_blocks((block,))[0])
                for i, block in enumerate(said)
            )
        )
    )
    done(world, inp.CallModel)
    usage = ev.Usage(input_tokens=tokens - 1, output_tokens=1) if tokens else ev.Usage()
    world.give(inp.Completed("msg", stop, usage))


def exchange(world: World, prompt: str = "", said: str = "Aye.", tokens: int = 0) -> None:
    """A prompt and its answer."""
    world.submit(prompt)
    answer(world, text(said), tokens=tokens)


def call(world: World, *names: str, tokens: int = 0) -> list[str]:
    """Let the model call tools, allow them all, and return their ids."""
    ids = [world.fresh("toolu_") for _ in names]
    blocks = [
        Block.of({"type": "tool_use", "id": i, "name": name, "input": {"path": f"{name}.txt"}})
        for i, name in zip(ids, names, strict=True)
    ]
    answer(world, *blocks, tokens=tokens, stop="tool_use")
    for judge in wanted(world, inp.Judge):
        world.pending.remove(judge)
        world.give(inp.Judged(judge.tool_use_id, inp.Verdict("allow", "rule", mutates=False)))
    return ids


def result(world: World, tool_use_id: str, output: str) -> None:
    world.pending = [
        e
        for e in world.pending
        if not (isinstance(e, inp.RunTool) and e.tool_use_id == tool_use_id)
    ]
    world.give(inp.Ran(tool_use_id, (text(output),)))


def ready(
    world: World, summary: str = "They spoke of kelp.", *, rung: ev.Rung = ev.Rung.SUMMARY
) -> None:
    """Let the compactor bring a summary; for `onDemand` a signed one."""
    running = world.state.compaction
    assert running is not None, "no compaction is under way"
    done(world, inp.PrepareCompaction)
    block = signed(summary) if rung is ev.Rung.ON_DEMAND else None
    given = inp.CompactionReady(running.started.compaction_id, rung, summary, "m", block=block)
    world.give(given)


def failed(world: World, reason: str, *, rung: ev.Rung = ev.Rung.SUMMARY, size: int = 0) -> None:
    running = world.state.compaction
    assert running is not None, "no compaction is under way"
    found = running.started.compaction_id
    world.give(inp.RungFailed(found, rung, 1, reason, "", size, 60_000))


def talked(limits: inp.Limits = LIMITS, times: int = 6, size: int = 1_000) -> World:
    """A world after some exchanges of about `size` tokens each."""
    world = World(1, limits)
    for number in range(times):
        exchange(world, f"question {number}", about(size))
    return world


def compacted(limits: inp.Limits = LIMITS, *, rung: ev.Rung = ev.Rung.SUMMARY) -> World:
    """A world after some exchanges and one manual compaction."""
    world = talked(limits)
    world.give(inp.CompactAsked())
    ready(world, rung=rung)
    assert [c.rung for c in world.state.compactions] == [rung]
    return world
