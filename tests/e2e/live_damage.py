"""Damage that no transcript brings in: by answers, tools, prompts, the endpoint and the model list.

Law: each play names one class, lets the damage happen to a session that is alive, and measures what
going on costs. What a play injects is withdrawn by whoever runs it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from corpora.poisoned import OPENING, damaged
from differential.pictures import Json, image, pdf, png
from e2e.damage import ENDS, SENT, Scene, Survived, strings
from holdfast.simulator import InjectedRule, Script
from holdfast.simulator.thinking import Seal, Signer, digest
from holdfast.simulator.wordings import WORDINGS

Play: TypeAlias = Callable[[Scene], Awaitable[Survived]]

GARDEN: Final = "What grows in the garden?"
OLEANDER: Final = "Oleander and roses."
UNHEARD_OF: Final = "A rule that no client has heard of was broken"
MASKED: Final = "400 due to tool use concurrency issues. Run /rewind to recover the conversation."


def said(*texts: str) -> list[Json]:
    """What a person or a tool said, for measuring what is kept of it."""
    return [{"role": "user", "content": [{"type": "text", "text": text} for text in texts]}]


def step(match: Json, **more: Any) -> Json:
    return {"match": match, **more}


def calls(words: str, name: str, **given: Any) -> Json:
    """Have the model call a tool when a person says these words."""
    call = {"type": "tool_use", "name": name, "input": given}
    return step({"last_user_contains": words}, respond={"content": [call]})


def refuses(status: int, message: str, body_contains: str, times: int | None = None) -> Json:
    """Have the endpoint refuse what holds some bytes, and count it no better."""
    fault = {"name": "bad-request", "status": status, "message": message}
    match = {"kind": "any", "body_contains": body_contains}
    return step(match, fault=fault, times=times)


async def begun(scene: Scene, *steps: Json, **more: Any) -> str:
    """A session in which the secret word was said."""
    scene.simulator.script(Script.parse(list(steps)))
    session_id = await scene.created(**more)
    await scene.answered(session_id, OPENING)
    return session_id


async def in_the_garden(scene: Scene, *steps: Json) -> str:
    """A session in which the model has read a file."""
    (scene.workspace / "garden.txt").write_text(OLEANDER)
    session_id = await begun(scene, *steps, calls(GARDEN, "read", path="garden.txt"))
    await scene.answered(session_id, GARDEN)
    return session_id


async def and_goes_on(scene: Scene, session_id: str, history: list[Json]) -> Survived:
    await scene.goes_on(session_id)
    return await scene.survived(session_id, history)


# --- thinking -----------------------------------------------------------------------------------


def thought(signature: str = "") -> Json:
    """An answer that thinks aloud before it calls; sealed by the API itself, or as given."""
    block: Json = {"type": "thinking", "text": "Roses, I think."}
    if signature:
        given = {"type": "thinking", "thinking": "Roses, I think.", "signature": signature}
        block = {"type": "block", "block": given}
    call = {"type": "tool_use", "name": "read", "input": {"path": "garden.txt"}}
    return step({"last_user_contains": GARDEN}, respond={"content": [block, call]})


async def thinking_said_to_be_modified(scene: Scene) -> Survived:
    """The API says that thinking of its own answer was modified, whoever did that (A08)."""
    session_id = await in_the_garden(scene, thought())
    modified = WORDINGS["R70"].text.removeprefix("messages.{i}.content.{j}: ")
    rule = InjectedRule(block_type="thinking", message=modified, position="block")
    scene.simulator.inject(rule)
    return await and_goes_on(scene, session_id, said(GARDEN, OLEANDER, "Roses, I think."))


async def thinking_of_another_account(scene: Scene) -> Survived:
    """A proxy hands on thinking that another account's API has signed (A09)."""
    (scene.workspace / "garden.txt").write_text(OLEANDER)
    seal = Seal(kind="thinking", model="claude-opus-5-5", text=digest("Roses, I think."), prefix="")
    signature = Signer(b"the key of another account").sign(seal)
    session_id = await begun(scene, thought(signature))
    await scene.answered(session_id, GARDEN)
    return await and_goes_on(scene, session_id, said(GARDEN, OLEANDER, "Roses, I think."))


# --- what comes in with prompts and tools -------------------------------------------------------


async def pictures_in_a_prompt(scene: Scene) -> Survived:
    """A prompt with a large picture, a mislabelled one, and one that no one can decode (A17)."""
    media = [
        image(png(3000, 2200).ljust(6_000_000, b"\0")),
        image(png(3, 3), "image/jpeg"),
        image(b"not a picture"),
    ]
    session_id = await begun(scene)
    await scene.answered(session_id, "Look at these.", *media)
    history: list[Json] = [*said("Look at these."), {"role": "user", "content": media}]
    return await and_goes_on(scene, session_id, history)


async def damaged_picture_in_a_prompt(scene: Scene) -> Survived:
    """A prompt with a picture whose data has one wrong byte (A20)."""
    session_id = await begun(scene)
    await scene.answered(session_id, "Look at this.", damaged())
    history: list[Json] = [*said("Look at this."), {"role": "user", "content": [damaged()]}]
    return await and_goes_on(scene, session_id, history)


async def documents_in_prompts(scene: Scene) -> Survived:
    """Two documents that are legal alone and too many pages together (A21)."""
    session_id = await begun(scene, model="claude-haiku-4-5")
    media = [pdf(60), pdf(61)]
    for document in media:
        await scene.answered(session_id, "Read this.", document)
    history: list[Json] = [*said("Read this."), {"role": "user", "content": media}]
    return await and_goes_on(scene, session_id, history)


