"""What happened to a session, in plain words with the raw error behind them (P12).

Law: a notice says what happened and what can be done; what can be done is data. One request that
fails again and again is one notice, put again.
"""

from __future__ import annotations

from typing import Any, Final

from holdfast.session import events as ev
from holdfast.session.failures import POLICIES, Remedy, explain, raw_words
from holdfast.session.items import titles
from holdfast.session.items.shapes import Action, Level, NoticeItem
from holdfast.session.items.state import ItemsState, Trouble

_RECOVERED: Final = {
    "queued": "The server stopped while prompts were waiting. They are kept.",
    "compacting": "The server stopped while the conversation was being compacted.",
    "requesting": "The server stopped while a request was under way. Nothing is lost.",
    "streaming": "The server stopped while an answer was arriving. What arrived is kept.",
    "asking": "The server stopped while a question was open. It is still open.",
    "runningTools": "The server stopped while a tool was running. It is not run again by itself.",
    "repairing": "The server stopped while a refused request was examined. It is examined again.",
    "waiting": "The server stopped while the turn was waiting. It waits as before.",
    "paused": "The server stopped while the turn was paused. It is paused as before.",
}


DECLINED: Final = (
    "There is no answer to this prompt. Change it, hide this turn, or choose another model."
)
"""What is said of a refused turn: neutral, since such words breed more of them (A35)."""


def put(
    state: ItemsState,
    seq: int,
    at_ms: int,
    code: str,
    level: Level,
    text: str,
    detail: str = "",
    actions: tuple[Action, ...] = (),
) -> str:
    """Show a notice and return its id."""
    notice = NoticeItem(
        id=str(seq),
        seq=seq,
        at_ms=at_ms,
        turn_id=state.turn_id,
        code=code,
        level=level,
        text=text,
        detail=titles.shown_detail(detail),
        actions=actions,
    )
    state.items.put(notice)
    return notice.id


# -- trouble -------------------------------------------------------------------------------------


def request_failed(state: ItemsState, event: ev.RequestFailed, seq: int, at_ms: int) -> None:
    """Show that a request failed; again and again is one notice."""
    known = state.trouble
    if known is not None and known.item_id in state.items:
        state.trouble = Trouble(known.item_id, event.failure, known.attempts + 1)
        _show_trouble(state, "")
        return
    says = explain(event.failure).says
    detail = raw_words(event.failure)
    item_id = put(state, seq, at_ms, "requestFailed", "warning", says, detail)
    state.trouble = Trouble(item_id, event.failure, 1)


def retry(state: ItemsState, event: ev.RetryScheduled, _seq: int, _at: int) -> None:
    """Say that it is tried again. When is in the status: that is no matter of history."""
    _show_trouble(state, f"Trying again (attempt {event.attempt}).")


def trouble_over(state: ItemsState) -> None:
    """Say that an answer came after all."""
    trouble = state.trouble
    if trouble is not None:
        failed = "failure" if trouble.attempts == 1 else "failures"
        _show_trouble(state, f"It went on after {trouble.attempts} {failed}.", "info")
    state.trouble = None


def paused(state: ItemsState, event: ev.TurnPaused, seq: int, at_ms: int) -> None:
    """Show why a turn does not go on, in place of the failure that it follows from."""
    trouble = state.trouble
    again = trouble is not None and event.reason == trouble.failure.kind.value
    title, command = (
        ("Try again", "holdfast.turn.retry") if again else ("Resume", "holdfast.turn.resume")
    )
    words = f"{event.message} {event.advice}".strip()
    level: Level = "error" if event.retry_at_ms is None else "warning"
    actions = (action(state, title, command),)
    notice = state.items.get(trouble.item_id, NoticeItem) if trouble and again else None
    if notice is None:
        state.pause = put(state, seq, at_ms, "paused", level, words, "", actions)
    else:
        state.pause = notice.id
        state.change(notice, code="paused", level=level, text=words, actions=actions)


def resumed(state: ItemsState, _event: ev.TurnResumed, _seq: int, _at: int) -> None:
    """Say that a pause is over."""
    _end_pause(state)


def refused(state: ItemsState, seq: int, at_ms: int) -> None:
    """Offer to take a turn out of the conversation that the model will not answer (A35)."""
    trouble = state.trouble
    actions: tuple[Action, ...] = ()
    if state.prompt_id is not None:
        hide = action(state, "Hide this turn", "holdfast.session.rewind", promptId=state.prompt_id)
        actions = (hide,)
    known = state.items.get(state.refused or "", NoticeItem)
    state.refused = None
    if known is not None:
        state.change(known, actions=actions)
        return
    detail = raw_words(trouble.failure) if trouble is not None else ""
    put(state, seq, at_ms, "refused", "warning", DECLINED, detail, actions)


def turn_over(state: ItemsState) -> None:
    """Nothing of a turn that is over can be resumed."""
    _end_pause(state)
    state.trouble = None


def _end_pause(state: ItemsState) -> None:
    notice = state.items.get(state.pause or "", NoticeItem)
    state.pause = None
    if notice is not None:
        state.change(notice, level="info", actions=())


