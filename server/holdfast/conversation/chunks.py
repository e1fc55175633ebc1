"""Splitting a long text into chunks that are each summarised by themselves.

Law: chunks partition the text: joined in order they are the text, byte for byte. Splitting is
deterministic and looks only forward, so that a text which grows at its end keeps all chunks but the
last. Sizes are a fixed ladder and each is cut out of the one above it: whoever must ask in smaller
pieces than before still finds every larger one that was done, and cuts only the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Final

import attrs

from holdfast.conversation.tokens import BYTES_PER_TOKEN, estimate_text

SIZES: Final = (64_000, 32_000, 16_000, 8_000, 4_000, 2_000)
"""The sizes of chunks, in tokens, each half of the one before."""
SEPARATOR: Final = "\n\n"
_TIDY_SHARE: Final = 0.75
"""A cut inside a message is made after a line, when there is one in the last quarter."""


@attrs.frozen(cache_hash=True)
class Chunk:
    """Consecutive pieces of a text, small enough to be summarised at once."""

    pieces: tuple[str, ...]

    @property
    def text(self) -> str:
        """The chunk's part of the text."""
        return "".join(self.pieces)

    @cached_property
    def tokens(self) -> int:
        """How long it is, in estimated tokens."""
        return estimate_text(self.text)


def pieces_of(items: Sequence[str]) -> tuple[str, ...]:
    """Return the pieces of the text that some items make, one each; empty items have none."""
    return tuple(f"{item}{SEPARATOR}" for item in items if item)


def size_under(tokens: int) -> int:
    """Return the largest size of at most `tokens`; the smallest one when there is none."""
    return next((size for size in SIZES if size <= tokens), SIZES[-1])


def partition(
    pieces: Sequence[str], size: int, done: Callable[[str], bool] = lambda _text: False
) -> tuple[Chunk, ...]:
    """Cut a text into chunks of at most `size` tokens, one of `SIZES`.

    A larger chunk stays whole when its text is `done`.
    """
    return tuple(_within(pieces, SIZES, size, done))


def halves(chunk: Chunk) -> tuple[Chunk, ...]:
    """Cut a chunk into smaller ones of the ladder; the chunk itself when none is smaller."""
    smaller = next((size for size in SIZES if size < chunk.tokens), None)
    if smaller is None:
        return (chunk,)
    return tuple(_within(chunk.pieces, (smaller,), smaller, lambda _text: False))


def _within(
    pieces: Sequence[str], sizes: Sequence[int], size: int, done: Callable[[str], bool]
) -> Iterator[Chunk]:
    for group in _packed(pieces, _bytes(sizes[0])):
        chunk = Chunk(group)
        if len(sizes) == 1 or chunk.tokens <= size or done(chunk.text):
            yield chunk
        else:
            yield from _within(group, sizes[1:], size, done)


def _packed(pieces: Sequence[str], bytes_max: int) -> Iterator[tuple[str, ...]]:
    """Put as many pieces together as fit, in order, cutting what is longer than that by itself."""
    group: list[str] = []
    room = bytes_max
    for part in itertools.chain.from_iterable(_cut(piece, bytes_max) for piece in pieces):
        size = len(_encoded(part))
        if group and size > room:
            yield tuple(group)
            group, room = [], bytes_max
        group.append(part)
        room -= size
    if group:
        yield tuple(group)


def _cut(piece: str, bytes_max: int) -> Iterator[str]:
    """Cut a piece into parts of at most `bytes_max`, between characters and rather after a line."""
    rest = _encoded(piece)
    while len(rest) > bytes_max:
        line = rest.rfind(b"\n", int(bytes_max * _TIDY_SHARE), bytes_max) + 1
        end = line or _character_end(rest, bytes_max)
        yield _decoded(rest[:end])
        rest = rest[end:]
    yield _decoded(rest)


def _character_end(encoded: bytes, end: int) -> int:
    """Return the last place up to `end` at which no character is cut in two."""
    while encoded[end] & 0xC0 == 0x80:
        end -= 1
    return end


def _bytes(tokens: int) -> int:
    return int(tokens * BYTES_PER_TOKEN)


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _decoded(encoded: bytes) -> str:
    return encoded.decode(errors="surrogatepass")
