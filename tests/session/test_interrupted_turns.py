"""With the setting `continueInterrupted` "ask" no turn goes on by itself after a restart."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.state import INTERRUPTED, CallState, Phase
from session.harness import LIMITS, World

ASK = attrs.evolve(LIMITS, continue_interrupted=False)
ACTS = (inp.CallModel, inp.RunTool, inp.WakeAt, inp.Judge)


class AskingWorld(World):
    """After a crash nothing that acts may be wanted until a person does something."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, ASK)

    def crash(self) -> None:
        super().crash()
        if self.state.turn is not None:
            assert self.state.phase is Phase.PAUSED
            assert not [effect for effect in self.pending if isinstance(effect, ACTS)]


def in_phase(phase: Phase) -> AskingWorld:
    """Return a world whose turn is in this phase, by the same story for each."""
    for seed in range(4_000):
        world = AskingWorld(seed)
        world.submit()
        for _ in range(40):
            if world.state.phase is phase:
                return world
            world.act(world.random.choice(world.pending)) if world.pending else None
    raise AssertionError(f"no seed leads to {phase}")


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 100))
@settings(max_examples=120, deadline=None)
def test_P1_to_P7_hold_and_nothing_runs_by_itself_after_a_restart(seed: int, steps: int) -> None:
    world = AskingWorld(seed)
    for _ in range(steps):
        world.step()
    world.crash()
    world.settle()
    prompt_id = world.submit("Are you still there?")
    world.settle()
    assert prompt_id in world.state.prompt_origins


@pytest.mark.parametrize(
    "phase",
    [
        Phase.REQUESTING,
        Phase.STREAMING,
        Phase.RUNNING_TOOLS,
        Phase.ASKING,
        Phase.WAITING,
        Phase.COMPACTING,
    ],
)
def test_P7_an_interrupted_turn_says_why_it_waits_and_goes_on_when_it_is_resumed(
    phase: Phase,
) -> None:
    world = in_phase(phase)
    turn = world.state.turn
    assert turn is not None
    world.crash()
    assert world.state.pause is not None
    assert world.state.pause.reason == INTERRUPTED
    assert world.state.pause.advice == "Resume the turn to go on."
    world.give(inp.Tick())
    assert world.state.phase is Phase.PAUSED
    world.crash()
    world.give(inp.Resume())
    assert world.state.phase is not Phase.PAUSED
    world.settle()
    ends = [r.event for r in world.journal if isinstance(r.event, ev.TurnEnded)]
    assert [end.turn_id for end in ends].count(turn.turn_id) == 1


def test_a_started_call_is_looked_at_before_anybody_resumes() -> None:
    for seed in range(200):
        world = AskingWorld(seed)
        world.submit()
        for _ in range(40):
            if any(call.state is CallState.STARTED for call in world.state.calls.values()):
                break
            world.act(world.random.choice(world.pending)) if world.pending else None
        else:
            continue
        world.crash()
        while world.pending:
            world.act(world.pending[0])
        assert world.state.phase is Phase.PAUSED
        assert not [c for c in world.state.calls.values() if c.state is CallState.STARTED]
        return
    raise AssertionError("no seed starts a call")


def test_answering_a_question_of_an_interrupted_turn_resumes_it() -> None:
    world = in_phase(Phase.ASKING)
    world.crash()
    [question, *_] = world.state.questions
    world.give(inp.Answered(question, "allow"))
    assert world.state.phase in {Phase.RUNNING_TOOLS, Phase.ASKING}
    assert question not in world.state.questions


@pytest.mark.parametrize("phase", [Phase.ASKING, Phase.RUNNING_TOOLS])
def test_stop_and_the_next_prompt_settle_the_calls_of_an_interrupted_turn(phase: Phase) -> None:
    for end in (World.submit, lambda world: world.give(inp.Stop())):
        world = in_phase(phase)
        world.crash()
        end(world)  # The harness validates what is sent next.
        ends = [r.event for r in world.journal if isinstance(r.event, ev.TurnEnded)]
        assert len(ends) == 1


def test_a_history_with_open_calls_is_not_changed_under_them() -> None:
    world = in_phase(Phase.ASKING)
    world.crash()
    repaired = ev.HistoryRepaired(repair_id="r_1", notes=(), edits=())
    world.give(inp.Note((repaired,), at_rest="paused"))
    assert "r_1" not in world.state.repairs


def test_a_pause_that_only_a_person_can_end_keeps_its_reason() -> None:
    world = AskingWorld(1)
    world.submit()
    world.give(inp.Failed(Failure(kind=FailureKind.BILLING, message="no")))
    world.crash()
    assert world.state.pause is not None
    assert world.state.pause.reason == "billing"


def test_a_resume_for_one_reason_leaves_other_pauses_alone() -> None:
    world = AskingWorld(1)
    world.submit()
    world.crash()
    world.give(inp.Resume(paused_for="authentication"))
    assert world.state.phase is Phase.PAUSED
    world.give(inp.Resume(paused_for=INTERRUPTED))
    assert world.state.phase is Phase.REQUESTING
