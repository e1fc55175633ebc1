"""Requests that the API accepts, made by chance: all kinds of blocks, all kinds of turns.

Law: what `valid_request(seed)` returns depends on the seed alone, and every rule is kept by
construction. Thinking and compactions are sealed with the simulator's own key, so that a change
which breaks no binding can be sealed again, and one which breaks it cannot.
"""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import msgspec

from differential.pictures import FILES, Json, image, pdf
from holdfast.simulator.models import MODELS, ModelSpec
from holdfast.simulator.rules.request import THINKING_TYPES, merged_turns
from holdfast.simulator.thinking import Seal, Signer, digest, prefixes, root_of

SIGNER = Signer(b"the key of the differential test")
COMPACTION = "compact-2026-09-04"
INLINE_TOOLS = "inline-tools-2026-09-15"
MCP = "mcp-client-2026-09-15"
BETAS = (COMPACTION, INLINE_TOOLS, MCP)
NEWEST = "claude-opus-5-5"
SERVED = tuple(sorted(name for name, spec in MODELS.items() if spec.lifecycle != "retired"))
TOOLS: tuple[Json, ...] = (
    {"name": "read", "description": "Read a file.", "input_schema": {"type": "object"}},
    {"name": "run", "description": "Run a command.", "input_schema": {"type": "object"}},
    {"type": "web_search_20260318", "name": "web_search"},
    {"type": "code_execution_20260521", "name": "code_execution"},
)
WORDS = ("list the files", "done", "ärger ✓ 😀", "x", "  padded", "line\nline", "{}", '"', "ok?")
INPUTS: tuple[Json, ...] = (
    {}, {"path": "a.txt"}, {"deep": [{"er": None}, 1.5, True]}, {"ü": "😀"}, {"type": "text"},
    {"cache_control": {"type": "ephemeral"}},
)  # fmt: skip
MARK = {"type": "ephemeral"}
SEED_STRIDE = 10_000_000
"""Histories are numbered; a seed says which million-fold to begin at."""


@dataclass
class Request:
    """What is sent: the parts that the grammar of histories depends on."""

    model: str
    messages: list[Json]
    betas: frozenset[str] = frozenset()
    tools: list[Json] = field(default_factory=list)
    endpoint: str = "firstParty"

    @property
    def spec(self) -> ModelSpec:
        return MODELS[self.model]

    def body(self) -> Json:
        sent: Json = {"model": self.model, "max_tokens": 64, "messages": self.messages}
        return {**sent, "tools": self.tools} if self.tools else sent

    def copy(self) -> Request:
        messages = msgspec.json.decode(msgspec.json.encode(self.messages))
        return Request(self.model, messages, self.betas, list(self.tools), self.endpoint)


def valid_request(seed: int) -> Request:
    """Return one request that keeps every rule."""
    return _Maker(random.Random(seed)).request()


