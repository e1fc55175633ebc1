"""Blocks as text: how what may not be sent as it is still reaches the model.

Law: no words are lost. A cast keeps names, arguments, texts, titles and addresses; only encrypted
fields, signatures and the bytes of media become a stub that says what was there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from holdfast.conversation import encoding
from holdfast.conversation.history import Block, text
from holdfast.conversation.profile import is_server_result, is_server_use

_OPAQUE: Final = frozenset(
    {"encrypted_content", "encrypted_index", "encrypted_stdout", "signature", "cache_control"}
)
_MEDIA: Final = frozenset({"image", "document"})
_WORDS: Final = ("text", "content", "thinking")
BASE64_TEXT_MAX: Final = 512
"""Longer strings under `data` are taken for bytes and stubbed."""


def as_text(block: Block) -> str:
    """Return a block as text for people and models; never blank, except for blank text."""
    data = block.data
    kind = block.type
    if kind == "text":
        said = data.get("text")
        return said if isinstance(said, str) else "" if said is None else encoding.encode(said)
    if kind == "tool_use" or is_server_use(kind):
        return call_line(block)
    if kind == "tool_result":
        return result_text(data, "Result of a tool call")
    if is_server_result(kind):
        return f"[{kind}: {_readable(data.get('content'))}]"
    if kind in _MEDIA:
        return media_stub(data)
    return _unknown_as_text(data, kind)


def _unknown_as_text(data: Mapping[str, Any], kind: str) -> str:
    rest = {k: v for k, v in data.items() if k not in {"type", *_OPAQUE}}
    words = next((rest.pop(k) for k in _WORDS if isinstance(rest.get(k), str)), "")
    label = f"[{kind or 'block without a type'}]"
    if not rest and words.strip() and not kind:
        return words
    parts = [label, words if words.strip() else "", encoding.encode(_plain(rest)) if rest else ""]
    return " ".join(filter(None, parts))


def call_line(block: Block) -> str:
    """Return a tool call as one line: `[called run: {"command":"make test"}]`."""
    name = block.text_of("name") or "a tool without a name"
    return f"[called {name}: {encoding.encode(_plain(block.get('input')))}]"


def result_text(data: Mapping[str, Any], label: str) -> str:
    """Return a `tool_result` as text under a label, media inside it as stubs."""
    parts = [part for part in map(item_text, items(data.get("content"))) if part.strip()]
    failed = ", which reported an error" if data.get("is_error") is True else ""
    return "\n".join([f"[{label}{failed}]", *parts])


def result_as_blocks(data: Mapping[str, Any], label: str) -> tuple[Block, ...]:
    """Return a `tool_result` as blocks of a user message: its words as text, its media whole."""
    content = items(data.get("content"))
    media = [item for item in content if isinstance(item, Mapping) and _is_whole_media(item)]
    words = {**data, "content": [item for item in content if item not in media]}
    return (text(result_text(words, label)), *map(Block.of, media))


def items(content: Any) -> list[Any]:
    """Return the content of a `tool_result` as a list."""
    if content is None:
        return []
    return content if isinstance(content, list) else [content]


def item_text(item: Any) -> str:
    """Return one item of a `tool_result`'s content as text."""
    if isinstance(item, str):
        return item
    if not isinstance(item, Mapping):
        return encoding.encode(item)
    if item.get("type") == "tool_reference":
        return f"[tool found: {item.get('tool_name')}]"
    return as_text(Block.of(item))


def media_stub(data: Mapping[str, Any]) -> str:
    """Return what can be said of an image or a document; words that it is made of are kept."""
    given = data.get("source")
    source = given if isinstance(given, Mapping) else {}
    names = [str(n) for n in (data.get("title"), source.get("media_type"), source.get("url")) if n]
    body = source.get("data")
    if isinstance(body, str) and source.get("type") != "text":
        names.append(f"{len(body)} bytes encoded")
    words = [part for part in _source_words(given) if part.strip()]
    if isinstance(data.get("context"), str):
        words.insert(0, data["context"])
    stub = f"[{data.get('type')}: {', '.join(names) or ('as text' if words else 'not kept')}]"
    return "\n".join([stub, *words])


def _source_words(source: Any) -> list[str]:
    """Return the words of a text document, of one made of blocks, or of a broken source."""
    if isinstance(source, Mapping):
        body = source.get("data") if source.get("type") == "text" else None
        words = [body] if isinstance(body, str) else []
        if source.get("type") == "content":
            words += [item_text(item) for item in items(source.get("content"))]
        return words
    if isinstance(source, str):
        return [_stub(source)]
    return [] if source is None else [encoding.encode(_plain(source))]


def _is_whole_media(item: Mapping[str, Any]) -> bool:
    return item.get("type") in _MEDIA and isinstance(item.get("source"), Mapping)


def _readable(value: Any) -> str:
    words = list(_strings(value))
    return " — ".join(words) if words else encoding.encode(_plain(value))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key not in _OPAQUE and key != "type":
                yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _plain(value: Any) -> Any:
    """Drop encrypted fields and stub long `data`, deep inside a value."""
    if isinstance(value, Mapping):
        return {
            key: _stub(item) if key == "data" and isinstance(item, str) else _plain(item)
            for key, item in value.items()
            if key not in _OPAQUE
        }
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _stub(data: str) -> str:
    return data if len(data) <= BASE64_TEXT_MAX else f"({len(data)} bytes)"