def _show_trouble(state: ItemsState, then: str, level: Level = "warning") -> None:
    trouble = state.trouble
    notice = state.items.get(trouble.item_id, NoticeItem) if trouble else None
    if trouble is None or notice is None:
        return
    if level == "warning" and POLICIES[trouble.failure.kind].remedy is Remedy.ASK:
        level = "error"
    state.change(
        notice,
        code="requestFailed",
        level=level,
        text=f"{explain(trouble.failure).says} {then}".strip(),
        detail=titles.shown_detail(raw_words(trouble.failure)),
        actions=(),
    )


def cap_learned(state: ItemsState, event: ev.DurationCapLearned, seq: int, at_ms: int) -> None:
    """Show that answers are asked for in pieces, and why; learned again it is the same notice."""
    words = (
        f"Something between this machine and the endpoint ends answers after about "
        f"{round(event.after_ms / 1000)} s. They are asked for in shorter pieces now."
    )
    detail = (
        f"at most {event.answer_tokens} tokens in a piece; forgotten when an answer lives longer"
    )
    known = state.items.get(state.cap or "", NoticeItem)
    if known is not None:
        state.change(known, text=words, detail=detail)
        return
    state.cap = put(state, seq, at_ms, "durationCap", "warning", words, detail)


# -- history -------------------------------------------------------------------------------------


def repaired(state: ItemsState, event: ev.HistoryRepaired, seq: int, at_ms: int) -> None:
    """Show what a repair did, and the refusal that made it necessary."""
    places = len(event.edits)
    where = "one place" if places == 1 else f"{places} places"
    words = f"The history was repaired in {where}, so that the API accepts it. Originals are kept."
    if event.left_out:
        words = f"The API refuses the tool {', '.join(event.left_out)}: it is left out."
    elif event.drop_mismatched_thinking:
        words = "The API is asked to pass over thinking that belongs to another history."
    lines = [f"{n.rule}: {n.action} (kept: {n.kept})" for n in event.notes]
    if event.cause is not None and event.cause.words:
        lines += ["", "The API's own words:", event.cause.words, event.cause.request_id or ""]
    detail = "\n".join(lines)
    undo = action(state, "Undo", "holdfast.session.repair", undo=event.repair_id)
    state.repairs[event.repair_id] = put(
        state, seq, at_ms, "repaired", "info", words, detail, (undo,)
    )


def repair_undone(state: ItemsState, event: ev.RepairUndone, seq: int, at_ms: int) -> None:
    """Show that a repair was taken back."""
    notice = state.items.get(state.repairs.pop(event.repair_id, ""), NoticeItem)
    if notice is not None:
        state.change(notice, actions=())
    put(state, seq, at_ms, "repairUndone", "info", "The repair was undone.")


def forget_removed(state: ItemsState) -> None:
    """Forget what belonged to items that a rewind removed."""
    state.repairs = {r: item_id for r, item_id in state.repairs.items() if item_id in state.items}


# -- the session ---------------------------------------------------------------------------------


def model_selected(state: ItemsState, event: ev.ModelSelected, seq: int, at_ms: int) -> None:
    """Show who answers from here on."""
    words = f"Model: {event.model}" if event.model else "Model: the one of the settings"
    put(state, seq, at_ms, "modelSelected", "info", words)


def endpoint_selected(state: ItemsState, event: ev.EndpointSelected, seq: int, at_ms: int) -> None:
    """Show which endpoint answers from here on, and what changes. A beginning is no change."""
    if event.reason == "begun":
        return
    name = event.endpoint or "default"
    by_itself = event.reason == "failover"
    words = f"Endpoint: {name}"
    if by_itself:
        words = f"The endpoint before failed, so the turn goes on at {name}."
    elif event.reason == "returned":
        words = f"The endpoint {name} answers again. The session goes on there."
    back: tuple[Action, ...] = ()
    if event.endpoint:
        back = (action(state, "Go Back", "holdfast.model.select", endpoint="default"),)
    level: Level = "warning" if by_itself else "info"
    said = f"{words.removesuffix('.')}. {event.said}" if event.said else words
    put(state, seq, at_ms, "endpointSelected", level, said, actions=back)


def diagnosed(state: ItemsState, event: ev.DiagnosisRecorded, seq: int, at_ms: int) -> None:
    """Show what an examination found."""
    level: Level = "info" if event.verdict == "healthy" else "warning"
    words = f"Diagnosis: {event.says} {event.advice}".strip()
    put(state, seq, at_ms, "diagnosis", level, words, event.report)


def recovered(state: ItemsState, event: ev.SessionRecovered, seq: int, at_ms: int) -> None:
    """Show that the server had gone meanwhile."""
    words = _RECOVERED.get(event.phase, "The server stopped and was started again.")
    put(state, seq, at_ms, "recovered", "info", words)


def imported(state: ItemsState, event: ev.HistoryImported, seq: int, at_ms: int) -> None:
    """Show where the history that follows comes from."""
    if event.format == "holdfast":
        put(state, seq, at_ms, "forked", "info", f"Forked from the session {event.source}.")
        return
    words = f"Imported from {event.source} ({event.format})."
    put(state, seq, at_ms, "imported", "info", words, "\n".join(event.notes))


def action(state: ItemsState, title: str, command: str, **more: Any) -> Action:
    """Offer a command of this session."""
    argument = {"sessionId": state.session_id, **more}
    return Action(title=title, command=command, argument=argument)
