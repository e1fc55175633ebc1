"""One session as its journal tells it, record by record: what the promises are checked against.

Law: the witness sees only what is committed. It folds each record once, beside the core, and knows
which prompts, calls and turns the journal holds. What a model, a tool or a person sees is compared
with it at that moment.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from holdfast.conversation.history import Message
from holdfast.conversation.profile import DEFAULT, Profile
from holdfast.conversation.rules import validate
from holdfast.conversation.turns import joined
from holdfast.journal import codec
from holdfast.journal.store import Record
from holdfast.session import events as ev
from holdfast.session import preflight, view
from holdfast.session.fold import apply
from holdfast.session.state import Phase, SessionState
from simulation.ledger import Complain, Ledger

TAKES_BLOCKS = attrs.evolve(
    DEFAULT,
    user_blocks=DEFAULT.user_blocks | {"compaction"},
    assistant_blocks=DEFAULT.assistant_blocks | {"compaction"},
)
"""The grammar of a model that compacts on demand."""
NONCE = "nonce"
"""The argument that makes each call of the scripted model unlike every other."""


class Witness:
    """What one journal says so far."""

    def __init__(self, session_id: str, complain: Complain) -> None:
        self.session_id = session_id
        self._complain = complain
        self.reset()

    def reset(self) -> None:
        """Forget everything; a power cut has taken a part of the journal."""
        self.state = SessionState()
        self.accepted: dict[str, str] = {}
        self.started: set[str] = set()
        self.ended: set[str] = set()
        self.nonces: dict[str, int] = {}
        self.tools_started: set[int] = set()
        self.compactions: set[str] = set()
        self.compactions_open: set[str] = set()
        self.last_request: tuple[Message, ...] = ()
        self.requests = 0
        self.ledger = Ledger(self._complain)

    def rebuild(self, records: Sequence[Record]) -> None:
        """See the whole journal anew."""
        self.reset()
        for record in records:
            self.see((record,), whole=False)

    def see(self, records: Sequence[Record], *, whole: bool = True) -> None:
        """Take in one append; what holds between appends is checked when it is `whole`."""
        requested = stopped = False
        for record in records:
            recorded = codec.decode(record)
            event = recorded.event
            self._before(event, recorded.at_ms)
            self.ledger.before(event, recorded.at_ms, self.state, live=whole)
            ignored = self.state.ignored_events
            apply(self.state, event, recorded.seq, recorded.at_ms)
            if self.state.ignored_events != ignored:
                self._complain(
                    "fold", f"{record.type} ({record.seq}) was recorded where it may not happen"
                )
            self.ledger.after(event, self.state)
            requested = requested or isinstance(event, ev.RequestStarted)
            stopped = stopped or isinstance(event, ev.StopRequested)
            if isinstance(event, ev.CompactionCommitted) and not self.state.calls:
                self._check_view()
        if requested:
            self.requests += 1
            self.last_request = view.messages(self.state)
        if whole and stopped and self.state.phase not in {Phase.IDLE, Phase.QUEUED}:
            self._complain("P7", f"a stop left the session {self.state.phase}")

    def _check_view(self) -> None:
        if findings := preflight.check(view.messages(self.state), TAKES_BLOCKS):
            self._complain("P2", f"a compaction brought a broken view into force: {findings[0]}")

    def _before(self, event: ev.Event, at_ms: int) -> None:
        """Check an event against what was recorded before it."""
        match event:
            case ev.PromptAccepted():
                if event.prompt_id in self.accepted:
                    self._complain("P1", f"prompt {event.prompt_id} was recorded twice")
                if event.turn_id in self.accepted.values():
                    self._complain("P1", f"turn id {event.turn_id} was used twice")
                self.accepted[event.prompt_id] = event.turn_id
            case ev.TurnStarted():
                if event.turn_id in self.started:
                    self._complain("P7", f"turn {event.turn_id} began twice")
                self.started.add(event.turn_id)
            case ev.TurnEnded():
                if event.turn_id in self.ended or event.turn_id not in self.started:
                    self._complain("P7", f"turn {event.turn_id} ended twice or never began")
                self.ended.add(event.turn_id)
            case ev.RetryScheduled():
                if event.retry_at_ms < at_ms:
                    self._complain("P7", "a retry was scheduled into the past")
            case ev.TurnPaused():
                if not (event.reason and event.advice):
                    self._complain("P7", "a pause without a reason or advice")
            case ev.BlockFinished():
                self._call(ev.blocks_of((event.block,))[0])
            case ev.ToolStarted():
                self._tool_started(event)
            case ev.CompactionStarted():
                self.compactions.add(event.compaction_id)
                self.compactions_open.add(event.compaction_id)
            case ev.CompactionCommitted() | ev.CompactionEnded():
                if event.compaction_id not in self.compactions_open:
                    self._complain("P5", f"compaction {event.compaction_id} ended twice")
                self.compactions_open.discard(event.compaction_id)
            case _:
                pass

    def _call(self, block: object) -> None:
        if block.type == "tool_use":
            arguments = block.get("input")
            if isinstance(arguments, dict) and NONCE in arguments:
                self.nonces[block.text_of("id")] = arguments[NONCE]

    def _tool_started(self, event: ev.ToolStarted) -> None:
        nonce = self.nonces.get(event.tool_use_id)
        if nonce is None:
            return  # A call without arguments of ours: it cannot be told from others.
        if nonce in self.tools_started:
            self._complain("P6", f"call {event.tool_use_id} was recorded as started twice")
        self.tools_started.add(nonce)

    def check_compaction(self, rung: ev.Rung, text: str, mark: str, now_s: float) -> None:
        """P5: a model is asked for a summary only while there is a reason to."""
        self.ledger.compactions.asks(rung, text, mark, now_s)

    def check_request(self, messages: Sequence[Message], grammar: Profile) -> None:
        """P2, P6: what is sent is valid, and is what the journal says, no more and no less."""
        if findings := validate(tuple(messages), grammar):
            self._complain("P2", f"an invalid request was sent: {findings[0]}")
        shown = self.last_request
        if grammar.strict_alternation:  # The turns of a request are joined there, not the view's.
            shown = joined(shown)
        if tuple(messages) != shown:
            self._complain(
                "P6",
                "a request was sent that is not the view of the journal: something is used "
                "that is not durable",
            )
