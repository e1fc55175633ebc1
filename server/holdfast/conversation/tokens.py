"""Estimates of tokens, from bytes, corrected by what the API has really counted.

Law: an estimate is cheap, deterministic and never used where the API's own figure is at hand.
Text costs its UTF-8 bytes divided by 3.5, which is right within a few percent for prose and code;
media cost a fixed amount, because their bytes say little about their tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:  # A message keeps its estimate, so `history` needs this module.
    from holdfast.conversation.history import Block, Message

BYTES_PER_TOKEN: Final = 3.5
IMAGE_TOKENS: Final = 1600
"""What an image of at most 2000 pixels a side costs, about, whatever its bytes."""
DOCUMENT_BYTES_PER_TOKEN: Final = 40
"""Encoded bytes of a PDF page against the tokens it is counted with: about 80 KB to 2000."""
MESSAGE_TOKENS: Final = 4
"""The frame of a message: role and separators."""
_FRAME_BYTES: Final = len('{"role":"","content":[]}')
RATIO_MIN: Final = 0.5
RATIO_MAX: Final = 2.5
_MEDIA_MARKS: Final = ('"image"', '"document"')


def estimate_text(value: str) -> int:
    """Return the tokens of a text, estimated; 0 only for the empty text."""
    return math.ceil(_size(value) / BYTES_PER_TOKEN)


def estimate(history: Iterable[Message]) -> int:
    """Return the tokens of some messages, estimated. System prompt and tools are not included."""
    return sum(message.tokens for message in history)


def estimate_message(blocks: Iterable[Block]) -> int:
    """Return the tokens of a message with these blocks, estimated. `Message.tokens` keeps it."""
    return MESSAGE_TOKENS + sum(map(estimate_block, blocks))


def estimate_block(block: Block) -> int:
    """Return the tokens of one block, estimated."""
    if any(mark in block.raw for mark in _MEDIA_MARKS):
        return _media_tokens(block)
    return estimate_text(block.raw)


def history_bytes(history: Iterable[Message]) -> int:
    """Return the exact size in bytes of some messages in a request body, commas included."""
    sizes = [message_bytes(message) for message in history]
    return sum(sizes) + max(len(sizes) - 1, 0)


def message_bytes(message: Message) -> int:
    """Return the exact size in bytes of one message in a request body."""
    frame = len(message.role) + _FRAME_BYTES
    return frame + sum(_size(block.raw) + 1 for block in message.blocks) - bool(message.blocks)


def _media_tokens(block: Block) -> int:
    hidden, tokens = _media(block.data)
    return tokens + math.ceil(max(_size(block.raw) - hidden, 0) / BYTES_PER_TOKEN)


def _media(value: Any) -> tuple[int, int]:
    """Return the bytes of encoded media inside a value, and the tokens that stand for them."""
    if isinstance(value, Mapping):
        source = value.get("source")
        body = source.get("data") if isinstance(source, Mapping) else None
        if value.get("type") == "image":
            return (len(body) if isinstance(body, str) else 0), IMAGE_TOKENS
        if value.get("type") == "document" and isinstance(body, str) and not _is_text(source):
            return len(body), max(IMAGE_TOKENS, len(body) // DOCUMENT_BYTES_PER_TOKEN)
        parts = [_media(item) for item in value.values()]
    elif isinstance(value, list):
        parts = [_media(item) for item in value]
    else:
        return 0, 0
    return sum(size for size, _ in parts), sum(tokens for _, tokens in parts)


def _is_text(source: Any) -> bool:
    return isinstance(source, Mapping) and source.get("type") == "text"


def _size(value: str) -> int:
    return len(value) if value.isascii() else len(value.encode(errors="surrogatepass"))


@attrs.frozen
class Calibration:
    """What the API counted for a request that is a prefix of the history, and what follows from it.

    `messages` is how many messages that request held, `tokens` its whole prompt (system, tools and
    cached parts included) plus the answer; `ratio` is real over estimated, clamped.
    """

    messages: int = 0
    tokens: int = 0
    ratio: float = 1.0

    @classmethod
    def from_usage(cls, sent: Sequence[Message], tokens: int, overhead: int = 0) -> Calibration:
        """Learn from one response: `tokens` is the real figure for `sent`.

        `overhead` is the estimated cost of what is sent besides the messages: system and tools.
        """
        guessed = estimate(sent) + overhead
        ratio = tokens / guessed if guessed > 0 and tokens > 0 else 1.0
        return cls(len(sent), max(tokens, 0), min(max(ratio, RATIO_MIN), RATIO_MAX))

    def context_tokens(self, history: Sequence[Message]) -> int:
        """Return the tokens of a history that `sent` is a prefix of: counted, then estimated."""
        return self.tokens + self.scaled(estimate(history[self.messages :]))

    def scaled(self, estimated: int) -> int:
        """Correct an estimate by the ratio seen last."""
        return math.ceil(estimated * self.ratio)
