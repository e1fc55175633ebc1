"""`run`: bounded in time and output, and nothing of a command outlives its call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.tools.port import ToolContext
from holdfast.tools.processes import environment_without_secrets
from tools.toolkit import (
    call,
    context_with,
    eventually,
    fails,
    gone,
    is_alive,
    number_in,
    succeeds,
    text_of,
    tool,
)


@pytest.fixture(params=["bare", "kept"])
def context(request: pytest.FixtureRequest, workspace: Path, tmp_path: Path) -> ToolContext:
    """A command behaves the same whether a keeper stands between it and the server or not."""
    kept = request.param == "kept"
    return context_with(workspace, tmp_path / "commands" / "s" / "call" if kept else None)


def with_own_trace(context: ToolContext, number: int) -> ToolContext:
    """Return the context for one of several calls."""
    trace = context.trace
    return attrs.evolve(context, trace=trace and trace.with_name(f"call-{number}"))


GRANDCHILD = "(echo $$ >self; sleep 300 & echo $! >child; wait) "


async def test_a_command_returns_its_exit_code_and_its_output_in_order(
    context: ToolContext,
) -> None:
    output = await call(context, "run", command="echo one; echo two >&2; echo three; exit 3")
    ending, *printed = text_of(output).splitlines()
    assert output.is_error
    assert ending.startswith("[exit code 3 after ")
    assert printed == ["one", "two", "three"]


async def test_a_command_runs_in_the_workspace(context: ToolContext, workspace: Path) -> None:
    assert str(workspace.resolve()) in await succeeds(context, "run", command="pwd -P")


async def test_a_command_that_prints_nothing_says_so(context: ToolContext) -> None:
    assert (await succeeds(context, "run", command="true")).endswith("\n(no output)")


async def test_a_command_that_asks_gets_no_answer_instead_of_waiting(context: ToolContext) -> None:
    text = await fails(context, "run", command="read answer")
    assert "exit code 1" in text


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGTERM"])
async def test_a_command_killed_by_a_signal_names_it(context: ToolContext, name: str) -> None:
    number = int(signal.Signals[name])
    assert f"killed by {name}" in await fails(context, "run", command=f"kill -{number} $$")


async def test_a22_endless_output_keeps_head_and_tail(workspace: Path) -> None:
    context = ToolContext(workspace=workspace, output_bytes_max=2000)
    text = await succeeds(context, "run", command="seq 200000")
    lines = text.splitlines()
    assert lines[1] == "1"
    assert lines[-1] == "200000"
    assert "bytes left out" in text


@pytest.mark.parametrize("bytes_max", [1, 20, 60, 200, 300])
async def test_a22_even_a_tiny_limit_holds(workspace: Path, bytes_max: int) -> None:
    context = ToolContext(workspace=workspace, output_bytes_max=bytes_max)
    await call(context, "run", command="seq 1000")  # `call` checks the limit


async def test_a23_binary_output_becomes_clean_text(context: ToolContext) -> None:
    text = await succeeds(context, "run", command=r"printf 'a\0b\377\033[31mc\355\240\200'")
    assert text.endswith("a␀b\N{REPLACEMENT CHARACTER}c" + "\N{REPLACEMENT CHARACTER}" * 3)


async def test_p7_a_command_is_stopped_at_its_time_limit_with_all_it_started(
    context: ToolContext, workspace: Path
) -> None:
    text = await fails(context, "run", command=f"echo begun; {GRANDCHILD}", timeout_s=2)
    assert text.startswith("[stopped at its time limit of 2 s;")
    assert text.endswith("begun\n")
    grandchild = number_in(workspace / "child")
    assert grandchild is not None
    await gone(grandchild)


async def test_the_session_limit_cannot_be_raised_by_the_model(workspace: Path) -> None:
    context = ToolContext(workspace=workspace, run_timeout_s=0.2)
    assert "limit of 0.2 s" in await fails(context, "run", command="sleep 300", timeout_s=600)


async def start(
    context: ToolContext, workspace: Path, command: str
) -> tuple[asyncio.Task[object], int]:
    """Start a call and return it with its grandchild's process id, once there is one."""
    running: asyncio.Task[object] = asyncio.create_task(
        tool("run").run({"command": command}, context)
    )
    await eventually(lambda: number_in(workspace / "child") is not None)
    grandchild = number_in(workspace / "child")
    assert grandchild is not None
    assert is_alive(grandchild)
    return running, grandchild


