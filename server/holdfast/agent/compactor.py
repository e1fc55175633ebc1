"""Preparing a compaction: the ladder from a model's summary down to the local digest.

Law: it always ends in a summary, within the deadline, whatever the model does (P5). The model sees
plain text made from the journal, never raw messages, so no poison of the history reaches it (B07).
Every rung that does not hold says why. Nothing here changes the session; the state machine commits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Self

import attrs

from holdfast.agent import limits, requests
from holdfast.agent.api import CompactionProgress
from holdfast.agent.services import Services
from holdfast.conversation import digest, plain_text
from holdfast.conversation.history import Message, user
from holdfast.model import port
from holdfast.session import compaction as plans
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.failures import POLICIES, Remedy
from holdfast.session.state import SessionState

_log: Final = logging.getLogger(__name__)

ATTEMPTS_MAX: Final = 3
SUMMARY_CHARS_MIN: Final = 40
SUMMARY_TOKENS_MAX: Final = 8_000
BACKOFF_MAX_S: Final = 20.0

SUMMARY_SYSTEM: Final = (
    "You write the hand-over note of a long working session between a person and a coding "
    "assistant, from its transcript. The assistant will go on from your note alone. Write plain "
    "text under these headings: Goal; Decisions and constraints; Done (with outcome); Files "
    "(path: what was read or changed); Commands and results that matter; Errors and how they were "
    "solved; Open items; Where the work stands now. Requests that were carried out are facts in "
    "the past tense, never instructions. Keep names, paths, numbers and wording of requirements "
    "exact. Do not address anyone, do not call tools, do not invent."
)

FLOOR: Final = (
    "No summary of the earlier part of this conversation could be made. It is kept in full in the "
    "session's journal; ask the person for what you need from it."
)
"""The last rung: what stands for the past when even the digest cannot be made."""


@attrs.frozen
class Task:
    """What is to be summarised, fixed when the compaction began."""

    compaction_id: str
    previous: str
    messages: tuple[Message, ...]
    instructions: str
    model: str
    window_tokens: int

    @classmethod
    def of(
        cls,
        state: SessionState,
        started: ev.CompactionStarted,
        services: Services,
        capabilities: port.Capabilities,
    ) -> Self:
        """Take from the state what the compaction covers."""
        previous, messages = plans.covered(state, started)
        return cls(
            compaction_id=started.compaction_id,
            previous=previous,
            messages=messages,
            instructions=started.instructions,
            model=state.model or services.settings.model,
            window_tokens=limits.window_tokens(services, state, capabilities),
        )

    @property
    def digest_tokens(self) -> int:
        """The token budget of the local digest."""
        return min(12_000, self.window_tokens // 8)


class Progress:
    """Reports how far the compaction is; the percentage never goes back."""

    def __init__(
        self,
        compaction_id: str,
        now_ms: Callable[[], int],
        show: Callable[[CompactionProgress], None],
    ) -> None:
        self._compaction_id = compaction_id
        self._now_ms = now_ms
        self._show = show
        self._began_ms = now_ms()
        self._percentage = 0

    def report(
        self,
        step: str,
        percentage: int,
        *,
        attempt: int = 1,
        retry_at_ms: int | None = None,
        cause: str | None = None,
        received_chars: int = 0,
    ) -> None:
        """Show a step."""
        self._percentage = max(self._percentage, min(99, percentage))
        self._show(
            CompactionProgress(
                compaction_id=self._compaction_id,
                step=step,
                percentage=self._percentage,
                elapsed_ms=self._now_ms() - self._began_ms,
                attempt=attempt,
                retry_at_ms=retry_at_ms,
                cause=cause,
                received_chars=received_chars,
            )
        )


class Unacceptable(Exception):
    """A summary came but does not pass the acceptance bar; the reason is a stable word."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


async def prepare(
    task: Task,
    services: Services,
    post: Callable[[inp.Input], None],
    show: Callable[[CompactionProgress], None],
    *,
    digest_only: bool,
) -> None:
    """Go down the ladder and post `CompactionReady` exactly once. Cancellation posts nothing."""
    progress = Progress(task.compaction_id, services.world.now_ms, show)
    if not digest_only:
        try:
            async with asyncio.timeout(services.settings.compaction_deadline_s):
                summary = await _by_model(task, services, post, progress)
        except TimeoutError:
            post(_rung_failed(task, 0, "deadline", "the summary took too long"))
        else:
            if summary is not None:
                progress.report("bringing the summary into force", 95)
                words, usage = summary
                post(
                    inp.CompactionReady(
                        task.compaction_id, ev.Rung.SUMMARY, words, task.model, usage
                    )
                )
                return
    progress.report("making a digest without the model", 90)
    text = await asyncio.to_thread(
        digest.digest, task.messages, task.digest_tokens, previous=task.previous
    )
    post(inp.CompactionReady(task.compaction_id, ev.Rung.DIGEST, text))


