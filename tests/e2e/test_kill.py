"""kill -9 of the real server process at seeded points under load (P1, P2, P3, P6, P9).

Law and oracles are those of `crashes`; `make crashes POINTS=1000` plays as many as one likes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.crashes import chain
from e2e.story import Lost, Story, table

POINTS = 30
SEEDS = (1, 2, 3)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.survives("A01", "C10", "D24", "D27", "V6")
async def test_P1_P6_nothing_shown_is_lost_and_nothing_runs_twice_whenever_the_server_is_killed(
    seed: int, tmp_path: Path
) -> None:
    points = POINTS // len(SEEDS)
    tally = await chain(seed, tmp_path, points)
    assert tally.failures == []
    assert tally.points == points
    assert {outcome for _, outcome in tally.table} == {"recovered"}, table(tally)


PROMPT = {"type": "promptAccepted", "promptId": "p", "turnId": "t"}
START = {"type": "toolStarted", "toolUseId": "c"}


@pytest.mark.parametrize(
    ("shown", "acknowledged", "journal"),
    [
        ({2: PROMPT}, (), {2: {**PROMPT, "turnId": "other"}}),
        ({3: START}, (), {2: PROMPT}),
        ({}, ("p",), {2: START}),
        ({}, (), {2: START, 3: START}),
        ({}, (), {2: PROMPT, 4: START}),
    ],
    ids=["shown otherwise", "shown and gone", "prompt gone", "started twice", "gap"],
)
def test_the_oracle_sees_what_is_lost(
    shown: dict[int, dict[str, str]],
    acknowledged: tuple[str, ...],
    journal: dict[int, dict[str, str]],
    tmp_path: Path,
) -> None:
    story = Story("s", tmp_path, head=1, shown=dict(shown), acknowledged=set(acknowledged))
    with pytest.raises(Lost):
        story.compare(journal, max(journal))
