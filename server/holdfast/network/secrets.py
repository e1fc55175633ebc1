"""Blotting secrets out of what others wrote, in every form in which they may have written them.

Law: a secret is gone whether it was echoed as it is, as a part of an address, of JSON or of a
header of a proxy (P11). What is blotted out is each text by itself, before any of them is put into
a document, so that no quoting of ours can hide one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, quote_plus

import attrs

from holdfast.network.reports import Check

REDACTED: Final = "[redacted]"


def forms(secret: str) -> tuple[str, ...]:
    """Return all that stands for a secret, the longest first."""
    data = secret.encode("utf-8", "replace")
    coded = base64.b64encode(data).decode()
    found = {
        secret,
        quote(secret, errors="replace"),
        quote(secret, safe="", errors="replace"),
        quote_plus(secret, errors="replace"),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        coded,
        coded.rstrip("="),
        base64.urlsafe_b64encode(data).decode(),
    }
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


class Blotter:
    """Blots out some secrets. Anything that is no text stays as it is."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {form for secret in secrets for form in forms(secret)}
        self._forms: Final = sorted(found, key=lambda form: (-len(form), form))

    def text(self, words: str) -> str:
        """Return words without the secrets."""
        for form in self._forms:
            words = words.replace(form, REDACTED)
        return words

    def value(self, value: Any) -> Any:
        """Return plain data without the secrets; names of members are ours and stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {name: self.value(part) for name, part in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, bytes):
            return [self.value(part) for part in value]
        return value

    def check(self, check: Check) -> Check:
        """Return a check without the secrets."""
        return attrs.evolve(
            check,
            says=self.text(check.says),
            advice=self.text(check.advice),
            facts=self.value(check.facts),
        )
