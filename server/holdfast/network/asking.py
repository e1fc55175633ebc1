"""Questions to an endpoint by a way that is open: is it there, does much reach it, does it stream?

Law: each question has a connection of its own, ends before the examination does, and only those go
out with credentials that the endpoint itself gets.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from typing import Final

import attrs

from holdfast.network import answers, path, streams
from holdfast.network.reports import Check, State
from holdfast.network.subjects import Address, Route, Subject
from holdfast.network.wire import Answer, Patience, Trouble

# So much of the limit a long answer may last; what is left is for the way to it.
_LONG_PART: Final = 0.58
_SHORT_PART: Final = 0.32
# Two long answers begin so far apart that a line which breaks ends them at two ages.
_APART_PART: Final = 0.05
_LAST_PART: Final = 0.03
_MORE: Final = 1.2
_NO_STREAM: Final = "No model was named, so no streamed answer was asked for."
_OWN_CLIENT: Final = "It is not measured here: requests to this endpoint are signed by its client."


@attrs.frozen
class Asker:
    """Sends requests by one route. `ends` is when the examination does, on the monotonic clock."""

    subject: Subject
    route: Route
    address: Address
    context: ssl.SSLContext
    patience: Patience
    limit_s: float
    ends: float

    async def ask(
        self,
        method: str,
        where: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        body_s: float | None = None,
    ) -> Answer | Trouble:
        """Send one request. `body_s` is how long its answer is listened to."""
        left = self.ends - time.monotonic() - _LAST_PART * self.limit_s
        try:
            connection = await path.opened(self.route, self.address, self.context, self.patience)
            async with connection:
                return await connection.exchange(
                    method,
                    self.route.path(where),
                    headers,
                    self.patience,
                    body,
                    None if body_s is None else max(0.0, min(body_s, left)),
                )
        except Trouble as trouble:
            return trouble

    async def question(self) -> tuple[Check, Mapping[str, str]]:
        """Ask what is free; return the headers of the answer too."""
        subject = self.subject
        if subject.look is not None:
            bare, probe = await asyncio.gather(self.ask("HEAD", "/", {}), subject.look())
            if isinstance(bare, Trouble):
                return answers.answered(subject, bare), {}
            return answers.looked(subject, probe), bare.headers
        where, headers = answers.question(subject)
        answer = await self.ask("GET", where, headers)
        found = answer.headers if isinstance(answer, Answer) else {}
        return answers.answered(subject, answer), found

    async def upload(self) -> Check:
        """Send much, and see whether it arrives. Nothing of it is read by a model."""
        where, headers = "/v1/messages/count_tokens", answers.question(self.subject)[1]
        if self.subject.look is not None:
            where, headers = "/", {}
        answer = await self.ask("POST", where, headers, answers.upload_body(self.subject))
        return answers.uploaded(self.subject, answer)

    async def stream(self) -> tuple[Check, Mapping[str, str]]:
        """Measure a streamed answer, or two; return what the first one's headers were too."""
        subject = self.subject
        if subject.model is None or subject.look is not None:
            says = _NO_STREAM if subject.look is None else _OWN_CLIENT
            return Check(name=streams.STREAM, state=State.SKIPPED, says=says), {}
        lasts = self._lasts()
        if lasts is not None:
            one, other = await asyncio.gather(
                self._answer(streams.long_body(subject), lasts),
                self._answer(streams.long_body(subject), lasts, after_s=_APART_PART * self.limit_s),
            )
            return streams.by_the_clock(one[:2], other[:2]), one[2]
        body, listens = streams.short_body(subject), _SHORT_PART * self.limit_s
        one = await self._answer(body, listens)
        left = self.ends - time.monotonic() - 2 * _LAST_PART * self.limit_s
        if not streams.was_cut(one[0]) or left < _MORE * one[1] / 1000:
            return one[0], one[2]
        again = await self._answer(body, listens)
        return streams.by_the_clock(one[:2], again[:2]), one[2]

    def _lasts(self) -> float | None:
        """Return how long answers are to be measured, when a short one would say too little.

        A session whose answers have died young gives the age to outlast.
        """
        longest_s = _LONG_PART * self.limit_s
        if self.subject.long:
            return longest_s
        to_outlast_s = self.subject.past.cap_ms / 1000 * _MORE
        return to_outlast_s if 0 < to_outlast_s <= longest_s else None

    async def _answer(
        self, body: bytes, listens_s: float, after_s: float = 0.0
    ) -> tuple[Check, float, Mapping[str, str]]:
        """Ask for an answer; return its check, its age when it ended, and its headers."""
        await asyncio.sleep(after_s)
        _, headers = answers.question(self.subject)
        answer = await self.ask("POST", "/v1/messages", headers, body, listens_s - after_s)
        check = streams.streamed(self.subject, answer)
        if isinstance(answer, Trouble):
            return check, 0.0, {}
        return check, answer.ended_ms, answer.headers
