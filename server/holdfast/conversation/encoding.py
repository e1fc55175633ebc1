"""Canonical JSON: one byte string for one value, for ever.

Law: `encode(decode(encode(value))) == encode(value)`. Prompt cache and bound thinking blocks
depend on the bytes of what was sent (R70-R74), so a block is encoded once, when it is taken in,
and spliced unchanged into every later request. Lone surrogates, which make a body unreadable for
the API (R5), are replaced here and nowhere else.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder()


def encode(value: Any) -> str:
    """Return `value` as compact JSON: key order kept, UTF-8, no lone surrogates, no NaN.

    Raises `TypeError` for what JSON cannot hold.
    """
    try:
        return _encoder.encode(value).decode()
    except UnicodeEncodeError:
        return _encoder.encode(without_lone_surrogates(value)).decode()


def decode(raw: str | bytes) -> Any:
    """Return the value of one JSON text. Raises `ValueError` when it is not JSON.

    Text that strict readers refuse but others write (lone surrogate escapes, huge exponents)
    is read by the standard library, which keeps what can be kept.
    """
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeError):
        return json.loads(raw)


def without_lone_surrogates(value: Any) -> Any:
    """Replace every unpaired surrogate, in keys and values alike, by U+FFFD (A23)."""
    match value:
        case str():
            return _LONE_SURROGATE.sub(REPLACEMENT, value)
        case dict():
            return {
                without_lone_surrogates(key): without_lone_surrogates(item)
                for key, item in value.items()
            }
        case list() | tuple():
            return [without_lone_surrogates(item) for item in value]
        case _:
            return value