async def test_p7_stop_kills_the_whole_group_and_passes_the_cancellation_on(
    context: ToolContext, workspace: Path
) -> None:
    running, grandchild = await start(context, workspace, GRANDCHILD)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await gone(grandchild)
    shell = number_in(workspace / "self")
    assert shell is not None
    await gone(shell)


async def test_p7_what_ignores_the_request_to_end_is_killed(
    context: ToolContext, workspace: Path
) -> None:
    running, grandchild = await start(context, workspace, f"trap '' TERM; {GRANDCHILD}")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await gone(grandchild)


async def test_p7_a_second_cancellation_kills_at_once(
    context: ToolContext, workspace: Path
) -> None:
    running, grandchild = await start(context, workspace, f"trap '' TERM; {GRANDCHILD}")
    running.cancel()
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await gone(grandchild)


async def test_p7_a_cancellation_at_any_step_of_the_start_leaves_no_process(
    context: ToolContext, workspace: Path
) -> None:
    for steps in range(12):
        (workspace / "child").unlink(missing_ok=True)
        place = with_own_trace(context, steps)
        running = asyncio.create_task(tool("run").run({"command": GRANDCHILD}, place))
        for _ in range(steps):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        grandchild = number_in(workspace / "child")
        if grandchild is not None:
            await gone(grandchild)


@pytest.mark.parametrize("redirection", ["", ">/dev/null 2>&1"])
async def test_p7_a_background_process_neither_hangs_nor_outlives_its_call(
    context: ToolContext, workspace: Path, redirection: str
) -> None:
    command = f"sleep 300 {redirection} & echo $! >child; echo started"
    text = await succeeds(context, "run", command=command)
    assert "the background processes it left were stopped" in text
    assert text.endswith("started\n")
    grandchild = number_in(workspace / "child")
    assert grandchild is not None
    await gone(grandchild)


async def test_p7_a_daemon_that_leaves_the_group_with_the_pipe_does_not_hang_the_call(
    context: ToolContext, workspace: Path
) -> None:
    text = await succeeds(context, "run", command="setsid sleep 300 & echo $! >child; echo started")
    assert text.endswith("started\n")
    daemon = number_in(workspace / "child")
    assert daemon is not None
    with contextlib.suppress(ProcessLookupError):
        os.kill(daemon, signal.SIGKILL)  # out of the call's reach, so the test ends it


async def test_p11_a_command_sees_no_keys(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret-1")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "sk-secret-2")
    monkeypatch.setenv("HOLDFAST_STORE", "postgresql://user:sk-secret-3@host/db")
    monkeypatch.setenv("ORDINARY", "kept")
    text = await succeeds(context, "run", command="env")
    assert "sk-secret" not in text
    assert "ORDINARY=kept" in text


@given(st.dictionaries(st.text(alphabet="HOLDFASThx_KEY", max_size=14), st.text()))
def test_p11_no_variable_of_ours_is_passed_on(environment: dict[str, str]) -> None:
    environment["anthropic_api_key"] = "secret"
    passed = environment_without_secrets(environment)
    assert not any(name.upper().startswith(("HOLDFAST_", "ANTHROPIC_API")) for name in passed)
    assert passed.items() <= environment.items()


async def test_many_commands_run_side_by_side(context: ToolContext) -> None:
    texts = await asyncio.gather(
        *(succeeds(with_own_trace(context, n), "run", command=f"echo {n}") for n in range(8))
    )
    assert [text.splitlines()[1] for text in texts] == [str(n) for n in range(8)]


async def test_a_command_that_cannot_start_is_explained(
    context: ToolContext, workspace: Path
) -> None:
    assert "NUL" in await fails(context, "run", command="echo \0")
    gone = attrs.evolve(context, workspace=workspace / "gone")
    assert "does not exist" in await fails(gone, "run", command="true")


def test_a_question_shows_the_whole_command_and_grants_only_that(context: ToolContext) -> None:
    question = tool("run").question({"command": "rm *.o\nmake"}, context)
    assert question.title == "Run `rm *.o make`?"
    assert question.detail == "rm *.o\nmake"
    assert question.pattern == "rm [*].o\nmake"
