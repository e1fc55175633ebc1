"""The ladder against hidden faults: whatever rule the API has that we do not know, the history is
mended, only where it must be, and the free count is asked a bounded number of times (P2, P3, P4).
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2
from random import Random
from zlib import crc32

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.conversation.history import Block, History, Message, assistant, text, user
from holdfast.conversation.profile import DEFAULT
from holdfast.conversation.rules import validate
from holdfast.session import rungs
from holdfast.session.failures import Failure, FailureKind
from holdfast.session.ladder import EXTRA_REQUESTS_MAX, Answer, Blind, Case, Outcome, Verdict
from holdfast.session.refusals import Refusal, read
from holdfast.session.rungs import WITHHELD, RepairRung, Scene, Sent
from session.climbing import examined

POISON = "oleander"
PLACED = "messages.{i}.content.{j}: A rule that nobody has heard of"
UNPLACED = "A rule that nobody has heard of"


def refusal_of(words: str) -> Refusal:
    """Read such words of the API."""
    return read(Failure(kind=FailureKind.INVALID_REQUEST, message=words, status=400))


def history_of(seed: int, messages: int) -> History:
    """Return a valid history with calls, results, thinking and pictures, ending with a prompt."""
    chance = Random(seed)
    found: list[Message] = [user("prompt 0", origin="0")]
    while len(found) < messages:
        n = len(found)
        if chance.random() < 0.5:
            calls = [_call(f"toolu_{n}_{k}") for k in range(chance.randint(1, 3))]
            found.append(assistant(_thought(n), text(f"I look {n}"), *calls, origin=str(n)))
            results = [_result(c.text_of("id"), f"seen {n}") for c in calls]
            found.append(user(*results, origin=f"{n}.results"))
        else:
            found.append(assistant(f"answer {n}", origin=str(n)))
            extra = [_picture()] if chance.random() < 0.3 else []
            found.append(user(f"prompt {n}", *extra, origin=str(n + 1)))
    last = (assistant("so much for that", origin="a"), user("The last prompt", origin="last"))
    history = (*found, *last) if found[-1].role == "user" else (*found, last[1])
    assert not validate(history)
    return history


def _call(tool_use_id: str) -> Block:
    return Block.of({"type": "tool_use", "id": tool_use_id, "name": "look", "input": {"at": "x"}})


def _result(tool_use_id: str, words: str) -> Block:
    content = [{"type": "text", "text": words}]
    return Block.of({"type": "tool_result", "tool_use_id": tool_use_id, "content": content})


def _thought(n: int) -> Block:
    return Block.of({"type": "thinking", "thinking": "", "signature": f"c2ln{n}"})


def _picture() -> Block:
    source = {"type": "url", "url": "https://example.org/kelp.png"}
    return Block.of({"type": "image", "source": source})


Dislike = Callable[[Block], bool]


@attrs.define
class Api:
    """An API with one rule of its own; it counts how often it is asked."""

    dislikes: Dislike
    says_where: bool = False
    sees: bool = True
    questions: int = 0

    def refusal(self, history: History) -> Refusal | None:
        for i, message in enumerate(history):
            for j, block in enumerate(message.blocks):
                if self.dislikes(block):
                    words = PLACED.format(i=i, j=j) if self.says_where else UNPLACED
                    return refusal_of(words)
        return None

    def count(self, sent: Sent) -> Answer:
        self.questions += 1
        assert not validate(sent.history), "P2: also what is only counted breaks no known rule"
        return self.refusal(sent.history) if self.sees else None

    def mends(self, history: History, *, extra: int = 2, tools: tuple[str, ...] = ()) -> Outcome:
        refused = self.refusal(history)
        assert refused is not None
        scene = Scene(DEFAULT, tools, prompt_origin="last")
        case = Case(Sent(history), refused, scene, head="last", extra=extra)
        return examined(case, self.count)


def poisoned(history: History, where: int, nth: int) -> tuple[History, Block]:
    """Put the poison into one block, wherever it has words; the prompt itself stays clean."""
    places = [
        (i, j)
        for i, message in enumerate(history[:-1])
        for j, block in enumerate(message.blocks)
        if block.type in {"text", "tool_use", "tool_result"}
    ]
    i, j = places[(where + nth) % len(places)]
    block = history[i].blocks[j]
    changes = {
        "text": {"text": f"{block.text_of('text')} {POISON}"},
        "tool_use": {"input": {"at": POISON}},
        "tool_result": {"content": [{"type": "text", "text": POISON}]},
    }
    bad = Block.of({**block.data, **changes[block.type]})
    blocks = (*history[i].blocks[:j], bad, *history[i].blocks[j + 1 :])
    return (*history[:i], attrs.evolve(history[i], blocks=blocks), *history[i + 1 :]), bad


def words_of(history: History) -> str:
    return "".join(block.raw for message in history for block in message.blocks)


@given(
    seed=st.integers(0, 999),
    messages=st.integers(1, 40),
    where=st.integers(0, 10_000),
    says_where=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_P3_words_that_the_api_will_not_read_are_found_and_withheld_wherever_they_are(
    seed: int, messages: int, where: int, says_where: bool
) -> None:
    history, _ = poisoned(history_of(seed, messages), where, 0)
    api = Api(lambda block: POISON in block.raw, says_where)
    outcome = api.mends(history)
    assert (outcome.verdict, outcome.checked) == (Verdict.MENDED, True)
    after = outcome.changes[-1].after.history
    assert api.refusal(after) is None
    assert validate(after) == ()
    assert after[-1] == history[-1], "what the person has said stays"
    assert words_of(after).count(WITHHELD[:40]) == 1, "P4: one block, and no more, is withheld"
    parts = len(history) + max(len(message.blocks) for message in history)
    assert api.questions <= 2 * ceil(log2(parts)) + 8


@given(seed=st.integers(0, 999), messages=st.integers(4, 40), says_where=st.booleans())
@settings(max_examples=25, deadline=None)
def test_P3_a_kind_of_block_that_the_api_will_not_take_becomes_text_and_keeps_its_words(
    seed: int, messages: int, says_where: bool
) -> None:
    history = history_of(seed, messages)
    calls = [b for m in history for b in m.blocks if b.type == "tool_use"]
    if not calls:
        return
    bad = calls[seed % len(calls)].text_of("id")
    api = Api(lambda block: block.type == "tool_use" and block.text_of("id") == bad, says_where)
    outcome = api.mends(history)
    assert outcome.verdict is Verdict.MENDED
    after = outcome.changes[-1].after.history
    assert api.refusal(after) is None
    assert [change.rung for change in outcome.changes] == [RepairRung.QUARANTINE]
    assert "[called look:" in words_of(after)
    kept = [b for m in after for b in m.blocks if b.type == "tool_use"]
    assert len(kept) == len(calls) - 1, "P4: the other calls are as they were"


@given(
    seed=st.integers(0, 999),
    count=st.integers(2, 4),
    says_where=st.booleans(),
)
@settings(max_examples=10, deadline=None)
def test_P3_several_poisoned_places_are_mended_in_one_climb(
    seed: int, count: int, says_where: bool
) -> None:
    history = history_of(seed, 30)
    for nth in range(count):
        history, _ = poisoned(history, seed, nth * 7)
    api = Api(lambda block: POISON in block.raw, says_where)
    outcome = api.mends(history)
    assert outcome.verdict is Verdict.MENDED
    assert api.refusal(outcome.changes[-1].after.history) is None


@given(seed=st.integers(0, 500), salt=st.integers(0, 10**6), messages=st.integers(2, 30))
@settings(max_examples=40, deadline=None)
def test_P3_a_rule_about_the_history_as_a_whole_ends_the_climb_in_bounded_time(
    seed: int, salt: int, messages: int
) -> None:
    """Such a rule is no matter of single blocks: what is accepted flickers with every change."""
    history = history_of(seed, messages)
    asked = 0

    def count(sent: Sent) -> Answer:
        nonlocal asked
        asked += 1
        odd = crc32(f"{salt}{words_of(sent.history)}".encode()) % 3
        return None if odd == 0 and sent.history != history else refusal_of(UNPLACED)

    case = Case(Sent(history), refusal_of(UNPLACED), Scene(DEFAULT, prompt_origin="last"))
    outcome = examined(case, count)
    assert outcome.questions == asked <= 161
    if outcome.verdict is Verdict.MENDED:
        assert validate(outcome.changes[-1].after.history) == ()
    for change in outcome.changes:
        assert change.after != change.before, "nothing that has no effect is recorded"


def test_P3_poison_in_the_prompt_itself_is_not_taken_away_but_told() -> None:
    history = (*history_of(3, 6)[:-1], user(f"Tell me of {POISON}", origin="last"))
    outcome = Api(lambda block: POISON in block.raw).mends(history)
    assert (outcome.verdict, outcome.changes) == (Verdict.GIVEN_UP, ())


def test_a_refusal_that_the_free_count_does_not_share_is_tried_again_once_and_then_made_text() -> (
    None
):
    history = history_of(5, 10)
    api = Api(lambda block: block.type == "tool_use", sees=False)
    assert api.mends(history, extra=2).verdict is Verdict.AGAIN
    outcome = api.mends(history, extra=1)
    assert [change.rung for change in outcome.changes] == [RepairRung.PLAIN_TEXT]
    assert not outcome.checked
    assert api.refusal(outcome.changes[0].after.history) is None
    assert api.mends(history, extra=0).verdict is Verdict.GIVEN_UP


@pytest.mark.parametrize("says_where", [True, False])
def test_without_the_free_count_knowledge_decides_and_the_last_request_is_for_plain_text(
    says_where: bool,
) -> None:
    """Several blocks are disliked, so that the second refusal names another place."""
    api = Api(lambda block: block.type == "tool_use", says_where)
    taken, _ = without_counting(api, history_of(5, 10), lambda _sent: Blind.MISSING)
    first = [RepairRung.QUARANTINE] if says_where else []
    assert taken == [*first, RepairRung.PLAIN_TEXT]


@pytest.mark.parametrize("answer", [Blind.MISSING, None], ids=["nobody counts", "it sees nothing"])
@given(seed=st.integers(0, 999), messages=st.integers(4, 30), where=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_P3_words_that_are_refused_as_text_too_are_withheld_where_no_count_tells(
    answer: Answer, seed: int, messages: int, where: int
) -> None:
    """As behind a gateway that counts tokens by itself: it accepts what the API refuses."""
    history, _ = poisoned(history_of(seed, messages), where, 0)
    api = Api(lambda block: POISON in block.raw, says_where=True)
    taken, left = without_counting(api, history, lambda _sent: answer)
    assert RepairRung.WITHHOLD in taken
    assert api.refusal(left) is None, "the last request that may be paid is accepted"
    assert not validate(left)


def without_counting(
    api: Api, history: History, count: Callable[[Sent], Answer]
) -> tuple[list[RepairRung], History]:
    """Climb as often as requests may be paid; the API itself is asked after each climb.

    Returns the rungs that were taken, and the history after them.
    """
    sent, taken = Sent(history), list[RepairRung]()
    tried: frozenset[tuple[str, str, str, str]] = frozenset()
    for extra in range(EXTRA_REQUESTS_MAX, 0, -1):
        refused = api.refusal(sent.history)
        if refused is None:
            break
        case = Case(sent, refused, Scene(DEFAULT, prompt_origin="last"), "last", extra, tried)
        outcome = examined(case, count)
        taken += [change.rung for change in outcome.changes]
        tried |= {case.key(change) for change in outcome.changes}
        sent = outcome.changes[-1].after if outcome.changes else sent
    return taken, sent.history


def test_no_rung_is_taken_twice_for_the_same_head_place_and_fragment() -> None:
    history, _ = poisoned(history_of(2, 12), 3, 0)
    api = Api(lambda block: POISON in block.raw, says_where=True)
    refused = api.refusal(history)
    assert refused is not None
    case = Case(Sent(history), refused, Scene(DEFAULT, prompt_origin="last"), head="last")
    taken = examined(case, api.count).changes
    again = attrs.evolve(case, tried=frozenset(case.key(change) for change in taken))
    second = examined(again, api.count).changes
    assert not {case.key(c) for c in taken} & {case.key(c) for c in second}
    assert api.refusal(second[-1].after.history) is None if second else True


BOUND = (
    "messages.{i}.content.0: Invalid `signature` in `thinking` block. The block is bound to a "
    "different conversation."
)


def test_R72_bound_thinking_is_first_left_to_the_api_and_then_left_out() -> None:
    history = history_of(7, 12)
    index = next(i for i, m in enumerate(history) if m.blocks[0].type == "thinking")
    refused = refusal_of(BOUND.format(i=index))
    for takes_the_header, rung in ((True, "dropMismatchedThinking"), (False, "stripThinking")):

        def count(sent: Sent, takes: bool = takes_the_header) -> Answer:
            has = any(b.type == "thinking" for m in sent.history for b in m.blocks)
            return refused if has and not (sent.dropping and takes) else None

        outcome = examined(Case(Sent(history), refused, Scene(DEFAULT)), count)
        assert [change.rung.value for change in outcome.changes] == [rung]


def test_a_header_that_an_endpoint_does_not_know_is_given_up_with_the_thinking() -> None:
    history = history_of(7, 12)
    unknown = refusal_of("Unexpected value(s) `x` for the `anthropic-beta` header.")
    outcome = examined(
        Case(Sent(history, dropping=True), unknown, Scene(DEFAULT)),
        lambda sent: unknown if sent.dropping else None,
    )
    (change,) = outcome.changes
    assert (change.before.dropping, change.after.dropping) == (True, False)
    assert "thinking" not in {b.type for m in change.after.history for b in m.blocks}


def test_one_refused_tool_is_left_out_and_the_others_stay() -> None:
    history = history_of(1, 4)
    refused = refusal_of("tools.1.custom.input_schema: JSON schema is invalid.")
    case = Case(Sent(history), refused, Scene(DEFAULT, ("read", "bad", "run")))
    outcome = examined(case, lambda sent: None if "bad" in sent.left_out else refused)
    (change,) = outcome.changes
    assert change.after.left_out == {"bad"}
    assert change.after.history is history
    assert "bad" in change.steps[0].action


@pytest.mark.parametrize("index", [True, False])
def test_A20_a_picture_that_cannot_be_read_is_named_and_nothing_else_changes(index: bool) -> None:
    inside = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [dict(_picture().data)]}
    history = (
        user("Look", origin="1"),
        assistant(_call("toolu_1"), origin="2"),
        user(Block.of(inside), origin="2.results"),
        assistant("I see", origin="3"),
        user("And now?", origin="last"),
    )
    words = ("messages.2.content.0: " if index else "") + "Could not process image"

    def count(sent: Sent) -> Answer:
        return refusal_of(words) if 'example.org/kelp.png"}' in words_of(sent.history) else None

    scene = Scene(DEFAULT, prompt_origin="last")
    outcome = examined(Case(Sent(history), refusal_of(words), scene), count)
    assert [change.rung for change in outcome.changes] == [RepairRung.STUB_MEDIA]
    after = outcome.changes[0].after.history
    assert after[2].blocks[0].get("content")[0]["text"].startswith("[image: ")
    assert (*after[:2], *after[3:]) == (*history[:2], *history[3:])


@given(seed=st.integers(0, 300), i=st.integers(0, 50), j=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_every_rung_at_any_place_leads_to_a_valid_history(seed: int, i: int, j: int) -> None:
    history = history_of(seed, 12)
    for words in (PLACED.format(i=i, j=j), f"messages.{i}: no", BOUND.format(i=i), "tools.3: no"):
        scene = Scene(DEFAULT, ("read",), prompt_origin="last")
        for change in rungs.candidates(Sent(history), refusal_of(words), scene):
            assert validate(change.after.history) == ()
            assert change.after != change.before
            assert change.steps, "what was done is said"
