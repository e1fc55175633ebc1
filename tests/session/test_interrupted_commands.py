"""P6, C10: what is told of a command that was running when the server died.

Law: the evidence decides the words; without any the outcome stays unknown; nothing runs again; and
what a call has left is removed when its result is recorded, not before.
"""

from __future__ import annotations

import msgspec
import pytest

from holdfast.conversation.history import Block
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.state import Phase
from session.harness import World


def evidence(found: str, exit_code: int | None = None, pid: int | None = 71) -> ev.CommandEvidence:
    return msgspec.convert(
        {"found": found, "pid": pid, "exitCode": exit_code}, ev.CommandEvidence, strict=True
    )


def running_command() -> World:
    """Return a session whose one call is a command that runs and leaves a trace."""
    world = World(seed=1)
    world.submit()
    block = Block.of({"type": "tool_use", "id": "t0", "name": "run", "input": {}})
    world.give(inp.Arrived((ev.BlockFinished(index=0, block=ev.raw_blocks((block,))[0]),)))
    world.give(inp.Completed("m", "tool_use", ev.Usage(input_tokens=5, output_tokens=5)))
    world.pending.clear()
    world.give(inp.Judged("t0", inp.Verdict("allow", "rule", mutates=True)))
    world.give(inp.Looked("t0", None, traced=True))
    return world


def after_a_crash() -> World:
    world = running_command()
    world.crash()
    return world


def finished(world: World) -> list[ev.ToolFinished]:
    return [r.event for r in world.journal if isinstance(r.event, ev.ToolFinished)]


def dropped(world: World) -> list[inp.Effect]:
    return [e for e in world.pending if isinstance(e, inp.DropTrace)]


def test_the_write_ahead_record_says_that_there_will_be_a_trace() -> None:
    world = running_command()
    started = [r.event for r in world.journal if isinstance(r.event, ev.ToolStarted)]
    assert [event.traced for event in started] == [True]


def test_after_a_crash_the_trace_is_looked_for_and_nothing_is_told_before() -> None:
    world = after_a_crash()
    assert [type(e) for e in world.pending] == [inp.LookForTrace]
    assert finished(world) == []


@pytest.mark.parametrize(
    ("found", "says", "outcome", "is_error"),
    [
        (evidence("ended", 3), "ended with exit status 3.", ev.ToolOutcome.FINISHED, True),
        (evidence("ended", 0), "ended with exit status 0.", ev.ToolOutcome.FINISHED, False),
        (evidence("ended", -9), "was ended by signal 9.", ev.ToolOutcome.FINISHED, True),
        (evidence("cut", -15), "stopped before its end", ev.ToolOutcome.UNKNOWN, True),
        (evidence("stopped"), "(process 71) and was stopped then", ev.ToolOutcome.UNKNOWN, True),
        (evidence("running"), "is still running (process 71)", ev.ToolOutcome.UNKNOWN, True),
        (evidence("vanished"), "left no exit status", ev.ToolOutcome.UNKNOWN, True),
        (
            evidence("nothing", pid=None),
            "left no trace. It may or may not have run",
            ev.ToolOutcome.UNKNOWN,
            True,
        ),
    ],
    ids=lambda value: value.found if isinstance(value, ev.CommandEvidence) else "",
)
def test_the_model_is_told_what_the_trace_shows(
    found: ev.CommandEvidence, says: str, outcome: ev.ToolOutcome, is_error: bool
) -> None:
    world = after_a_crash()
    world.give(inp.TraceFound("t0", found, "the last line\n"))
    (event,) = finished(world)
    assert (event.outcome, event.is_error, event.command) == (outcome, is_error, found)
    assert event.summary
    told = world.state.messages[-1].blocks[0].raw
    assert says in told
    assert "Its last output:]\\nthe last line" in told
    assert ("outcome unknown" in told) == (outcome is ev.ToolOutcome.UNKNOWN)
    assert world.state.phase is Phase.REQUESTING
    assert world.tool_runs == {"t0": 1}, "never run again"


def test_a_trace_that_cannot_be_read_leaves_the_outcome_unknown() -> None:
    world = after_a_crash()
    world.give(inp.TraceFound("t0", None))
    assert "outcome unknown" in world.state.messages[-1].blocks[0].raw
    assert finished(world)[0].command is None


def test_a_crash_while_the_trace_is_looked_at_costs_a_second_look() -> None:
    world = after_a_crash()
    world.crash()
    assert [type(e) for e in world.pending] == [inp.LookForTrace]


def test_a_trace_is_removed_with_the_result_and_not_before() -> None:
    world = after_a_crash()
    assert dropped(world) == []
    world.give(inp.TraceFound("t0", evidence("ended", 0)))
    assert dropped(world) == [inp.DropTrace("t0")]


def test_the_trace_of_an_ordinary_result_and_of_a_stop_is_removed_too() -> None:
    ran = running_command()
    ran.give(inp.Ran("t0", (Block.of({"type": "text", "text": "out"}),)))
    assert dropped(ran) == [inp.DropTrace("t0")]
    for stopped in (running_command(), after_a_crash()):
        stopped.give(inp.Stop())
        assert dropped(stopped) == [inp.DropTrace("t0")]


def test_what_is_found_of_a_call_that_was_stopped_meanwhile_changes_nothing() -> None:
    world = after_a_crash()
    world.give(inp.Stop())
    before = len(world.journal)
    world.give(inp.TraceFound("t0", evidence("ended", 0)))
    assert len(world.journal) == before


def test_records_from_before_there_were_traces_are_read_as_they_were() -> None:
    started = b'{"type":"toolStarted","toolUseId":"t","name":"run","mutates":true}'
    decoded = msgspec.json.decode(started, type=ev.ToolStarted)
    assert not decoded.traced
    assert msgspec.json.encode(decoded) == started
