"""The whole core in a hostile world, by seed (P1, P2, P3, P5, P6, P7), and proof that this finds
bugs. `make simulate` runs many more seeds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.planted import BUGS, FOUND, WAYS, Bug, planted
from simulation.simulation import is_wordy, simulate

SEEDS_MAX = 100
STEPS = 1_500
ONCE_BROKEN = (12, 19, 31, 50, 140, 687)
"""Seeds that found bugs in the core."""
TESTS = Path(__file__).parents[1]


@pytest.mark.survives("V10")
@pytest.mark.parametrize("seed", [*range(10), *ONCE_BROKEN])
def test_P1_P2_P3_P5_P6_P7_hold_whatever_a_seed_brings(seed: int) -> None:
    outcome = simulate(seed, STEPS)
    assert outcome.broken is None, str(outcome)
    assert outcome.steps > STEPS


def test_a_seed_plays_the_same_run_every_time() -> None:
    first, second = simulate(3, STEPS), simulate(3, STEPS)
    assert first == second


def test_a_seed_plays_the_same_run_in_every_process_however_its_hashes_fall() -> None:
    """Sets of strings have another order in each process; nothing may depend on it."""
    plays = [_plays_of_another_process(hash_seed) for hash_seed in ("1", "2")]
    assert plays[0] == plays[1]
    assert plays[0].count("digest ") == 1


def _plays_of_another_process(hash_seed: str) -> str:
    path = os.pathsep.join(part for part in (str(TESTS), *sys.path) if part)
    ran = subprocess.run(
        [sys.executable, "-m", "simulation", "--seed", "3", "--steps", "800"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return ran.stdout


def test_a_hostile_world_is_hostile() -> None:
    kinds = set[str]().union(*(simulate(seed, STEPS).kinds for seed in (1, 2, 3, 5, 6, 7)))
    met = {"kill", "torn", "power", "lease", "fault", "tool", "refused", "close", "refusal"}
    assert met <= kinds


@pytest.mark.parametrize("bug", [*BUGS, *WAYS, *FOUND], ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug) -> None:
    seeds = sorted(range(SEEDS_MAX), key=lambda seed: is_wordy(seed) is not bug.wordy)
    with planted(bug):
        outcomes = (simulate(seed, STEPS) for seed in seeds)
        found = next((outcome for outcome in outcomes if outcome.broken), None)
    assert found is not None, f"{SEEDS_MAX} seeds do not find it"
    assert f"SEED={found.seed}" in str(found), "the seed is told"
