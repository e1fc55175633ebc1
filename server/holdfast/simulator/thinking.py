"""Signatures of thinking and compaction blocks.

Law: a signature is a sealed statement about one block: who made it, its text, everything that
stood before it, and the thinking before it. Sealing needs no memory, so that signatures outlive
a restart of the simulator; only the list of a response's blocks (R70) is remembered.

The model is that of specification §8: HMAC over model, thinking, prefix and previous signature.
The prefix is a hash chain over merged turns, which a compaction block continues (§6).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from holdfast.simulator.rules.request import (
    THINKING_TYPES,
    JsonObject,
    Turn,
)

DEFAULT_KEY: Final = b"the simulator's signing key"
_MAC_BYTES: Final = 32
_DIGEST_CHARS: Final = 24
# Fields that may change between requests without changing what the model saw (§2.7.1, R49).
_UNBOUND_FIELDS: Final = frozenset({"cache_control", "caller"})
_NO_HISTORY: Final = ""


class Seal(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a signature states about its block.

    `text` is a digest of the block's text, `prefix` of all turns before the block's own,
    `previous` of the signature before it that its model could read. `order` counts the thinking
    blocks of one response from zero. A compaction block has `root`, the digest of system and
    tools, and its `prefix` covers the turns that it stands for. `organization` is the one that the
    block was made for (R75).
    """

    kind: str
    model: str
    text: str
    prefix: str
    previous: str = _NO_HISTORY
    response: str = ""
    order: int = 0
    omitted: bool = False
    root: str = ""
    organization: str = ""


def digest(text: str) -> str:
    """Return a short digest of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]


class Signer:
    """Seals and unseals. Two signers with one key accept each other's signatures."""

    def __init__(self, key: bytes = DEFAULT_KEY) -> None:
        self._key = key

    def sign(self, seal: Seal) -> str:
        """Return the signature that states `seal`, as base64."""
        statement = msgspec.json.encode(seal)
        return base64.b64encode(self._mac(statement) + statement).decode("ascii")

    def read(self, signature: str) -> Seal | None:
        """Return what a signature states, or None when it is not one of ours, whole."""
        try:
            sealed = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return None
        mac, statement = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(statement)):
            return None
        return msgspec.json.decode(statement, type=Seal)

    def _mac(self, statement: bytes) -> bytes:
        return hmac.digest(self._key, statement, "sha256")


class Ledger:
    """Which thinking blocks each response held, for "cannot be modified" (R70).

    A response that was cut is remembered as open: what may be kept of it is not documented (spec
    §3.5), so any beginning of it is accepted.
    """

    def __init__(self) -> None:
        self._issued: dict[str, list[str]] = {}
        self._complete: set[str] = set()

    def issued(self, response: str, signature: str) -> None:
        """Remember the next thinking block of a response."""
        self._issued.setdefault(response, []).append(signature)

    def completed(self, response: str) -> None:
        """Remember that a response was sent to its end."""
        self._complete.add(response)

    def accepts(self, response: str, signatures: list[str], orders: list[int]) -> bool:
        """Tell whether these are the thinking blocks of a response, all and in order.

        For a response of an earlier run only the order is known.
        """
        known = self._issued.get(response)
        if known is None:
            return orders == list(range(len(orders)))
        if response in self._complete:
            return signatures == known
        return signatures == known[: len(signatures)]


def canonical(value: Any) -> bytes:
    """Return JSON bytes in which only what binds is left: no cache marks, no callers."""
    text = json.dumps(_bound(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _bound(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            # A tool's input is the model's own: a key of it named like a field of ours binds.
            key: item if key == "input" else _bound(item)
            for key, item in value.items()
            if key not in _UNBOUND_FIELDS
        }
    if isinstance(value, list):
        return [_bound(item) for item in value]
    return value


def _texts_as_blocks(value: Any) -> Any:
    return [{"type": "text", "text": value}] if isinstance(value, str) and value else value or []


def root_of(body: Mapping[str, Any]) -> str:
    """Return the digest of system and non-deferred tools, which every prefix begins with."""
    tools = [tool for tool in body.get("tools") or () if tool.get("defer_loading") is not True]
    return hashlib.sha256(canonical([_texts_as_blocks(body.get("system")), tools])).hexdigest()


def prefixes(root: str, turns: Iterable[Turn], signer: Signer) -> list[str]:
    """Return the prefix digest before each turn, and after the last one.

    An accepted compaction block takes the place of the turns that it stands for: the chain goes
    on from its own prefix, if system and tools are still those under which it was made.
    """
    chain = root
    found = []
    for turn in turns:
        blocks = [place.data for place in turn.blocks]
        if blocks and blocks[0]["type"] == "compaction":
            chain = _after_compaction(chain, root, blocks.pop(0), signer)
        found.append(chain)
        bound = [_normalised(block) for block in blocks if block["type"] not in THINKING_TYPES]
        if bound:
            step = chain.encode() + turn.role.encode() + canonical(bound)
            chain = hashlib.sha256(step).hexdigest()
    return [*found, chain]


def _normalised(block: JsonObject) -> JsonObject:
    if block["type"] == "tool_result":
        return {**block, "content": _texts_as_blocks(block.get("content"))}
    return block


def _after_compaction(chain: str, root: str, block: JsonObject, signer: Signer) -> str:
    seal = signer.read(block.get("signature") or "")
    if seal is not None and seal.kind == "compaction" and seal.root == root:
        return seal.prefix
    return hashlib.sha256(chain.encode() + canonical(block)).hexdigest()