class _Maker:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.count = 0
        self.marks = 0
        model = NEWEST if self.often(50) else chance.choice(SERVED)
        self.plain = self.often(12)  # for a server that knows text, pictures and calls
        betas = frozenset(beta for beta in BETAS if self.often(25) and not self.plain)
        endpoint = "compatible" if self.plain else "firstParty"
        self.made = Request(model, [], betas, list(TOOLS), endpoint)
        self.coded = False  # whether the last turn's calls were made by code
        self.pending: list[str] = []  # server calls whose results come in a later turn (R55)

    def often(self, percent: int) -> bool:
        return self.chance.random() * 100 < percent

    def words(self) -> str:
        return self.chance.choice(WORDS)

    def name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}_{self.count}"

    # --- the history ---------------------------------------------------------------------------

    def request(self) -> Request:
        self.begin()
        for number in range(self.chance.choice((0, 1, 1, 2, 2, 3, 4, 6))):
            self.turn(number)
        self.end()
        if not self.plain:
            self.split_messages()
        self.simplify_contents()
        seal(self.made)
        return self.made

    def may_note(self) -> bool:
        return self.made.spec.system_role == "supported" and not self.plain

    def say(self, role: str, *blocks: Json) -> None:
        self.made.messages.append({"role": role, "content": list(blocks)})

    def begin(self) -> None:
        if COMPACTION in self.made.betas and self.often(60):
            content = None if self.often(15) else "What was done so far."
            summary = {"type": "compaction", "content": content}
            if self.often(50):
                self.say("assistant", summary, *([self.text()] if self.often(30) else []))
                self.say("user", *self.asked())
            else:
                self.say("user", summary, *self.asked())
            return
        self.say("user", *self.asked())

    def turn(self, number: int) -> None:
        if self.may_note() and self.often(12) and not self.pending:
            self.say("system", *self.noted())
        self.coded = False
        spoken, calls = self.spoken(number)
        if calls and self.often(10) and not (self.plain or self.coded):
            self.pending.append(self.name("srvtoolu"))
            spoken.insert(self.chance.randint(0, len(spoken)), self.search(self.pending[0]))
        self.say("assistant", *spoken)
        answered = [self.result(call) for call in calls]
        self.chance.shuffle(answered)
        goes_on = not answered or (self.often(40) and not self.pending)
        self.say("user", *answered, *(self.asked() if goes_on else []))

    def end(self) -> None:
        """Most requests end with the user; some in other ways that are legal (R22, R53)."""
        spec = self.made.spec
        if self.pending:
            return  # the results of the client's calls are the last word (R51)
        if self.coded:
            # Without a container, code that still runs cannot be answered (R54).
            self.say("assistant", self.text())
            self.say("user", *self.asked())
        if self.may_note() and self.often(6):
            self.say("system", *self.noted())
        elif self.often(4) and not self.plain:
            self.say("assistant", self.text(), self.search(self.name("srvtoolu")))
        elif spec.prefill and self.often(30):
            self.say("assistant", {"type": "text", "text": "The answer is"})

    # --- blocks --------------------------------------------------------------------------------

    def text(self) -> Json:
        return self.marked({"type": "text", "text": self.words()})

    def marked(self, block: Json) -> Json:
        if self.marks < 4 and self.often(6) and not self.plain:
            self.marks += 1
            block["cache_control"] = {**MARK, "ttl": "5m"} if self.often(30) else dict(MARK)
        return block

    def picture(self) -> Json:
        media_type, data = self.chance.choice(FILES)
        return self.marked(image(data, media_type))

    def document(self) -> Json:
        if self.often(60):
            return self.marked(pdf(self.chance.randint(1, 3)))
        source: Json = {"type": "text", "media_type": "text/plain", "data": "a b c"}
        if self.often(50):
            source = {"type": "content", "content": [{"type": "text", "text": self.words()}]}
        return self.marked({"type": "document", "source": source, "title": "notes"})

    def finding(self) -> Json:
        inner = [{"type": "text", "text": self.words()}]
        return {"type": "search_result", "source": "here", "title": "one", "content": inner}

    def asked(self) -> list[Json]:
        blocks = [self.text()]
        if self.often(12):
            blocks.insert(self.chance.randint(0, 1), self.picture())
        if self.often(5):
            blocks.append(self.document())
        if self.plain:
            return blocks
        if self.often(4):
            blocks.append(self.finding())
        if self.often(2):
            blocks.append({"type": "container_upload", "file_id": "file_1"})
        if self.often(2):
            blocks.append({"type": "image", "source": {"type": "url", "url": "https://h/a.png"}})
        return blocks

    def noted(self) -> list[Json]:
        blocks = [self.text()]
        if INLINE_TOOLS in self.made.betas and self.often(50):
            kind = self.chance.choice(("tool_addition", "tool_removal"))
            reference = {"type": "tool_reference", "name": "run"}
            blocks.append({"type": kind, "tool": reference})
        return blocks

    def search(self, identifier: str) -> Json:
        asked = {"query": self.words()}
        return {"type": "server_tool_use", "id": identifier, "name": "web_search", "input": asked}

    def thought(self) -> Json:
        if self.often(20):
            return {"type": "redacted_thinking", "data": ""}
        return {"type": "thinking", "thinking": "" if self.often(50) else "hm", "signature": ""}

    def spoken(self, number: int) -> tuple[list[Json], list[str]]:
        """One assistant turn: its blocks, and the calls that the client has to answer."""
        blocks = [self.found(identifier) for identifier in self.pending]
        self.pending.clear()  # which waited for the client's results (R55)
        if self.often(40) and not self.plain:
            blocks.append(self.thought())
        if self.often(60):
            blocks.append(self.text())
        codes = [] if self.plain else self.served(blocks, number)
        calls = [self.name("toolu") for _ in range(self.chance.choice((0, 0, 1, 1, 2, 3)))]
        for call in calls:
            if self.often(10) and not self.plain:
                blocks.append(self.thought())
            blocks.append(self.call(call, codes))
        if not blocks or blocks[-1]["type"] in THINKING_TYPES:
            blocks.append(self.text())
        return blocks, calls

    def served(self, blocks: list[Json], number: int) -> list[str]:
        """Add calls that the API ran itself; return those whose code may call tools."""
        if self.often(15):
            identifier = self.name("srvtoolu")
            blocks += [self.search(identifier), self.found(identifier)]
            if self.often(40):
                blocks.append(self.text())
        if MCP in self.made.betas and self.often(30):
            identifier = self.name("mcptoolu")
            call = {"type": "mcp_tool_use", "id": identifier, "name": "ask", "server_name": "wiki"}
            answer = {"type": "mcp_tool_result", "tool_use_id": identifier}
            blocks += [{**call, "input": {}}, {**answer, "content": [], "is_error": False}]
        if number % 2 or not self.often(8):
            return []
        identifier = self.name("srvtoolu")
        call = {"type": "server_tool_use", "id": identifier, "name": "code_execution"}
        answer = {"type": "code_execution_tool_result", "tool_use_id": identifier, "content": {}}
        blocks += [{**call, "input": {"code": "1"}}, answer]
        return [identifier]

    def found(self, identifier: str) -> Json:
        return {"type": "web_search_tool_result", "tool_use_id": identifier, "content": []}

    def call(self, identifier: str, codes: list[str]) -> Json:
        block = {"type": "tool_use", "id": identifier, "name": self.chance.choice(("read", "run"))}
        block["input"] = deepcopy(self.chance.choice(INPUTS))
        if self.often(20):
            block["caller"] = {"type": "direct"}
        elif codes and self.often(60):
            block["caller"] = {"type": "code_execution_20260521", "tool_id": codes[0]}
            self.coded = True
        return self.marked(block)

    def result(self, identifier: str) -> Json:
        block: Json = {"type": "tool_result", "tool_use_id": identifier}
        if self.often(20):
            return self.marked({**block, "is_error": True, "content": "it failed"})
        match self.chance.randint(0, 6):
            case 0:
                pass
            case 1:
                block["content"] = ""
            case 2:
                block["content"] = []
            case 3 if not self.plain:
                block["content"] = [{"type": "text", "text": self.words()}, self.picture()]
            case 4 if not self.plain:
                reference = {"type": "tool_reference", "tool_name": "read"}
                block["content"] = [reference if self.often(30) else self.text()]
            case _:
                block["content"] = self.words()
        return self.marked(block)

    # --- the form ------------------------------------------------------------------------------

    def split_messages(self) -> None:
        """Say one turn in two messages, which means the same (R20)."""
        split: list[Json] = []
        for message in self.made.messages:
            content = message["content"]
            if len(content) > 1 and self.often(15):
                at = self.chance.randint(1, len(content) - 1)
                split.append({"role": message["role"], "content": content[:at]})
                content = content[at:]
            split.append({"role": message["role"], "content": content})
        self.made.messages = split

    def simplify_contents(self) -> None:
        """Write a content that is one plain text as a string, which means the same."""
        for message in self.made.messages:
            match message["content"]:
                case [{"type": "text", "text": text, **rest}] if not rest and self.often(40):
                    message["content"] = text


