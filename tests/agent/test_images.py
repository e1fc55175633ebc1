"""Pictures in a session: accepted at once, and never a reason to change what was sent (A17-A20)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from agent.stage import Room, room, step, supervised
from holdfast.agent import intake
from holdfast.conversation.history import Block, text
from holdfast.media import pictures
from holdfast.session.events import PromptAccepted, TurnEnded
from holdfast.simulator import Script, Simulator
from holdfast.tools.port import Mention
from media import pictures as make

MARK = b',"cache_control":{"type":"ephemeral"}'
PICTURES = 15
TURNS = 50


class Wiretap:
    """Stands between the SDK and the simulator and keeps the bodies of the requests, as sent."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._server: asyncio.Server | None = None
        self.bodies: list[bytes] = []

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Wiretap]:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with self._server:
            yield self

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        there, forth = await asyncio.open_connection(self._target.hostname, self._target.port)
        answering = asyncio.create_task(self._answer(there, back))
        try:
            while head := await _head(client):
                body = await client.readexactly(_length(head))
                if head.startswith(b"POST /v1/messages "):
                    self.bodies.append(body)
                forth.write(head + body)
                await forth.drain()
        finally:
            forth.close()
            await asyncio.wait([answering])

    async def _answer(self, there: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while piece := await there.read(65_536):
            back.write(piece)
            await back.drain()
        back.close()


async def _head(client: asyncio.StreamReader) -> bytes:
    try:
        return await client.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next((int(ln.split(b":")[1]) for ln in lines if ln.startswith(b"content-length")), 0)


def messages_in(body: bytes) -> bytes:
    """The bytes of the messages in a request body, from the first to the last one's end."""
    words = body.replace(MARK, b"").decode()
    start = words.index('"messages":[') + len('"messages":')
    _, end = json.JSONDecoder().raw_decode(words, start)
    return words[start : end - 1].encode()


async def send(session: Room, *content: Block, mentions: tuple[Mention, ...] = ()) -> None:
    accepted = await session.supervisor.send(session.session_id, content, None, mentions)
    await session.until(TurnEnded, lambda event: event.turn_id == accepted.turn_id)


def images_in(body: Any) -> Iterator[dict[str, Any]]:
    for message in body["messages"]:
        for block in message["content"]:
            items = block.get("content") if block["type"] == "tool_result" else [block]
            yield from (item for item in items if item["type"] == "image")


@pytest.mark.survives("A17", "A18")
async def test_P2_many_large_pictures_are_accepted_at_once_and_nothing_sent_ever_changes(
    tmp_path: Path,
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    huge = make.noise("PNG", 1450, 1450)
    assert len(huge) > 6_000_000
    (workspace / "huge.png").write_bytes(huge)
    for number in range(PICTURES):
        (workspace / f"{number}.jpg").write_bytes(make.drawn("JPEG", 3000, 60 + number))
    pasted = [make.image(make.drawn("JPEG", 60 + n, 3000), "image/png") for n in range(PICTURES)]
    reads = [
        ("read", {"path": name}) for name in [*map("{}.jpg".format, range(PICTURES)), "huge.png"]
    ]
    script = Script.parse([step({"last_user_contains": "read them"}, calls=reads)])
    async with (
        Simulator(script) as simulator,
        Wiretap(simulator.base_url).listening() as tap,
        supervised(tap, tmp_path / "data") as supervisor,
    ):
        session_id = await supervisor.create(
            workspace_uri=workspace.as_uri(), title=None, model=None
        )
        session = Room(supervisor, simulator, session_id)
        await send(session, text("look"), *pasted, mentions=(Mention("huge.png"),))
        await send(session, text("read them"))
        for number in range(TURNS - 2):
            await send(session, text(f"and {number}?"))
        await session.leave()
        assert simulator.refusals == []
        sent = [messages_in(body) for body in tap.bodies]
        shown = list(images_in(json.loads(tap.bodies[-1])))
    assert len(sent) == TURNS + 1
    assert all(later.startswith(earlier) for earlier, later in pairwise(sent))
    assert len(shown) == 2 * (PICTURES + 1)
    for image in shown:
        assert max(make.opened(Block.of(image)).size) <= pictures.SIDE_MAX


@pytest.mark.survives("A20")
async def test_P1_a_prompt_is_not_lost_for_a_picture_that_cannot_be_shown(tmp_path: Path) -> None:
    async with room(tmp_path) as session:
        (tmp_path / "workspace" / "cut.png").write_bytes(make.drawn("PNG", 300, 200)[:-400])
        broken = make.image(make.bomb(40_000, 40_000))
        await send(session, text("look"), broken, mentions=(Mention("cut.png"),))
        [accepted] = session.of(PromptAccepted)
        [message] = session.simulator.log[-1].body["messages"]
        said, bomb, cut = [block["text"] for block in message["content"]]
        assert said == "look"
        assert "more than can be decoded safely" in bomb
        assert cut.startswith('<file path="cut.png">\n[Not shown: [image, image/png,')
        assert accepted.mentions == ("cut.png",)
        assert session.simulator.refusals == []


@pytest.mark.survives("A19", "A20")
async def test_P3_a_tool_that_brings_a_damaged_or_misnamed_picture_does_not_end_the_session(
    tmp_path: Path,
) -> None:
    reads = [("read", {"path": name}) for name in ("shot.jpg", "cut.png", "moving.gif")]
    async with room(tmp_path, step({"last_user_contains": "read"}, calls=reads)) as session:
        workspace = tmp_path / "workspace"
        (workspace / "shot.jpg").write_bytes(make.drawn("BMP", 40, 30))
        (workspace / "cut.png").write_bytes(make.drawn("PNG", 300, 200)[:-400])
        (workspace / "moving.gif").write_bytes(make.animation("GIF"))
        await send(session, text("read"))
        await send(session, text("and now?"))
        results = session.simulator.log[-1].body["messages"][2]["content"]
        shot, cut, moving = [block["content"] for block in results]
        assert [item["type"] for item in shot] == ["text", "image"]
        assert shot[1]["source"]["media_type"] == "image/png"
        assert "could not be decoded" in cut[1]["text"]
        assert "first of several frames" in moving[2]["text"]
        assert session.simulator.refusals == []


async def test_P4_a_transcript_with_large_pictures_is_taken_in_with_smaller_ones(
    tmp_path: Path,
) -> None:
    source = make.source_of(make.drawn("PNG", 2400, 40), "image/jpeg")
    asked = {"role": "user", "content": [{"type": "image", "source": source}] * 21}
    lines = [
        {"type": "user", "uuid": "1", "parentUuid": None, "sessionId": "s", "message": asked},
        {"type": "assistant", "uuid": "2", "parentUuid": "1", "sessionId": "s",
         "message": {"role": "assistant", "id": "m", "content": [{"type": "text", "text": "ok"}]}},
    ]  # fmt: skip
    path = tmp_path / "s.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = path.read_bytes()
    async with room(tmp_path) as session:
        imported = await session.supervisor.import_transcript(path, title=None, workspace_uri=None)
        other = Room(session.supervisor, session.simulator, imported)
        await send(other, text("and now?"))
        await other.leave()
        shown = list(images_in(session.simulator.log[-1].body))
        assert [make.opened(Block.of(image)).size for image in shown] == [(2000, 33)] * 21
        assert session.simulator.refusals == []
    assert path.read_bytes() == before


@pytest.mark.survives("A22")
async def test_A22_a_tool_that_sets_itself_no_limit_is_clipped_in_its_middle() -> None:
    long = text("begin" + "é" * intake.OUTPUT_BYTES_MAX + "end")
    short = text("short")
    clipped, same = await intake.tool_output((long, short))
    said = clipped.text_of("text")
    assert said.startswith("begin")
    assert said.endswith("end")
    assert len(said.encode()) <= intake.OUTPUT_BYTES_MAX
    assert same is short
