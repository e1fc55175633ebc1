"""The newest Claude Code goes on, after a repair, with sessions that it refuses or forgets a part
of as they stand (P4, P8, goal V8). Its requests are judged by the simulator.

Skipped, with the reason, only where npm does not have it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from e2e import claude_code
from e2e.claude_code import Resumed
from holdfast.simulator import Simulator
from holdfast.transcripts.findings import check
from holdfast.transcripts.repairing import repair
from transcripts.damages import DAMAGES, HARMLESS, WORDS, Damage, lines_of, story

pytestmark = pytest.mark.asyncio(loop_scope="module")

WINDOW = 1_000_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def program() -> Path:
    try:
        return await claude_code.install()
    except claude_code.NotThere as reason:
        pytest.skip(str(reason))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(window_tokens=WINDOW) as running:
        yield running


def forgotten(resumed: Resumed) -> frozenset[str]:
    return frozenset(word for word in WORDS if word not in resumed.words)


async def test_a_healthy_session_goes_on_with_every_word(
    program: Path, simulator: Simulator, tmp_path: Path
) -> None:
    resumed = await claude_code.resume(program, story().bytes(), tmp_path / "whole", simulator)
    assert resumed.went_on, resumed
    assert forgotten(resumed) == frozenset()


@pytest.mark.parametrize("harmless", HARMLESS, ids=lambda harmless: harmless.name)
async def test_P4_what_is_called_a_warning_is_mended_by_claude_code_itself(
    program: Path, simulator: Simulator, tmp_path: Path, harmless: Damage
) -> None:
    broken = harmless.strike(lines_of(story().bytes()))
    assert broken is not None
    resumed = await claude_code.resume(program, broken, tmp_path / "as-it-is", simulator)
    assert resumed.went_on, resumed
    assert forgotten(resumed) == harmless.gone


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
async def test_P4_P8_V8_a_session_that_claude_code_refuses_or_forgets_goes_on_after_a_repair(
    program: Path, simulator: Simulator, tmp_path: Path, damage: Damage
) -> None:
    broken = damage.strike(lines_of(story().bytes()))
    assert broken is not None
    path = tmp_path / "session.jsonl"
    path.write_bytes(broken)

    repair(path, in_place=True)
    assert check(path).healthy
    async with Simulator(window_tokens=WINDOW) as second:
        as_it_stands, resumed = await asyncio.gather(
            claude_code.resume(program, broken, tmp_path / "before", simulator),
            claude_code.resume(program, path.read_bytes(), tmp_path / "after", second),
        )
    assert not as_it_stands.went_on or forgotten(as_it_stands) > damage.gone, as_it_stands
    assert resumed.went_on, resumed
    assert forgotten(resumed) == damage.gone
    assert claude_code.QUESTION in resumed.words
