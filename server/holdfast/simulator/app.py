"""The application: paths, checks, scripts and answers put together.

Law: a request is first checked, then matched, then answered; a refused request uses up no step
of the script. Every answer of the API's paths carries a `request-id` and has a log entry.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from holdfast.simulator import faults, thinking
from holdfast.simulator.answers import Composer, Identifiers
from holdfast.simulator.control import Control
from holdfast.simulator.delivery import Delivery
from holdfast.simulator.errors import ERRORS
from holdfast.simulator.http import BodyTooLarge, BodyTooSlow, Reply, Request
from holdfast.simulator.injected import InjectedRules
from holdfast.simulator.interruptions import BREAKS
from holdfast.simulator.log import Log, LogEntry
from holdfast.simulator.models import MODELS, ModelSpec
from holdfast.simulator.prompt_cache import PromptCache
from holdfast.simulator.refusals import Refusal, error_body, refuse
from holdfast.simulator.responder import default_respond, facts_of, filled, system_text
from holdfast.simulator.rules.request import (
    COMPACT_ON_DEMAND,
    Account,
    Envelope,
    JsonObject,
    content_blocks,
)
from holdfast.simulator.script import Facts, Fault, Player, Respond, Step
from holdfast.simulator.thinking import Ledger, Signer
from holdfast.simulator.validation import Accepted, Validator

_MODELS: Final = "/v1/models"
_CONTROL: Final = "/_simulator/"
_PAGE_SIZE: Final = 20
_SYSTEM_CHARS: Final = 200


@dataclass(slots=True)
class App:
    """Handles requests. One instance is one pretended API with its account and its memory."""

    account: Account
    player: Player
    identifiers: Identifiers
    log: Log
    hold_max_s: float
    signing_key: bytes = thinking.DEFAULT_KEY
    injected: InjectedRules = field(default_factory=InjectedRules)
    ledger: Ledger = field(default_factory=Ledger)
    cache: PromptCache = field(default_factory=PromptCache)
    validator: Validator = field(init=False)
    composer: Composer = field(init=False)
    control: Control = field(init=False)

    def __post_init__(self) -> None:
        signer = Signer(self.signing_key)
        self.validator = Validator(self.account, signer, self.ledger, self.injected)
        self.composer = Composer(self.identifiers, signer)
        self.control = Control(self.log, self.player, self.injected)

    async def handle(self, request: Request, reply: Reply) -> None:
        """Answer one request."""
        request_id = self.identifiers.make("req")
        delivery = self._delivery(reply, request_id)
        if request.path.startswith(_CONTROL):
            status, value = self.control.handle(request)
            await delivery.json(value, status)
            return
        entry = self.log.open(request.method, request.path, request_id)
        try:
            await self._answer(request, delivery, entry)
            entry.outcome = "faulted" if entry.fault else "answered"
        except Refusal as refusal:
            entry.outcome, entry.rule, entry.message = "refused", refusal.rule, refusal.message
            await delivery.json(refusal.body(request_id), refusal.status)
        except (asyncio.CancelledError, ConnectionError):
            entry.outcome = "abandoned"
            raise
        except Exception as error:
            # A fault of the simulator itself: the client gets a 500, the test the traceback.
            entry.outcome, entry.message = "failed", repr(error)
            if reply.status is None:
                await delivery.json(error_body("api_error", repr(error), request_id), 500)
            raise
        finally:
            entry.status = reply.status
            self.log.changed()

    async def refuse_unread(self, error: Exception, reply: Reply) -> None:
        """Answer a request whose bytes could not be read."""
        request_id = self.identifiers.make("req")
        entry = self.log.open("", "", request_id)
        rules = {BodyTooLarge: "R7", BodyTooSlow: "R6d"}
        refusal = refuse(rules.get(type(error), "path"))
        entry.outcome, entry.rule, entry.message = "refused", refusal.rule, refusal.message
        entry.status = refusal.status
        self.log.changed()
        body = refusal.body(request_id)
        await self._delivery(reply, request_id).json(body, refusal.status)

    def _delivery(self, reply: Reply, request_id: str) -> Delivery:
        headers = {
            "request-id": request_id,
            "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
            "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-requests-remaining": "3999",
        }
        return Delivery(reply, headers, request_id, self.ledger, self.hold_max_s)

    async def _answer(self, request: Request, delivery: Delivery, entry: LogEntry) -> None:
        match request.method, request.path:
            case "POST", "/v1/messages":
                await self._messages(request, delivery, entry)
            case "POST", "/v1/messages/count_tokens":
                await self._count_tokens(request, delivery, entry)
            case "GET", path if path == _MODELS or path.startswith(f"{_MODELS}/"):
                await self._models(request, delivery, entry)
            case _:
                raise refuse("path")

    async def _messages(self, request: Request, delivery: Delivery, entry: LogEntry) -> None:
        accepted = self._accepted(request, entry, counting=False)
        facts = facts_of("messages", accepted.body, request.body)
        step = self._step(facts, entry)
        if await self._failed(step, delivery, facts):
            return
        fault = step.fault if step else None
        said = faults.what_is_said(fault, step.respond if step else None)
        respond = default_respond(accepted.body, facts) if said is None else filled(said, facts)
        usage = self.cache.usage(accepted)
        answer = self.composer.compose(respond, accepted, usage)
        paced = _with_headers(delivery, respond)
        await self._pause(respond)
        if facts.stream:
            await paced.streamed(answer, respond, fault)
        else:
            await paced.whole(answer, fault)

    async def _count_tokens(self, request: Request, delivery: Delivery, entry: LogEntry) -> None:
        accepted = self._accepted(request, entry, counting=True)
        facts = facts_of("count_tokens", accepted.body, request.body)
        step = self._step(facts, entry)
        if await self._failed(step, delivery, facts):
            return
        respond = (step.respond if step else None) or Respond()
        count = accepted.input_tokens if respond.input_tokens is None else respond.input_tokens
        answer: JsonObject = {"input_tokens": count}
        if accepted.body.get("context_management"):
            answer["context_management"] = {"original_input_tokens": count}
        await self._pause(respond)
        await _with_headers(delivery, respond).json(answer)

    async def _models(self, request: Request, delivery: Delivery, entry: LogEntry) -> None:
        envelope = self.validator.envelope(request.headers)
        entry.betas = sorted(envelope.betas)
        facts = Facts(kind="models")
        if await self._failed(self._step(facts, entry), delivery, facts):
            return
        name = request.path.removeprefix(_MODELS).strip("/")
        if not name:
            await delivery.json(self._model_page(request.query, envelope))
            return
        spec = MODELS.get(name)
        if spec is None:
            raise refuse("R10", model=name)
        await delivery.json(self._model(spec, envelope))

    def _model(self, spec: ModelSpec, envelope: Envelope) -> JsonObject:
        """Return what is told of a model; of compaction on demand only behind its header (§5.3)."""
        info = spec.info(self.account.window_tokens)
        if COMPACT_ON_DEMAND not in envelope.betas:
            del info["capabilities"]["compaction"]
        return info

    def _model_page(self, query: Mapping[str, str], envelope: Envelope) -> JsonObject:
        names = list(MODELS)
        after = query.get("after_id")
        start = names.index(after) + 1 if after in names else 0
        limit = query.get("limit", "")
        end = start + (int(limit) if limit.isdigit() else _PAGE_SIZE)
        page = names[start:end]
        return {
            "data": [self._model(MODELS[name], envelope) for name in page],
            "has_more": end < len(names),
            "first_id": page[0] if page else None,
            "last_id": page[-1] if page else None,
        }

    def _accepted(self, request: Request, entry: LogEntry, *, counting: bool) -> Accepted:
        entry.body_sha256 = hashlib.sha256(request.body).hexdigest()
        entry.body_bytes = len(request.body)
        envelope = self.validator.envelope(request.headers, counting=counting)
        body = self.validator.parsed(request.headers, request.body)
        _describe(entry, envelope, body)
        accepted = self.validator.check(body, envelope)
        entry.input_tokens = accepted.input_tokens
        return accepted

    def _step(self, facts: Facts, entry: LogEntry) -> Step | None:
        step = self.player.take(facts)
        if step is not None:
            entry.step = step.label
            entry.fault = step.fault.name if step.fault else None
        return step

    async def _failed(self, step: Step | None, delivery: Delivery, facts: Facts) -> bool:
        """Carry out a fault that takes the place of any answer; tell whether there was one."""
        fault = step.fault if step else None
        if step is None or fault is None:
            return False
        if step.respond is not None and (fault.name in ERRORS or fault.name in BREAKS):
            await self._pause(step.respond)
        if fault.name in ERRORS:
            await self._error(fault, delivery, facts)
            return True
        if fault.name in BREAKS:
            await delivery.broken(fault)
            return True
        return False

    async def _pause(self, respond: Respond) -> None:
        await asyncio.sleep(min(respond.delay_ms / 1000, self.hold_max_s))

    async def _error(self, fault: Fault, delivery: Delivery, facts: Facts) -> None:
        answer = ERRORS[fault.name].adjusted(fault)
        body = answer.body(delivery.request_id, facts.model)
        own = answer.response_headers()
        if isinstance(body, str):
            # A proxy answered, not the API: there is no request id (R7).
            await delivery.reply.send(answer.status, own, body.encode())
            return
        carried = replace(delivery, headers={**delivery.headers, **own})
        await carried.json(body, answer.status)


def _with_headers(delivery: Delivery, respond: Respond) -> Delivery:
    return replace(delivery, headers={**delivery.headers, **respond.headers})


def _describe(entry: LogEntry, envelope: Envelope, body: JsonObject) -> None:
    """Write into the entry what can be said of a body that may still be refused."""
    messages: Any = body.get("messages")
    known = [m for m in messages if isinstance(m, dict)] if isinstance(messages, list) else []
    blocks: list[Any] = [block for message in known for block in content_blocks(message)]
    entry.body = body
    entry.betas = sorted(envelope.betas)
    entry.model = body.get("model") if isinstance(body.get("model"), str) else None
    entry.stream = body.get("stream") is True
    entry.compaction = body.get("compaction") is not None
    entry.system = system_text(body)[:_SYSTEM_CHARS]
    entry.message_count = len(known)
    entry.tool_use_count = sum(
        isinstance(block, dict) and block.get("type") == "tool_use" for block in blocks
    )