async def _by_model(
    task: Task, services: Services, post: Callable[[inp.Input], None], progress: Progress
) -> tuple[str, ev.Usage] | None:
    """Ask the model, a bounded number of times; None when it is no use to ask again."""
    world = services.world
    request = await asyncio.to_thread(_request, task, services)
    for attempt in range(1, ATTEMPTS_MAX + 1):
        progress.report("asking the model for a summary", 5, attempt=attempt)
        try:
            return await _one_summary(request, services, progress, attempt)
        except Unacceptable as refused:
            post(_rung_failed(task, attempt, refused.reason, refused.detail))
            return None
        except port.ModelFailed as failed:
            failure = failed.failure
            post(_rung_failed(task, attempt, failure.kind.value, failure.message))
            policy = POLICIES[failure.kind]
            if policy.remedy not in {Remedy.RETRY, Remedy.CONTINUE} or attempt == ATTEMPTS_MAX:
                return None
            backoff_s = min(BACKOFF_MAX_S, policy.base_ms / 1000 * 2 ** (attempt - 1))
            wait_s = max(backoff_s, (failure.retry_after_ms or 0) / 1000)
            progress.report(
                "waiting to ask again",
                5,
                attempt=attempt + 1,
                retry_at_ms=world.now_ms() + int(wait_s * 1000),
                cause=failure.message,
            )
            await world.sleep(wait_s)
        except Exception as error:  # noqa: BLE001 (a fault of our own must not skip the digest)
            _log.exception("request failed inside the server")
            post(_rung_failed(task, attempt, "internal", repr(error)))
            return None
    return None


def _request(task: Task, services: Services) -> port.ModelRequest:
    budget = max(2_000, task.window_tokens // 2 - SUMMARY_TOKENS_MAX)
    parts = [f"<earlier_summary>\n{task.previous}\n</earlier_summary>"] if task.previous else []
    parts.append(
        f"<transcript>\n{plain_text.render(task.messages, max_tokens=budget)}\n</transcript>"
    )
    parts.append("Write the hand-over note now.")
    if task.instructions:
        parts.append(f"Above all keep what is asked for here: {task.instructions}")
    return port.ModelRequest(
        model=task.model,
        system=SUMMARY_SYSTEM,
        tools=(),
        messages=(user("\n\n".join(parts)),),
        max_output_tokens=min(SUMMARY_TOKENS_MAX, services.settings.max_output_tokens),
        idle_cut_s=services.settings.idle_cut_s,
        cache_marks=False,  # Nothing follows it that could be read from the cache.
    )


async def _one_summary(
    request: port.ModelRequest, services: Services, progress: Progress, attempt: int
) -> tuple[str, ev.Usage]:
    received: list[str] = []
    length = 0
    async with services.model.stream(request) as items:
        async for item in items:
            match item:
                case port.BlockDelta(kind="text"):
                    received.append(item.text)
                    length += len(item.text)
                    progress.report(
                        "the summary is arriving",
                        10 + length * 80 // (length + 6_000),
                        attempt=attempt,
                        received_chars=length,
                    )
                case port.BlockOpened(type="tool_use"):
                    raise Unacceptable("toolCall", item.name)
                case port.ResponseEnded():
                    summary = _accepted("".join(received).strip(), item.stop_reason)
                    return summary, requests.usage_of(item)
                case _:
                    pass
    raise Unacceptable("incomplete")


def _accepted(summary: str, stop_reason: str) -> str:
    """Return the summary if it passes the bar (B08): complete, text only, not empty."""
    if stop_reason != "end_turn":
        raise Unacceptable(stop_reason)
    if len(summary) < SUMMARY_CHARS_MIN:
        raise Unacceptable("empty", summary)
    return summary


def _rung_failed(task: Task, attempt: int, reason: str, detail: str) -> inp.RungFailed:
    return inp.RungFailed(task.compaction_id, ev.Rung.SUMMARY, attempt, reason, detail)
