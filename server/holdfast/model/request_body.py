"""The bytes of one request.

Law: a block's bytes go into the body as they are stored; prompt cache and bound thinking depend on
them (R70-R74). Cache marks are computed for each request and put on copies, never stored, at most
four (R79), never on what cannot carry one (R81). Moving them keeps thinking valid (§2.7.1). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from holdfast.conversation import encoding
from holdfast.conversation.history import USER, Block, Message
from holdfast.model import compaction
from holdfast.model.port import ModelRequest

# Above this many characters of content the body is built in a worker thread.
BIG_CHARS: Final = 256 * 1024

BINDING_BETA: Final = "thinking-binding-controls-2026-08-01"
"""The beta header that `drop_mismatched_thinking` needs (R72, R78)."""

_DROP_MISMATCHED: Final = (
    '{"type":"adaptive","block_binding":{"prefix_mismatch_behavior":"drop_block"}}'
)
_MARK: Final = '"cache_control":{"type":"ephemeral"}'
_CACHEABLE: Final = frozenset({"text", "image", "document", "search_result", "tool_result"})


@attrs.frozen
class Envelope:
    """What stands around a prompt in a body; the defaults are the Messages API's.

    Clouds that name the model in the path take it out of the body (`model`), and with it, where the
    path says so too, that the answer is to be streamed (`stream`). `version` is the API's version
    in the body, and `betas` in the body says that the beta headers stand there.
    """

    model: bool = True
    stream: bool = True
    version: str = ""
    betas: bool = False


MESSAGES: Final = Envelope()


def size_chars(request: ModelRequest) -> int:
    """Return roughly how long the body is, in characters, without building it."""
    return sum(len(block.raw) for message in request.messages for block in message.blocks)


def build(
    request: ModelRequest,
    *,
    cache_marks: bool = True,
    envelope: Envelope = MESSAGES,
    betas: Sequence[str] = (),
) -> bytes:
    """Return the body of `POST /v1/messages` for a streamed response.

    The marks are: the tools, the system prompt, the end of the last user message, and that of the
    user message before it, where the request before this one had its last mark: the API looks back
    only 20 blocks from a mark. A history that carries marks of its own gets none from us.
    `thinking` and sampling parameters are left out: every current model takes that (R14, R65).
    `betas` are written where the envelope has them in the body.
    """
    answer = [f'"max_tokens":{request.max_output_tokens}']
    if envelope.stream:
        answer.append('"stream":true')
    if envelope.betas and betas:
        answer.append(f'"anthropic_beta":{encoding.encode(list(betas))}')
    if request.compaction is not None:
        answer.append(compaction.parameter(request.compaction))
    prompt = _prompt(request, cache_marks=cache_marks, envelope=envelope)
    return f"{{{','.join([*prompt, *answer])}}}".encode()


def build_count(
    request: ModelRequest, *, cache_marks: bool = True, envelope: Envelope = MESSAGES
) -> bytes:
    """Return the body of `POST /v1/messages/count_tokens`: the same without what is answered."""
    return f"{{{','.join(_prompt(request, cache_marks=cache_marks, envelope=envelope))}}}".encode()


def _prompt(request: ModelRequest, *, cache_marks: bool, envelope: Envelope) -> list[str]:
    marked = cache_marks and not _has_marks(request)
    parts = [f'"model":{encoding.encode(request.model)}'] if envelope.model else []
    if envelope.version:
        parts.append(f'"anthropic_version":{encoding.encode(envelope.version)}')
    if request.system.strip():
        parts.append(f'"system":[{_system(request.system, marked=marked)}]')
    if request.tools:
        parts.append(f'"tools":[{",".join(_tools(request.tools, marked=marked))}]')
        if not request.tools_allowed:
            parts.append('"tool_choice":{"type":"none"}')
    if request.drop_mismatched_thinking:
        parts.append(f'"thinking":{_DROP_MISMATCHED}')
    parts.append(f'"messages":[{",".join(_messages(request.messages, marked=marked))}]')
    return parts


def _system(text: str, *, marked: bool) -> str:
    raw = encoding.encode({"type": "text", "text": text})
    return _with_mark(raw) if marked else raw


def _tools(tools: Sequence[Mapping[str, Any]], *, marked: bool) -> list[str]:
    """Encode the tools; the mark goes on the last one that the prompt's start really holds."""
    encoded = [encoding.encode(tool) for tool in tools]
    last = next((k for k in reversed(range(len(tools))) if not tools[k].get("defer_loading")), None)
    if marked and last is not None:
        encoded[last] = _with_mark(encoded[last])
    return encoded


def _messages(messages: Sequence[Message], *, marked: bool) -> list[str]:
    encoded = [message.wire for message in messages]
    if marked:
        users = [k for k, message in enumerate(messages) if message.role == USER]
        for position in users[-2:]:
            encoded[position] = _marked_message(messages[position])
    return encoded


def _marked_message(message: Message) -> str:
    """Return the message's bytes with a mark on a copy of its last cacheable block, if any."""
    blocks = message.blocks
    for position in reversed(range(len(blocks))):
        if _is_cacheable(blocks[position]):
            copy = Block(_with_mark(blocks[position].raw))
            return Message(message.role, (*blocks[:position], copy, *blocks[position + 1 :])).wire
    return message.wire


def _is_cacheable(block: Block) -> bool:
    if block.type == "text":
        return bool(block.text_of("text").strip())
    return block.type in _CACHEABLE


def _with_mark(raw: str) -> str:
    return f"{raw[:-1]},{_MARK}}}"


def _has_marks(request: ModelRequest) -> bool:
    """Say whether the caller's data carries marks, as imported transcripts may."""
    return any("cache_control" in tool for tool in request.tools) or any(
        '"cache_control"' in block.raw for message in request.messages for block in message.blocks
    )
