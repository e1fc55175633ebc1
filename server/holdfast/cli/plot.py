"""The demo's plot: what the person says, and what the simulated model answers.

Law: the simulator is told what the model says and where the API fails; it is never told to accept
a request. Whether a request is valid, it decides alone.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from holdfast.simulator import Script

SECRET: Final = "laminaria"  # noqa: S105 (no secret, a word to remember)
NOTES: Final = "Kelp grows up to half a metre a day.\nIts holdfast grips the rock in any storm.\n"
GATEWAY_FAILURES: Final = 10
KEEP: Final = "Keep every figure."
"""What the person asks of the second compaction; it stands in each of its requests."""
LARGE_BYTES: Final = 40_000
"""What is larger than this the gateway cuts off while the second compaction runs."""
PART: Final = "a part is summarised"
"""The label of the requests for a part, in the simulator's log."""
NOTE: Final = (
    "The person asked for work on the files of the project, and it was done step by step; "
    "notes.txt and ledger.txt were read. For later the person said: the secret word is laminaria. "
    "Kelp grows half a metre a day, and two urchins stand in ledger.txt. No errors are open. "
    "Nothing is open at the end of this part, and no decision waits for anybody."
)
"""What the simulated model writes about each part."""


@attrs.frozen
class Scene:
    """One prompt of the person. Of one with something pasted behind it only the words are shown."""

    prompt_id: str
    prompt: str
    pasted: str = ""


FIRST: Final = Scene(
    "demo-1", f"For later: the secret word is {SECRET}. Now read notes.txt; what is it about?"
)
TIDES: Final = "\n".join(
    f"day {day:3}: high water {3 + day % 7}.{day % 10} m, kelp at {12 + day * 5} cm, calm sea"
    for day in range(1, 401)
)
"""What the person pastes, so that there is enough to be summarised in parts."""
PASTE: Final = Scene("demo-8", "Keep the log of this year's tides in mind:", TIDES)
EDIT: Final = Scene("demo-2", "Add two urchins to ledger.txt.")
MEANWHILE: Final = Scene("demo-3", "While that runs: how fast does kelp grow?")
GATEWAY: Final = Scene("demo-4", "Is the gateway well today?")
LONG: Final = Scene("demo-5", "Describe a kelp forest in a few sentences.")
DEPLOY: Final = Scene("demo-6", "Deploy it.")
SECRET_QUESTION: Final = Scene("demo-7", "What was the secret word?")

LONG_ANSWER: Final = "A kelp forest is a tall, swaying wood under the water, where"
"""Five pieces of twelve characters: what arrives before the stream goes silent."""
LONG_REST: Final = "otters sleep, fish hide, and storms pass over without a sound below."


def script() -> Script:
    """Return the simulated model's part."""
    return Script.parse([*_work(), *_parts(), *_failures(), *_crash()])


def _work() -> list[dict[str, Any]]:
    return [
        _step(
            "reads the notes",
            {"last_user_contains": FIRST.prompt},
            say="I will look at the notes.",
            call=("read", {"path": "notes.txt"}),
        ),
        _step(
            "explains the notes",
            {"last_result_contains": "half a metre"},
            say="The notes say how kelp grows and how its holdfast grips the rock.",
        ),
        _step("keeps the tides", {"last_user_contains": PASTE.prompt}, say="I have it."),
        _step(
            "edits the ledger",
            {"last_user_contains": EDIT.prompt},
            say="One line more, then.",
            call=(
                "edit",
                {
                    "path": "ledger.txt",
                    "old_text": "kelp 3\n",
                    "new_text": "kelp 3\nurchin 2\n",
                },
            ),
        ),
        _step("has edited", {"last_result_contains": "ledger.txt"}, say="Two urchins it is."),
    ]


def _parts() -> list[dict[str, Any]]:
    """The second compaction: what is large is cut off, parts go through, the first ones quickly."""
    part = {"body_contains": KEEP, "has_tools": False}
    large = {"body_contains": KEEP, "body_bytes_over": LARGE_BYTES}
    return [
        _step("too large for the gateway", large, times=None, fault={"name": "gateway-timeout"}),
        _step(PART, part, times=2, say=NOTE, per_delta_ms=20),
        _step(PART, part, times=None, say=NOTE, per_delta_ms=70),
    ]


def _failures() -> list[dict[str, Any]]:
    failing = [
        _step("compaction 504", match, times=None, fault={"name": "gateway-timeout"})
        for match in ({"has_compaction": True}, {"has_tools": False})
    ]
    return [
        *failing,
        _step(
            "answers meanwhile",
            {"last_user_contains": MEANWHILE.prompt},
            say="Up to half a metre a day, says notes.txt.",
        ),
        _step(
            "gateway fails",
            {"last_user_contains": GATEWAY.prompt},
            times=GATEWAY_FAILURES,
            fault={"name": "gateway-timeout"},
        ),
        _step(
            "gateway is well again",
            {"last_user_contains": GATEWAY.prompt},
            say="It is now. Nothing was lost while it was not.",
        ),
        _step(
            "stalls",
            {"last_user_contains": LONG.prompt},
            say=f"{LONG_ANSWER} {LONG_REST}",
            per_delta_ms=40,
            fault={"name": "silence", "after_events": 8},
        ),
        _step("goes on", {"last_user_contains": "Continue exactly"}, say=f" {LONG_REST}"),
    ]


def _crash() -> list[dict[str, Any]]:
    return [
        _step(
            "deploys",
            {"last_user_contains": DEPLOY.prompt},
            say="Deploying.",
            call=("run", {"command": "echo deployed >> deploy.log; sleep 8"}),
        ),
        _step(
            "looks first",
            {"last_result_contains": "outcome unknown"},
            say="I cannot know whether that took effect, so I look before I do anything.",
            call=("read", {"path": "deploy.log"}),
        ),
        _step(
            "has looked",
            {"last_result_contains": "deployed"},
            say="It is deployed, once. There is nothing to do again.",
        ),
    ]


def _step(
    label: str,
    match: dict[str, Any],
    *,
    times: int | None = 1,
    say: str | None = None,
    call: tuple[str, dict[str, Any]] | None = None,
    fault: dict[str, Any] | None = None,
    per_delta_ms: int = 25,
) -> dict[str, Any]:
    step: dict[str, Any] = {"label": label, "match": match, "times": times}
    content: list[dict[str, Any]] = []
    if say is not None:
        content.append({"type": "text", "text": say, "chunk": 12})
    if call is not None:
        content.append({"type": "tool_use", "name": call[0], "input": call[1]})
    if content:
        step["respond"] = {"content": content, "per_delta_ms": per_delta_ms}
    if fault is not None:
        step["fault"] = fault
    return step
