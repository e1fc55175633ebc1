"""Steps 1 to 3 of the checks: headers, sizes and JSON (R1 to R7).

Law: nothing about the conversation is looked at before the body is one strict JSON object in
valid Unicode; a lone surrogate escape anywhere is fatal (R5).
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from holdfast.simulator.refusals import refuse
from holdfast.simulator.rules.names import KNOWN_BETAS
from holdfast.simulator.rules.request import (
    VERSION_CURRENT,
    VERSION_OLD,
    Account,
    Envelope,
    JsonObject,
)

_CHARSETS: Final = frozenset({"utf-8", "utf8", "iso-8859-1", "latin-1", "us-ascii", "ascii"})
_SURROGATE_HINT: Final = re.compile(r"\\u[dD][89a-fA-F]")
# Escapes are consumed in pairs with what they escape, so that `\\ud800` is no surrogate.
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def check_headers(headers: Mapping[str, str], account: Account, *, counting: bool) -> Envelope:
    """Check authentication, version and betas; header names are lower case (R1, R3, R4)."""
    _check_key(headers, account.api_key)
    version = headers.get("anthropic-version")
    if not version:
        raise refuse("R3")
    if version not in (VERSION_CURRENT, VERSION_OLD):
        raise refuse("R3b", version=version)
    betas = [beta.strip() for beta in headers.get("anthropic-beta", "").split(",") if beta.strip()]
    unknown = [beta for beta in betas if beta not in KNOWN_BETAS]
    if unknown:
        raise refuse("R4", values=", ".join(unknown))
    return Envelope(version, frozenset(betas), counting)


def _check_key(headers: Mapping[str, str], expected: str | None) -> None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    key = headers.get("x-api-key", "").strip()
    if not bearer and not key:
        raise refuse("R1a")
    if expected is not None and expected not in (bearer, key):
        raise refuse("R1b" if key else "R1c")


def decoded_body(headers: Mapping[str, str], body: bytes, account: Account) -> JsonObject:
    """Return the parsed body. Raises the refusals of R5, R6 and R7."""
    if len(body) > account.body_bytes_max:
        raise refuse("R7")
    charset = _charset(headers.get("content-type", ""))
    encoding = headers.get("content-encoding", "identity").strip().lower()
    return parse_body(_decompressed(encoding, body, account.body_bytes_max), charset)


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
            if charset not in _CHARSETS:
                raise refuse("R5b", charset=charset)
            return charset
    return "utf-8"


def _decompressed(encoding: str, body: bytes, bytes_max: int) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise refuse("R6a", encoding=encoding)
    inflater = zlib.decompressobj(wbits=47)  # zlib and gzip headers alike
    try:
        inflated = inflater.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise refuse("R6b", encoding=encoding) from error
    if len(inflated) > bytes_max:
        raise refuse("R6c")
    if not inflater.eof:
        raise refuse("R6b", encoding=encoding)
    return inflated


def parse_body(body: bytes, charset: str = "utf-8") -> JsonObject:
    """Parse one strict JSON object: valid Unicode, no NaN, no lone surrogates (R5)."""
    try:
        text = body.decode(charset)
    except UnicodeDecodeError as error:
        # Positions count from the start, as everything before the bad byte may be any length.
        raise _not_json("invalid Unicode in string", "", error.start) from error
    try:
        value: Any = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _not_json(error.msg, text, error.pos) from error
    except ValueError as error:
        # Python alone refuses numbers of thousands of digits, and does not say where.
        raise _not_json("number out of range", text, 0) from error
    except RecursionError as error:
        raise _not_json("nested too deeply", text, 0) from error
    if _SURROGATE_HINT.search(text):
        _refuse_lone_surrogates(text)
    if not isinstance(value, dict):
        raise refuse("R5a")
    return value


def _no_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"unexpected constant {name}", "", 0)


def _refuse_lone_surrogates(text: str) -> None:
    high_ends_at = -1  # where a high surrogate escape ended that still wants its low one
    for escape in _ESCAPE.finditer(text):
        unit = int(escape[1], 16) if escape[1] else 0
        is_low, is_high = 0xDC00 <= unit <= 0xDFFF, 0xD800 <= unit <= 0xDBFF
        wanted = high_ends_at == escape.start()
        if high_ends_at >= 0 and not (wanted and is_low):
            raise _not_json("no low surrogate in string", text, high_ends_at)
        if is_low and not wanted:
            raise _not_json("invalid high surrogate in string", text, escape.start())
        high_ends_at = escape.end() if is_high else -1
    if high_ends_at >= 0:
        raise _not_json("no low surrogate in string", text, high_ends_at)


def _not_json(detail: str, text: str, position: int) -> Exception:
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    return refuse("R5", detail=detail, l=line, c=column, n=position)
