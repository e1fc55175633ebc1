"""The local digest: facts with their outcome, within budget, never an instruction (B21)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from conversation import strategies as make
from holdfast.conversation.activity import activity
from holdfast.conversation.digest import HEADING, digest
from holdfast.conversation.history import Block, History, assistant, tool_result, user
from holdfast.conversation.tokens import estimate_text


def call(tool_id: str, name: str, **given_: Any) -> Block:
    return Block.of({"type": "tool_use", "id": tool_id, "name": name, "input": given_})


SESSION: History = (
    user("Delete the old report."),
    assistant("I look first.", call("a", "Read", file_path="/w/report.md")),
    user(tool_result("a", "# Report")),
    assistant(call("b", "Bash", command="rm report.md"), call("c", "run", command="make test")),
    user(tool_result("b", ""), tool_result("c", "2 failed\nsee log", is_error=True)),
    assistant("The report is deleted.\nTwo tests fail."),
    user("<system-reminder>be nice</system-reminder>", "Mend the tests."),
    assistant(call("d", "edit", path="/w/test_a.py"), call("e", "write", path="/w/report.md")),
    user(tool_result("d", "ok"), tool_result("e", "ok")),
)


def test_it_says_what_was_asked_what_came_of_it_and_what_is_open() -> None:
    assert digest(SESSION, 2_000) == (
        HEADING + "\n\n"
        "## What the user asked for, and what came of it\n"
        '1. DONE. The user had asked: "Delete the old report.". The assistant\'s last words: "The '
        'report is deleted."\n'
        '2. IN PROGRESS when this record was made. The user had asked: "Mend the tests.". No '
        "answer is on record.\n\n"
        "## Files changed\n- /w/test_a.py\n- /w/report.md\n\n"
        "## Commands run\n- `rm report.md`: ok\n- `make test`: failed, 2 failed\n\n"
        "## Errors met\n- run: 2 failed see log\n\n"
        "## Last exchange (IN PROGRESS when this record was made)\n"
        "The user had written:\nMend the tests."
    )


def test_b21_a_finished_request_is_a_fact_and_never_a_bare_imperative() -> None:
    for line in digest(SESSION, 2_000).splitlines():
        if "Delete the old report." in line:
            assert line.startswith("1. DONE. The user had asked:")


def test_facts_come_first_and_verbatim_and_the_earlier_summary_is_kept() -> None:
    shown = digest(SESSION, 2_000, previous="Earlier: X was built.", facts=["Todo: mend tests"])
    assert shown.index("Todo: mend tests") < shown.index("Earlier: X was built.")
    assert shown.index("Earlier: X was built.") < shown.index("## What the user asked for")


def test_an_interrupted_request_is_called_so() -> None:
    history = (
        user("Build it."),
        assistant(call("a", "run", command="make")),
        user(tool_result("a", "stopped", is_error=True), "[Request interrupted by user]"),
        user("Something else."),
        assistant("Yes?"),
    )
    assert [request.state for request in activity(history).requests] == ["interrupted", "done"]


@given(make.any_history, st.integers(0, 600), st.text(max_size=300))
def test_p5_it_never_exceeds_its_budget_and_never_fails(
    history: History, budget: int, previous: str
) -> None:
    shown = digest(history, budget, previous=previous, facts=[previous])
    assert estimate_text(shown) <= budget
    assert digest(history, budget, previous=previous, facts=[previous]) == shown


@given(st.integers(1, 60))
def test_every_request_is_named_as_long_as_the_budget_allows(count: int) -> None:
    history: History = tuple(
        message
        for n in range(count)
        for message in (user(f"request-{n} " + "x" * 300), assistant(f"answer-{n}"))
    )
    shown = digest(history, 12_000)
    assert all(f"request-{n} " in shown and f"answer-{n}" in shown for n in range(count))


def test_when_room_is_short_the_newest_requests_stay_and_the_count_is_told() -> None:
    history: History = tuple(user(f"request-{n}") for n in range(500))
    shown = digest(history, 500)
    assert "request-499" in shown
    assert "(500 in all; the earlier ones are left out)" in shown
