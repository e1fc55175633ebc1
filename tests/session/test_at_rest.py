"""Changes of the history happen at rest, and whatever they leave is mended before it is sent."""

from __future__ import annotations

import msgspec

from holdfast.conversation.history import Block
from holdfast.conversation.rules import validate
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import preflight, view
from session.harness import World


def test_P2_a_rewind_is_not_taken_under_a_turn_that_began_meanwhile() -> None:
    world = World(1)
    prompt_id = world.submit()
    before = list(world.state.messages)
    rewound = ev.HistoryRewound(prompt_id=prompt_id)
    world.give(inp.Note((rewound,), at_rest="idle"))
    assert world.state.messages == before
    assert rewound not in [record.event for record in world.journal]
    world.give(inp.Stop())
    world.give(inp.Note((rewound,), at_rest="idle"))
    assert prompt_id not in world.state.visible_prompts()


def test_a_repair_is_taken_while_a_turn_is_paused_but_not_while_it_runs() -> None:
    world = World(1)
    world.submit()
    repaired = ev.HistoryRepaired(repair_id="r_1", notes=(), edits=())
    world.give(inp.Note((repaired,), at_rest="paused"))
    assert "r_1" not in world.state.repairs
    pause = ev.TurnPaused(reason="billing", message="m", advice="a")
    world.give(inp.Note((pause,)))
    world.give(inp.Note((repaired,), at_rest="paused"))
    assert "r_1" in world.state.repairs


def test_P2_a_view_that_a_repair_behind_a_compaction_broke_is_mended_before_it_is_sent() -> None:
    world = World(1)
    call = Block.of({"type": "tool_use", "id": "toolu_1", "name": "run", "input": {}})
    world.give(inp.Note((_said("user", "one"), _message("assistant", call), _said("user", "two"))))
    cut_origin = world.state.messages[-1].origin
    started = ev.CompactionStarted(
        compaction_id="c_1", trigger="manual", cut_origin=cut_origin, tokens_before=1
    )
    prepared = ev.CompactionPrepared(
        compaction_id="c_1", rung=ev.Rung.DIGEST, summary="What was.", tokens_after=1
    )
    world.give(inp.Note((started, prepared, ev.CompactionCommitted(compaction_id="c_1"))))
    event, _ = preflight.mend(world.state.messages, "r_1")
    assert event is not None
    world.give(inp.Note((event,), at_rest="idle"))
    assert preflight.check(view.messages(world.state)), "the result's call is hidden: R42"
    world.submit()  # The harness validates what is sent.
    assert not validate(view.messages(world.state))


def _said(role: str, words: str) -> ev.MessageImported:
    return _message(role, Block.of({"type": "text", "text": words}))


def _message(role: str, block: Block) -> ev.MessageImported:
    return ev.MessageImported(role=role, content=(msgspec.Raw(block.raw.encode()),))
