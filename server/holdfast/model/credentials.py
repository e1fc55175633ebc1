"""What authenticates a request, read anew for every attempt.

Law: a secret is never part of a `repr`, a message, a log line or a journal record (P11), and
credentials are looked up at each attempt, so a key that was renewed heals the session (C07).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import attrs

API_KEY_VARIABLE: Final = "ANTHROPIC_API_KEY"
AUTH_TOKEN_VARIABLE: Final = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 -- the name of a variable

Source: TypeAlias = Literal["client", "environment", "none"]

_HEADER_SAFE: Final = re.compile(r"[\x21-\x7e]+")


@attrs.frozen
class Credentials:
    """An API key, or a bearer token, or neither. With both, the key is used, as the SDK does."""

    api_key: str | None = attrs.field(default=None, repr=False)
    auth_token: str | None = attrs.field(default=None, repr=False)

    @property
    def secret(self) -> str | None:
        """The one secret that is sent, or None."""
        return self.api_key or self.auth_token

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that must be blotted out of texts which others wrote."""
        return tuple(secret for secret in (self.api_key, self.auth_token) if secret)

    def problem(self) -> str | None:
        """Say why a request cannot be authenticated with these, or None when it can be tried."""
        if self.secret is None:
            return f"No API key is set ({API_KEY_VARIABLE} or {AUTH_TOKEN_VARIABLE})."
        if not _HEADER_SAFE.fullmatch(self.secret):
            return (
                "The API key holds characters that cannot be sent, such as a space, a line break "
                "or a quotation mark from a document. Copy it again."
            )
        return None

    def headers(self, *, first_party: bool) -> dict[str, str]:
        """Return the headers that authenticate a request.

        The first-party API takes a key as bearer token (§1.1). Gateways and local servers may
        know `x-api-key` only, so they get a key in both places. Call it when `problem()` is None.
        """
        headers = {"Authorization": f"Bearer {self.secret}"}
        if self.api_key and not first_party:
            headers["x-api-key"] = self.api_key
        return headers


def resolve(
    environment: Mapping[str, str], *, api_key: str | None = None, auth_token: str | None = None
) -> Credentials:
    """Return explicit credentials when there are any, else those of the environment.

    Blank values count as absent. White space around a value is a copying accident and is cut off.
    """
    explicit = Credentials(_clean(api_key), _clean(auth_token))
    if explicit.secret is not None:
        return explicit
    return Credentials(
        _clean(environment.get(API_KEY_VARIABLE)), _clean(environment.get(AUTH_TOKEN_VARIABLE))
    )


def _clean(value: str | None) -> str | None:
    return (value or "").strip() or None


class CredentialSource:
    """The credentials for one endpoint: a client's, kept in memory only, before what is set.
    `version` grows whenever a client gives or takes back some.

    Law: what a client handed over is used from the very next attempt on, is forgotten when it says
    so, and ends with the process.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        otherwise: Callable[[], Credentials] | None = None,
    ) -> None:
        """Without a client's, `otherwise` says what is used: if not given, the environment."""
        self._otherwise = otherwise if otherwise is not None else lambda: resolve(environment)
        self._given = Credentials()
        self.version = 0

    def give(self, api_key: str | None, auth_token: str | None) -> None:
        """Use a client's credentials from now on; with neither, forget those it gave before."""
        self._given = Credentials(_clean(api_key), _clean(auth_token))
        self.version += 1

    def current(self) -> Credentials:
        """Return what the next attempt is authenticated with."""
        return self._given if self._given.secret is not None else self._otherwise()

    @property
    def source(self) -> Source:
        """Say where the next attempt's credentials come from."""
        if self._given.secret is not None:
            return "client"
        return "none" if self.current().secret is None else "environment"