def seal(request: Request, *, key: Signer = SIGNER) -> None:
    """Sign everything that is signed, as if this history were what was said.

    Turns that have lost their shape are left alone: another rule speaks of them first.
    """
    body: Any = request.body()
    for message in request.messages:
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block.get("type") == "compaction" and block.get("content") is not None:
                block["signature"] = key.sign(_summary(request, block["content"], body))
    turns = merged_turns(request.messages)
    before = prefixes(root_of(body), turns, key)
    previous = ""
    for number, turn in enumerate(turns):
        order = 0
        for place in turn.blocks:
            block = place.data
            if block.get("type") not in THINKING_TYPES:
                continue
            shown = block.get("thinking", "")
            signature = key.sign(
                Seal(
                    kind=block["type"],
                    model=request.model,
                    text=digest(shown),
                    prefix=before[number],
                    previous=previous,
                    response=f"msg_{number}",
                    order=order,
                    omitted=not shown,
                )
            )
            previous, order = digest(signature), order + 1
            block["signature" if block["type"] == "thinking" else "data"] = signature


def _summary(request: Request, content: str, body: Json) -> Seal:
    return Seal(
        kind="compaction",
        model=request.model,
        text=digest(content),
        prefix=digest("what came before"),
        root=root_of(body),
    )
