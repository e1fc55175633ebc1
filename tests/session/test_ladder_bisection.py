"""The search for a poisoned part: right for any rule, and never more questions than it may ask."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.session.bisection import first_refused, questions_max


def searched(parts: int, refused: Callable[[int], bool]) -> tuple[int, list[int]]:
    """Search, and return what was found and what was asked."""
    search, asked = first_refused(parts), list[int]()
    try:
        length = next(search)
        while True:
            asked.append(length)
            length = search.send(refused(length))
    except StopIteration as done:
        return int(done.value), asked


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_the_poisoned_part_is_found_whichever_it_is(case: tuple[int, int]) -> None:
    parts, poisoned = case
    found, asked = searched(parts, lambda length: length > poisoned)
    assert found == poisoned
    assert len(asked) <= questions_max(parts)


@given(st.lists(st.booleans(), min_size=1, max_size=300))
@settings(max_examples=300)
def test_for_any_rule_a_part_is_found_whose_addition_turns_acceptance_into_refusal(
    refusals: list[bool],
) -> None:
    """Also for rules that are no matter of single parts: then more than one place is right."""
    verdicts = [False, *refusals[:-1], True]
    found, asked = searched(len(refusals), lambda length: verdicts[length])
    assert (verdicts[found], verdicts[found + 1]) == (False, True)
    assert len(asked) <= questions_max(len(refusals))


@given(st.integers(1, 100_000))
def test_no_more_is_asked_than_twice_the_logarithm_and_four(parts: int) -> None:
    both = questions_max(parts) * 2  # first the message, then the block inside it
    assert both <= 2 * ceil(log2(parts)) + 4 if parts > 1 else both == 0


def test_what_is_known_is_never_asked() -> None:
    for parts in range(1, 70):
        for poisoned in range(parts):
            _, asked = searched(parts, lambda length, last=poisoned: length > last)
            assert len(set(asked)) == len(asked)
            assert not {0, parts} & set(asked)
