"""Reading a certificate that was refused: who signed it, for whom, and when it is valid.

Law: nothing here decides about trust - OpenSSL has refused the certificate already, and the
standard library then no longer shows it. Only the few fields that a person needs are read
(RFC 5280, 4.1); what cannot be read is left out, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import attrs

_SEQUENCE: Final = 0x30
_CONTEXT_0: Final = 0xA0
_OBJECT_ID: Final = 0x06
_UTC_TIME: Final = 0x17
_COMMON_NAME: Final = b"\x55\x04\x03"
_ORGANISATION: Final = b"\x55\x04\x0a"
_ENCODINGS: Final = {0x0C: "utf-8", 0x1E: "utf-16-be"}

# Products that put themselves between a machine and the servers it talks to, by the names that
# they sign with.
INTERCEPTORS: Final = re.compile(
    r"zscaler|netskope|fortinet|fortigate|palo alto|prisma access|cisco umbrella|opendns|"
    r"blue ?coat|symantec web|forcepoint|websense|sophos|barracuda|checkpoint|check point|"
    r"kaspersky|avast|avg |bitdefender|eset |mcafee|trend micro|cato networks|iboss|"
    r"mitmproxy|charles proxy|fiddler|burp|portswigger|squid",
    re.IGNORECASE,
)


@attrs.frozen
class Certificate:
    """What a certificate says of itself. `self_signed`: issuer and subject are the same."""

    issuer: str
    subject: str
    not_before: datetime | None
    not_after: datetime | None

    @property
    def self_signed(self) -> bool:
        """Whether it vouches for itself."""
        return self.issuer == self.subject

    @property
    def interceptor(self) -> bool:
        """Whether its issuer is known to read other people's connections."""
        return INTERCEPTORS.search(self.issuer) is not None

    def valid_at(self, moment: datetime) -> bool:
        """Say whether a moment lies within its time."""
        after = self.not_before is None or self.not_before <= moment
        return after and (self.not_after is None or moment <= self.not_after)


def read(der: bytes) -> Certificate | None:
    """Read a certificate in DER; None when it is none."""
    try:
        fields = [
            field for field in _children(_first(_first(der))) if field[0] != _CONTEXT_0
        ]  # serial number, algorithm, issuer, validity, subject, …
        issuer, validity, subject = fields[2], fields[3], fields[4]
        times = [_moment(tag, value) for tag, value in _children(validity[1])]
        return Certificate(_name(issuer[1]), _name(subject[1]), times[0], times[1])
    except (IndexError, ValueError):
        return None


def _first(data: bytes) -> bytes:
    tag, value = next(_children(data), (0, b""))
    if tag != _SEQUENCE:
        raise ValueError("a sequence was expected")
    return value


def _children(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tags and values. Raises `ValueError` when a length points outside."""
    at = 0
    while at + 2 <= len(data):
        tag, length, start = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, start = int.from_bytes(data[start : start + count]), start + count
        if start + length > len(data):
            raise ValueError("a value is longer than what holds it")
        yield tag, data[start : start + length]
        at = start + length


def _name(data: bytes) -> str:
    """Return a name as `organisation, common name`."""
    found: dict[bytes, str] = {}
    for _, group in _children(data):
        for _, pair in _children(group):
            parts = list(_children(pair))
            if len(parts) == 2 and parts[0][0] == _OBJECT_ID:
                tag, value = parts[1]
                found[parts[0][1]] = value.decode(_ENCODINGS.get(tag, "latin-1"), "replace")
    words = [found[key] for key in (_ORGANISATION, _COMMON_NAME) if key in found]
    return ", ".join(words)


def _moment(tag: int, value: bytes) -> datetime | None:
    digits = value.decode("ascii", "replace").rstrip("Z")
    if tag == _UTC_TIME:  # years of two digits: 50 and above are of the last century
        digits = ("19" if digits[:2] >= "50" else "20") + digits
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
