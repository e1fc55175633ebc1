"""Histories that kill other clients' sessions: one minimal case for each class of the catalogue.

Law: a case is data. What is damaged is the one thing that its class names; everything else keeps
the rules. `SECRET` is said in every history, so that whoever goes on with it can be asked what
survived. Signed thinking is sealed with the simulator's own key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

from differential.histories import Request, seal
from differential.pictures import Json, image, pdf, png
from holdfast.simulator.thinking import DEFAULT_KEY, Signer

Knows: TypeAlias = Literal["grammar", "budget", "request", "server"]
"""Who can know before anything is sent: the rules of histories; the count of tokens and bytes;
whoever writes the other fields of the request (tools, model); or nobody but the server."""

SECRET: Final = "heron"
OPENING: Final = f"Remember this: the secret word is {SECRET}."
OPUS: Final = "claude-opus-5-5"
HAIKU: Final = "claude-haiku-4-5"
READ: Final[Json] = {
    "name": "read",
    "description": "Read a file.",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
}
WEB: Final[Json] = {"type": "web_search_20260318", "name": "web_search"}
MARK: Final[Json] = {"type": "ephemeral"}


@dataclass(frozen=True)
class Poisoned:
    """One damaged history.

    `id` is the class of the catalogue (`A01`) or a case of goal V8; `rules` are those that the
    API may name for it, without their variants; `fields` are the request's other fields, and
    `endpoint` is the server that refuses it (a name of the simulator's `ENDPOINTS`).
    """

    id: str
    what: str
    rules: tuple[str, ...]
    make: Callable[[], list[Json]]
    known_to: Knows = "grammar"
    model: str = OPUS
    endpoint: str = "firstParty"
    status: int = 400
    tools: tuple[Json, ...] = (READ, WEB)
    fields: Json = field(default_factory=dict)

    @cached_property
    def messages(self) -> list[Json]:
        """The messages, in the API's shape."""
        return self.make()

    def body(self) -> Json:
        """The request in which the history is refused."""
        sent: Json = {"model": self.model, "max_tokens": 2048, "messages": self.messages}
        return {**sent, **({"tools": list(self.tools)} if self.tools else {}), **self.fields}


# --- a small notation ---------------------------------------------------------------------------


def text(words: str, **extra: Any) -> Json:
    return {"type": "text", "text": words, **extra}


def use(identifier: str, path: str = "a.txt", **changes: Any) -> Json:
    block: Json = {"type": "tool_use", "id": identifier, "name": "read", "input": {"path": path}}
    return {**block, **changes}


def result(identifier: str, words: Any = "some lines", **extra: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": identifier, "content": words, **extra}


def search(identifier: str = "srvtoolu_1") -> Json:
    asked = {"query": "herons"}
    return {"type": "server_tool_use", "id": identifier, "name": "web_search", "input": asked}


def found(identifier: str = "srvtoolu_1") -> Json:
    return {"type": "web_search_tool_result", "tool_use_id": identifier, "content": []}


def thought(words: str = "I weigh it.") -> Json:
    return {"type": "thinking", "thinking": words, "signature": ""}


def user(*blocks: Json | str) -> Json:
    return {"role": "user", "content": [_block(block) for block in blocks]}


def assistant(*blocks: Json | str) -> Json:
    return {"role": "assistant", "content": [_block(block) for block in blocks]}


def _block(block: Json | str) -> Json:
    return text(block) if isinstance(block, str) else deepcopy(block)


def opened(*messages: Json) -> Callable[[], list[Json]]:
    """A history that begins in order."""
    return lambda: [user(OPENING), *deepcopy(list(messages))]


def called(*answer: Json | str, **changes: Any) -> Callable[[], list[Json]]:
    """A history with one call, answered by `answer`."""
    return opened(assistant("I read.", use("toolu_1", **changes)), user(*answer))


def pictured(*pictures: Json) -> Callable[[], list[Json]]:
    return opened(assistant("Show me."), user("Look.", *pictures))


def with_large(*sizes: int) -> Callable[[], list[Json]]:
    """A history with whole pictures of so many bytes, made when they are wanted."""

    def make() -> list[Json]:
        return pictured(*(image(png(10, 10).ljust(size, b"\0")) for size in sizes))()

    return make


def sealed(*messages: Json) -> list[Json]:
    """A history whose thinking is signed as the simulator signs it."""
    request = Request(OPUS, [user(OPENING), *deepcopy(list(messages))], tools=[READ, WEB])
    seal(request, key=Signer(DEFAULT_KEY))
    return request.messages


def thoughts_swapped() -> list[Json]:
    spoken = assistant(thought("First."), "I read.", thought("Then."), use("toolu_1"))
    messages = sealed(spoken, user(result("toolu_1")))
    blocks = messages[1]["content"]
    blocks[0], blocks[2] = blocks[2], blocks[0]
    return messages


def signature_cut() -> list[Json]:
    messages = sealed(assistant(thought(), "Noted."), user("And now?"))
    block = messages[1]["content"][0]
    block["signature"] = block["signature"][:24]
    return messages


def first_message_changed() -> list[Json]:
    messages = sealed(assistant(thought(), "Noted."), user("And now?"))
    messages[0]["content"].append(text("Today is another day."))
    return messages


def cut() -> Json:
    """A picture whose head is sound and whose file ends too early."""
    return image(png(64, 64, 1)[:-20])


def damaged() -> Json:
    """A picture that is whole but for one wrong byte in its data."""
    data = bytearray(png(64, 64, 1))
    data[-20] ^= 0x55
    return image(bytes(data))


# --- the cases ----------------------------------------------------------------------------------

NORMAL: Final = (
    assistant("I see."), user("Go on."), assistant("Yes."), user("And?"), assistant("So."),
    user("Good."),
)  # fmt: skip

HISTORY: Final = (
    Poisoned("A01", "a call without a result", ("R40",), called("Go on.")),
    Poisoned(
        "A02",
        "a call without a result, long ago",
        ("R40",),
        opened(assistant(use("toolu_1")), user("Never mind."), *NORMAL),
    ),
    Poisoned("A03", "a result without a call", ("R42",), opened(assistant("Yes."),
             user(result("toolu_9", "what it printed"), "Go on."))),
    Poisoned("A04", "a server call without a result", ("R51",),
             opened(assistant("I search.", search()), user("Go on."))),
    Poisoned("A04", "a server result without a call", ("R55",),
             opened(assistant(found(), "There."), user("Go on."))),
    Poisoned("A05", "two calls with one id", ("R44",),
             opened(assistant(use("toolu_1")), user(result("toolu_1", "first")),
                    assistant(use("toolu_1", "b.txt")), user(result("toolu_1", "second")))),
    Poisoned("A06", "an id of another provider", ("R45",),
             called(result("functions.edit:3"), id="functions.edit:3")),
    Poisoned("A06", "an empty id", ("R45",), called(result(""), id="")),
    Poisoned("A07", "two results for one call", ("R43",),
             called(result("toolu_1", "first"), result("toolu_1", "second"))),
    Poisoned("A08", "thinking in another order", ("R70",), thoughts_swapped, "server"),
    Poisoned("A09", "a signature that was cut", ("R71",), signature_cut, "server"),
    Poisoned("A09", "thinking without a signature", ("R71",),
             opened(assistant({"type": "thinking", "thinking": "I weigh"}, "Noted."),
                    user("And now?"))),
    Poisoned("A09", "thinking of another conversation", ("R72",), first_message_changed, "server"),
    Poisoned("A10", "a tool loop that does not begin with thinking", ("R68",),
             called(result("toolu_1")), "request", model=HAIKU,
             fields={"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    Poisoned("A11", "an empty text", ("R32",), opened(assistant("", "Yes."), user("Go on."))),
    Poisoned("A12", "a blank text", ("R33",), opened(assistant("\n\n", "Yes."), user("Go on."))),
    Poisoned("A13", "a prefill that ends in a space", ("R23",), opened(assistant("It is ")),
             model=HAIKU),
    Poisoned("A14", "the assistant has the last word", ("R22",), opened(assistant("Done."))),
    Poisoned("A15", "a cache mark on an empty text", ("R81",),
             opened(assistant("Yes."), user("Go on.", text("", cache_control=MARK)))),
    Poisoned("A16", "six cache marks", ("R79",),
             opened(assistant("Yes."), user(*[text("x", cache_control=MARK)] * 6))),
    Poisoned("A17", "a picture of 8 MB", ("R61",), with_large(8_000_000)),
    Poisoned("A18", "21 pictures and a large one", ("R60",),
             pictured(image(png(2001, 8)), *[image()] * 20)),
    Poisoned("A18", "a picture of 8001 pixels", ("R60",), pictured(image(png(8001, 8)))),
    Poisoned("A19", "a PNG that is called a JPEG", ("R59",), pictured(image(png(), "image/jpeg"))),
    Poisoned("A19", "a picture of a type nobody takes", ("R59",),
             pictured(image(b"<svg/>", "image/svg+xml"))),
    Poisoned("A20", "a picture that stops halfway", ("R59",), pictured(cut())),
    Poisoned("A20", "a picture with a wrong byte", ("R59",), pictured(damaged()), "server"),
    Poisoned("A20", "a picture that is none", ("R59",), pictured(image(b"not a picture"))),
    Poisoned("A21", "two documents of 60 pages", ("R62",), pictured(pdf(60), pdf(60)),
             model=HAIKU),
    Poisoned("A22", "a file of 3 MB in a result", ("R89",),
             called(result("toolu_1", "All work. " * 300_000)), "budget", model=HAIKU),
    Poisoned("A23", "half an emoji", ("R5",), called(result("toolu_1", "cut \ud83d"))),
    Poisoned("A23", "half an emoji in a key", ("R5",),
             called(result("toolu_1"), input={"\ud83d": "a.txt"})),
    Poisoned("A24", "a prompt that is too long", ("R89",),
             opened(assistant("Yes."), user("All work. " * 80_000)), "budget",
             model=HAIKU),
    Poisoned("A25", "a body of 33 MB", ("R7",), with_large(*[7_000_000] * 4),
             status=413),
    Poisoned("A26", "one of three calls answered", ("R40",),
             opened(assistant(use("toolu_1"), use("toolu_2"), use("toolu_3")),
                    user(result("toolu_2", "the second"), "Go on."))),
    Poisoned("A27", "an input that is cut JSON", ("R47",),
             called(result("toolu_1"), input='{"path": "a')),
    Poisoned("A28", "a call without a name", ("R46",), called(result("toolu_1"), name="")),
    Poisoned("A28", "a name of 300 characters", ("R46",),
             called(result("toolu_1"), name="n" * 300)),
    Poisoned("A31", "a reference to a tool that is gone", ("A31",),
             called(result("toolu_1", [{"type": "tool_reference", "tool_name": "DesignSync"}]))),
    Poisoned("A32", "two messages of the user in a row", ("R20",),
             opened(user("And more."), assistant("Yes."), user("Go on.")),
             endpoint="compatible", tools=(READ,)),
    Poisoned("A33", "an answer to a call that was never made", ("R40",),
             called(result("call_2", "an answer"), id="call_1")),
    Poisoned("A35", "the empty answer of a refusal", ("R35",),
             opened(assistant(), user("Something else."))),
)  # fmt: skip
"""The classes that are faults of the messages."""

REQUEST: Final = (
    Poisoned("A29", "a schema with anyOf at the top", ("R84",), opened(), "request",
             tools=({**READ, "input_schema": {"type": "object", "anyOf": [{"type": "object"}]}},)),
    Poisoned("A30", "two tools of one name", ("R83",), opened(), "request", tools=(READ, READ)),
    Poisoned("A34", "a model that is gone", ("R10",), opened(), "request", status=404,
             model="claude-mythos-preview"),
)  # fmt: skip
"""The classes that are faults of the request around them."""

GOAL_V8: Final = (
    Poisoned("V8", "blank text of the user", ("R33",),
             opened(assistant("Yes."), user(" \n"), assistant("Yes?"), user("Go on."))),
    Poisoned("V8", "an input that is a text", ("R47",),
             called(result("toolu_1"), input="a.txt")),
    Poisoned("V8", "a block nobody knows", ("R31",),
             opened(assistant("Yes.", {"type": "hologram", "data": "x"}), user("Go on."))),
    Poisoned("V8", "a picture of 6 MB", ("R61",), with_large(6_000_000),
             endpoint="vertex"),
    Poisoned("V8", "a lost first line", ("R21",),
             lambda: [assistant(f"I remember {OPENING}"), user("Go on.")]),
    Poisoned("V8", "a lost first line with a call", ("R42",),
             lambda: [user(result("toolu_1", OPENING)), assistant("Yes."), user("Go on.")]),
    Poisoned("V8", "a refused picture", ("R59",), pictured(damaged()), "server"),
    Poisoned("V8", "a repeated tool id", ("R44",),
             opened(assistant(use("toolu_1", "a.txt")), user(result("toolu_1", "in a")),
                    assistant(use("toolu_1", "b.txt")), user(result("toolu_1", "in b")),
                    assistant("Both read."), user("Go on."))),
)  # fmt: skip
"""The damaged histories of goal V8, as other clients' files hold them."""

CASES: Final = (*HISTORY, *REQUEST, *GOAL_V8)
CLASSES: Final = tuple(f"A{number:02}" for number in range(1, 36))


def names() -> Iterator[str]:
    """Yield a readable id for every case, in order."""
    for case in CASES:
        yield f"{case.id} {case.what}"
