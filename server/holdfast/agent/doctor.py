"""Examinations on request, of a session's endpoint or of that where sessions begin.

Law: an examination never stands in a session's way: it runs beside it, and what it found is
recorded only where a turn waits for just that. It works without any session, and without a store.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import attrs

from holdfast.agent.errors import AgentError
from holdfast.agent.reading import is_sent_again
from holdfast.agent.registry import Registry
from holdfast.agent.services import Services
from holdfast.agent.troubles import RECORDS_MAX, past_of
from holdfast.journal.store import Store, StoreError
from holdfast.model.credentials import resolve
from holdfast.network import LIMIT_S, Check, Diagnosis, Reached, State, Subject, examine
from holdfast.network.machine import STORE, STORE_FAILED
from holdfast.network.past import Past
from holdfast.network.surroundings import FIRST_PARTY_URL, subject_of
from holdfast.network.words import bundle, markdown
from holdfast.session import events as ev
from holdfast.session import inputs as inp
from holdfast.session.state import Phase, SessionState
from holdfast.settings import Settings

SubjectOf: TypeAlias = Callable[[str, str | None], Subject]
"""Return what is to be examined: of the endpoint with a name ("" the first), asked for a model."""

Told: TypeAlias = Callable[[Reached], None]

_log: Final = logging.getLogger(__name__)

RECORD_S: Final = 2.0
FRESH_S: Final = 600.0
"""How long a diagnosis is good enough for a bug report."""


class Doctor:
    """Examines, and keeps the last diagnosis for bug reports."""

    def __init__(
        self,
        subject_of: SubjectOf,
        default_model: Callable[[], str],
        *,
        begins_at: Callable[[], str] = str,
        store: Store | None = None,
        sessions: Registry | None = None,
        store_failure: str = "",
    ) -> None:
        """`begins_at` returns the endpoint where new sessions begin ("" the first), `store_failure`
        says why there is no store, when there should be one.
        """
        self._subject_of = subject_of
        self._begins_at = begins_at
        self._default_model = default_model
        self._store = store
        self._sessions = sessions
        self._store_failure = store_failure
        self._last: tuple[float, str | None, Diagnosis, tuple[str, ...]] | None = None

    @classmethod
    def of(cls, services: Services, sessions: Registry, subject_of: SubjectOf | None) -> Doctor:
        """Return the doctor of a supervisor."""

        def bare(_: str, model: str | None) -> Subject:
            return Subject(base_url=services.settings.base_url or FIRST_PARTY_URL, model=model)

        return cls(
            subject_of or bare,
            lambda: services.settings.model,
            begins_at=lambda: services.settings.begins_at,
            store=services.store,
            sessions=sessions,
        )

    @classmethod
    def without_store(
        cls, settings: Settings, environment: Mapping[str, str], store_failure: str
    ) -> Doctor:
        """Return a doctor for a process whose store cannot be opened."""

        def subject(_: str, model: str | None) -> Subject:
            return subject_of(settings, resolve(environment), environment, model=model)

        return cls(subject, lambda: settings.model, store_failure=store_failure)

    async def examine(
        self,
        session_id: str | None = None,
        *,
        endpoint: str | None = None,
        compare_url: str | None = None,
        free: bool = False,
        long: bool = False,
        progress: Told | None = None,
        limit_s: float = LIMIT_S,
    ) -> Diagnosis:
        """Examine the way to an endpoint: that of the name, else the session's, else where
        new sessions begin.

        Unless it must be `free`, a small streamed answer is measured, of some forty tokens; with
        `long` two that last for seconds. Raises what opening the session raises.
        """
        name, model, past = self._begins_at(), self._default_model(), Past()
        if session_id is not None and self._sessions is not None:
            state = await self._sessions.state_of(session_id)
            name, model = state.endpoint, state.model or model
            past = await self._past(session_id, state)
        if endpoint not in (None, name):
            name, model, past = endpoint or "", self._default_model(), Past()
        subject = self._subject_of(name, None if free else model)
        stored = await self._stored(subject)
        subject = attrs.evolve(
            subject,
            compare_url=compare_url,
            long=long and not free,
            past=past,
            own_checks=() if stored is None else (stored,),
        )
        diagnosis = await examine(subject, progress=progress, limit_s=limit_s)
        if session_id is not None:
            await self._record(session_id, diagnosis)
        self._last = (time.monotonic(), session_id, diagnosis, subject.secrets)
        return diagnosis

    async def bundle(self, session_id: str | None = None) -> str:
        """Return the last diagnosis as a bug report, or that of a new examination."""
        last = self._last
        if last is None or last[1] != session_id or time.monotonic() - last[0] > FRESH_S:
            await self.examine(session_id)
            last = self._last
        assert last is not None, "an examination that ends leaves its diagnosis"
        return bundle(last[2], last[3])

    async def _record(self, session_id: str, diagnosis: Diagnosis) -> None:
        """Keep a diagnosis with the turn that waits for what it is about.

        That it cannot be kept (another server has the session, the disk is full) costs nobody the
        diagnosis.
        """
        if self._sessions is None:
            return
        try:
            async with asyncio.timeout(RECORD_S):
                state = await self._sessions.state_of(session_id)
                held = state.phase in {Phase.WAITING, Phase.PAUSED}
                if not held and not is_sent_again(state):
                    return
                driver = await self._sessions.owned(session_id)
                found = ev.DiagnosisRecorded(
                    verdict=diagnosis.verdict,
                    says=diagnosis.says,
                    advice=diagnosis.advice,
                    report=markdown(diagnosis),
                )
                await driver.ask(inp.Note((found,)))
        except (StoreError, AgentError, TimeoutError) as error:
            _log.warning("the diagnosis of session %s is not kept: %r", session_id, error)

    async def _past(self, session_id: str, state: SessionState) -> Past:
        """Return what the session has met. That it cannot be read costs nobody the diagnosis."""
        learned = Past(learned_ms=0 if state.cap is None else state.cap.after_ms)
        if self._store is None:
            return learned
        try:
            async with asyncio.timeout(RECORD_S):
                head = (await self._store.summary(session_id)).head_seq
                records = await self._store.read(session_id, max(0, head - RECORDS_MAX))
            found = await asyncio.to_thread(past_of, records, time.time_ns() // 1_000_000)
            return attrs.evolve(found, learned_ms=learned.learned_ms)
        except (StoreError, TimeoutError) as error:
            _log.warning("the past of session %s is not known: %r", session_id, error)
            return learned

    async def _stored(self, subject: Subject) -> Check | None:
        """Look whether sessions can be read through the store that is open, or say why none is.

        None when nothing is wrong with it, and who looks at the file itself will tell the rest.
        """
        if self._store is None:
            says = self._store_failure or "No store is open."
            state = State.BAD if self._store_failure else State.SKIPPED
            cause = STORE_FAILED if self._store_failure else ""
            return Check(name=STORE, state=state, says=says, cause=cause)
        begun = time.monotonic()
        try:
            count = len(await self._store.summaries())
        except (StoreError, AgentError) as error:
            action = str(getattr(error, "action", ""))
            return Check(
                name=STORE, state=State.BAD, says=str(error), advice=action, cause=STORE_FAILED
            )
        if subject.stored is not None:
            return None
        took = round((time.monotonic() - begun) * 1000)
        says = f"{count} sessions can be read; {self._held()}"
        return Check(name=STORE, state=State.GOOD, says=says, ms=took, facts={"sessions": count})

    def _held(self) -> str:
        if self._sessions is None:
            return "none is open."
        return f"{sum(1 for _ in self._sessions.open_drivers())} are open in this server."
