"""Sessions that go on and on: whatever compactions bring, every prompt is answered (P5, B04)."""

from __future__ import annotations

import attrs
import pytest

from holdfast.conversation.history import text
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session import view
from holdfast.session.compaction import budget
from holdfast.session.state import Phase
from session.compacting import LIMITS, about, answer, failed, ready, told
from session.harness import World


def lived(limits: inp.Limits, turns: int, size: int) -> World:
    """A world in which the API counts honestly and no model ever writes a summary."""
    world = World(1, limits)
    for number in range(turns):
        world.submit(f"question {number}")
        for _ in range(20):
            running = world.state.compaction
            if running is None:
                break
            if running.started.blocking:
                ready(world, "A digest of what was said.", rung=ev.Rung.DIGEST)
            else:
                failed(world, "timeout")
                break
        assert world.state.phase is Phase.REQUESTING, "P5: the prompt is answered"
        sent = view.messages(world.state)
        counted = budget.estimated_tokens(world.state, limits, sent)
        assert counted < limits.window_tokens, "nothing is sent that must be refused"
        answer(world, text(about(size)), tokens=counted + size)
    return world


@pytest.mark.survives("B01")
@pytest.mark.survives("B06")
def test_P5_with_every_summary_failing_for_ever_turns_go_on_through_several_needs() -> None:
    world = lived(LIMITS, turns=60, size=1_000)
    assert len(world.state.compactions) >= 3
    assert {c.rung for c in world.state.compactions} == {ev.Rung.DIGEST}


@pytest.mark.survives("B04")
@pytest.mark.parametrize("overhead", [14_000, 15_500, 17_000])
def test_B04_a_system_prompt_of_most_of_the_window_makes_no_storm_of_compactions(
    overhead: int,
) -> None:
    limits = attrs.evolve(LIMITS, overhead_tokens=overhead)
    world = lived(limits, turns=30, size=100)
    assert len(told(world, ev.CompactionStarted)) <= 10