async def large_output_of_a_tool(scene: Scene) -> Survived:
    """A command prints three megabytes: too much for any history, and said so (A22)."""
    command = "echo begun; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo the end"
    session_id = await begun(scene, calls("print", "run", command=command))
    await scene.answered(session_id, "Please print it all.")
    found = await and_goes_on(scene, session_id, said("Please print it all.", "begun", "the end"))
    request = "\n".join(strings(scene.paid()[-1].body["messages"]))
    assert re.search(r"\d{7} bytes left out", request)
    return replace(found, kept=ENDS if found.kept == SENT else found.kept)


async def half_a_character_in_a_prompt(scene: Scene) -> Survived:
    """A prompt that was cut in the middle of an emoji (A23)."""
    session_id = await begun(scene)
    await scene.answered(session_id, "cut \ud83d")
    return await and_goes_on(scene, session_id, said("cut \ud83d"))


# --- what only the endpoint knows ---------------------------------------------------------------


async def masked_refusal(scene: Scene) -> Survived:
    """A gateway says its own sentence for whatever it refuses (A26)."""
    session_id = await in_the_garden(scene)
    scene.simulator.inject(InjectedRule(block_type="tool_result", message=MASKED))
    return await and_goes_on(scene, session_id, said(GARDEN, OLEANDER))


async def tool_that_is_refused(scene: Scene) -> Survived:
    """The endpoint refuses the definition of one tool (A29)."""
    session_id = await begun(scene)
    offered = [tool["name"] for tool in scene.paid()[-1].body["tools"]]
    refused = WORDINGS["R84a"].text.format(k=offered.index("glob"))
    scene.simulator.script(Script.parse([refuses(400, refused, '"name":"glob"')]))
    return await and_goes_on(scene, session_id, said(OPENING))


async def history_with_tools_of_one_name(scene: Scene) -> Survived:
    """A session whose calls go to tools of our own names; what is offered has each name once."""
    session_id = await in_the_garden(scene)
    found = await and_goes_on(scene, session_id, said(GARDEN, OLEANDER))
    for entry in scene.paid():
        names = [tool["name"] for tool in entry.body["tools"]]
        assert len(names) == len(set(names))
    return found


async def model_that_is_gone(scene: Scene) -> Survived:
    """The session's model has been retired; a person chooses another (A34)."""
    session_id = await scene.created(model="claude-mythos-preview")
    assert await scene.sent(session_id, OPENING) == "paused"
    status = scene.server.statuses[session_id]
    assert (status["reason"], "claude-mythos-preview" in status["message"]) == ("modelGone", True)
    await scene.server.command("model.select", sessionId=session_id, model="claude-opus-5-5")
    turn_id = scene.server.of(session_id, "turnStarted")[-1]["turnId"]
    await scene.server.ended(session_id, turn_id)
    return await and_goes_on(scene, session_id, said(OPENING))


async def answer_without_words(scene: Scene) -> Survived:
    """The model declines: a refusal without any content (A35)."""
    declines = step({"last_user_contains": "poison"}, fault={"name": "refusal"})
    session_id = await begun(scene, declines)
    await scene.sent(session_id, "How does one make poison?")
    return await and_goes_on(scene, session_id, said(OPENING, "How does one make poison?"))


async def filtered_output(scene: Scene) -> Survived:
    """The API blocks an answer by its content filter (A35)."""
    blocked = {"name": "bad-request", "message": "Output blocked by content filtering policy"}
    filtered = step({"last_user_contains": "poison"}, fault=blocked)
    session_id = await begun(scene, filtered)
    await scene.sent(session_id, "How does one make poison?")
    return await and_goes_on(scene, session_id, said(OPENING, "How does one make poison?"))


def unheard_of(**rule: Any) -> Play:
    """A refusal of what a tool brought, in words that no client knows (V8)."""

    async def play(scene: Scene) -> Survived:
        session_id = await in_the_garden(scene)
        scene.simulator.inject(InjectedRule(text="Oleander", message=UNHEARD_OF, **rule))
        return await and_goes_on(scene, session_id, said(GARDEN, OLEANDER))

    return play


PLAYS: Final[Mapping[str, Play]] = {
    "A08 thinking that is said to be modified": thinking_said_to_be_modified,
    "A09 thinking that another account has signed": thinking_of_another_account,
    "A17 pictures in a prompt": pictures_in_a_prompt,
    "A20 a damaged picture in a prompt": damaged_picture_in_a_prompt,
    "A21 documents in two prompts": documents_in_prompts,
    "A22 a command that prints 3 MB": large_output_of_a_tool,
    "A23 half an emoji in a prompt": half_a_character_in_a_prompt,
    "A26 a refusal in a gateway's own words": masked_refusal,
    "A29 a tool that the endpoint refuses": tool_that_is_refused,
    "A30 the tools that are offered": history_with_tools_of_one_name,
    "A34 a model that is gone": model_that_is_gone,
    "A35 a refusal without content": answer_without_words,
    "A35 an answer that the filter blocks": filtered_output,
    "V8 a refusal nobody has seen, without a place": unheard_of(),
    "V8 a refusal nobody has seen, of a message": unheard_of(position="message"),
    "V8 a refusal nobody has seen, of a block": unheard_of(position="block"),
}
"""Every play, by class and what happens."""
