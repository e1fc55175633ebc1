"""The whole core in a hostile world, by seed (P1, P2, P3, P5, P6, P7), and proof that this finds
bugs. `make simulate` runs many more seeds.
"""

from __future__ import annotations

import pytest

from simulation.planted import BUGS, FOUND, Bug, planted
from simulation.simulation import simulate

SEEDS_MAX = 40
STEPS = 1_500


@pytest.mark.survives("V10")
@pytest.mark.parametrize("seed", range(10))
def test_P1_P2_P3_P5_P6_P7_hold_whatever_a_seed_brings(seed: int) -> None:
    outcome = simulate(seed, STEPS)
    assert outcome.broken is None, str(outcome)
    assert outcome.steps > STEPS


def test_a_seed_plays_the_same_run_every_time() -> None:
    first, second = simulate(3, STEPS), simulate(3, STEPS)
    assert first == second


def test_a_hostile_world_is_hostile() -> None:
    kinds = simulate(5, STEPS).kinds + simulate(6, STEPS).kinds + simulate(7, STEPS).kinds
    assert {"kill", "torn", "power", "lease", "fault", "tool", "refused", "close"} <= set(kinds)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug) -> None:
    with planted(bug):
        outcomes = (simulate(seed, STEPS) for seed in range(SEEDS_MAX))
        found = next((outcome for outcome in outcomes if outcome.broken), None)
    assert found is not None, f"{SEEDS_MAX} seeds do not find it"
    assert f"SEED={found.seed}" in str(found), "the seed is told"


@pytest.mark.parametrize(("seed", "bug"), FOUND, ids=lambda value: getattr(value, "name", ""))
def test_a_bug_that_was_found_once_is_found_again_by_its_seed(seed: int, bug: Bug) -> None:
    with planted(bug):
        assert simulate(seed, 2_000).broken is not None
    assert simulate(seed, 2_000).broken is None
