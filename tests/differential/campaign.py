"""Many histories before both, and what came of it.

Law: history number `n` is the same for ever. Every fourth is valid and has to be accepted by both;
the others have one fault each, and both have to name the same rule first, unless one of
`EXPLAINED` says why they cannot.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from differential.comparison import Verdict, compare
from differential.histories import Request, seal, valid_request
from differential.mutations import MUTATIONS, SEALED
from holdfast.simulator.rules.pictures import picture_of
from holdfast.simulator.rules.request import walk_blocks

VALID_EVERY: Final = 4


@dataclass(frozen=True)
class Explanation:
    """Why both may differ: a reason, which verdicts it covers, and a fault that needs it."""

    reason: str
    covers: Callable[[Verdict, Request], bool]
    example: str


def _only_the_signer_knows(verdict: Verdict, _request: Request) -> bool:
    signed = {"R70", "R71", "R72", "R74", "R94"}
    return verdict.grammar is None and verdict.simulator in signed


def _only_decoding_tells(verdict: Verdict, request: Request) -> bool:
    """A picture with a sound header whose data is damaged or cut."""
    if verdict.said != "Could not process image":
        return False
    pictures = (
        picture_of(block["source"]["data"])
        for _, block in walk_blocks(request.messages)
        if block["type"] == "image" and block["source"]["type"] == "base64"
    )
    return any(picture is not None and not picture.whole for picture in pictures)


def _names(verdict: Verdict, _request: Request) -> bool:
    return verdict.grammar == "R46" and verdict.simulator is None


def _blank_failures(verdict: Verdict, _request: Request) -> bool:
    return verdict.grammar == "R48" and verdict.simulator is None


def _empty_ends(verdict: Verdict, request: Request) -> bool:
    if verdict.grammar != "R35":
        return False
    last = [message for message in request.messages if message["role"] != "system"][-1]
    return last["role"] == "assistant" and not last["content"]


def _the_apis_own_fields(verdict: Verdict, _request: Request) -> bool:
    return verdict.simulator == "R8" and verdict.said.endswith(
        "summary: Extra inputs are not permitted"
    )


def _marks_of_another_server(verdict: Verdict, request: Request) -> bool:
    unknown = verdict.said.endswith("cache_control: Extra inputs are not permitted")
    return unknown and verdict.grammar is not None and request.endpoint == "compatible"


EXPLAINED: Final = {
    "marks": Explanation(
        "A server that knows no cache marks refuses them with the shape of the body (R8); to the "
        "grammar they are more marks than the none that are allowed (R79), or break what comes "
        "before that.",
        _marks_of_another_server,
        "mark_too_many_blocks",
    ),
    "names": Explanation(
        "The API takes any name of 1 to 200 characters in a history (R46); other providers do not, "
        "so the grammar keeps to their letters (A28).",
        _names,
        "a_name_that_others_refuse",
    ),
    "blank failures": Explanation(
        "A failed call whose only words are blank passes the API, as R48 speaks of empty content; "
        "the grammar puts words there all the same.",
        _blank_failures,
        "a_failure_of_blank_words",
    ),
    "empty ends": Explanation(
        "R35 excepts the final assistant message, which no request of ours ends with; the grammar "
        "knows no exception.",
        _empty_ends,
        "end_in_nothing",
    ),
    "fields": Explanation(
        "Blocks that only the API writes may get new fields, which it expects back; the grammar "
        "leaves them alone, the simulator knows the fields of today (R8).",
        _the_apis_own_fields,
        "a_field_that_the_api_may_add",
    ),
    "signatures": Explanation(
        "Whether a signature is true, and what it was made for, only its maker knows; the ladder "
        "of a refused request deals with it.",
        _only_the_signer_knows,
        "thinking_with_a_forged_signature",
    ),
    "pictures": Explanation(
        "A picture with a sound header can be damaged further on. The grammar is pure and reads "
        "heads; decoding is done where pictures are taken in.",
        _only_decoding_tells,
        "damage_a_picture",
    ),
}


@dataclass
class Outcome:
    """What a number of histories came to; outcomes add up."""

    histories: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    mutations: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Take in the outcome of other histories."""
        self.histories += other.histories
        self.refused += other.refused
        self.explained += other.explained
        self.mutations += other.mutations
        self.unexplained += other.unexplained


def chance_of(number: int) -> random.Random:
    """Return what decides the fault of history `number`."""
    return random.Random(number)


def history(number: int) -> tuple[str, Request]:
    """Return history `number`, and the name of its fault (`valid` when it has none)."""
    request = valid_request(number)
    if number % VALID_EVERY == 0:
        return "valid", request
    chance = chance_of(number)
    names = list(MUTATIONS)
    chance.shuffle(names)
    for name in names:
        changed = request.copy()
        if strike(name, changed, chance):
            return name, changed
    return "valid", request


def strike(name: str, request: Request, chance: random.Random) -> bool:
    """Put a fault into a request; return whether there was something for it to strike."""
    if not MUTATIONS[name](request, chance):
        return False
    if name in SEALED:
        seal(request)
    return True


def explanation(verdict: Verdict, request: Request) -> str | None:
    """Return the name of the explanation for a difference, if there is one."""
    covering = (name for name, why in EXPLAINED.items() if why.covers(verdict, request))
    return next(covering, None)


def run(numbers: Iterable[int]) -> Outcome:
    """Put these histories before both."""
    outcome = Outcome()
    for number in numbers:
        name, request = history(number)
        verdict = compare(request)
        outcome.histories += 1
        outcome.mutations[name] += 1
        outcome.refused[verdict.simulator or "accepted"] += 1
        if verdict.agree and (name != "valid" or verdict.simulator is None):
            continue
        why = None if name == "valid" else explanation(verdict, request)
        if why is not None:
            outcome.explained[why] += 1
            continue
        outcome.unexplained.append(
            f"{number} {name}: the grammar says {verdict.grammar}, the simulator "
            f"{verdict.simulator} ({verdict.said})"
        )
    return outcome
