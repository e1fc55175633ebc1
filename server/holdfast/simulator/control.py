"""The control paths under `/_simulator/`: for tests and demos, never for the product.

Law: they need no key, are not logged, and change nothing but the log, the script and the rules that
were injected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from holdfast.simulator.faults import UnknownFault, check_known
from holdfast.simulator.http import Request
from holdfast.simulator.injected import InjectedRules, parse_rules
from holdfast.simulator.log import Log
from holdfast.simulator.refusals import error_body
from holdfast.simulator.script import Player, Script, ScriptError


@dataclass(frozen=True, slots=True)
class Control:
    """Answers for the log, the script and the injected rules.

    `GET`/`DELETE /_simulator/log`, `POST /_simulator/script`, `GET`/`POST`/`DELETE
    /_simulator/rules` (`?name=` for one).
    """

    log: Log
    player: Player
    injected: InjectedRules

    def handle(self, request: Request) -> tuple[int, Any]:
        """Return status and JSON value of the answer."""
        match request.method, request.path:
            case "GET", "/_simulator/log":
                bodies = request.query.get("bodies") == "1"
                return 200, [entry.as_json(bodies=bodies) for entry in self.log.entries]
            case "DELETE", "/_simulator/log":
                self.log.clear()
                return 200, {}
            case "POST", "/_simulator/script":
                return self._script(request.body)
            case "GET", "/_simulator/rules":
                return 200, msgspec.to_builtins(self.injected.rules)
            case "POST", "/_simulator/rules":
                return self._rules(request.body)
            case "DELETE", "/_simulator/rules":
                return 200, {"withdrawn": self.injected.withdraw(request.query.get("name"))}
            case _:
                return 404, error_body("not_found_error", "Not found", None)

    def _script(self, body: bytes) -> tuple[int, Any]:
        """Take `{"steps": [...], "mode": "replace" | "append"}`, or a list, which replaces."""
        try:
            data = msgspec.json.decode(body)
            script = checked(Script.parse(data))
        except (msgspec.DecodeError, ScriptError, UnknownFault) as error:
            return 400, error_body("invalid_request_error", str(error), None)
        mode = data.get("mode", "replace") if isinstance(data, dict) else "replace"
        if mode not in ("append", "replace"):
            return 400, error_body("invalid_request_error", f"unknown mode {mode!r}", None)
        take(script, self.player, self.injected, append=mode == "append")
        return 200, {"steps": len(script.steps)}

    def _rules(self, body: bytes) -> tuple[int, Any]:
        """Take one rule or a list of them, behind those that are in force."""
        try:
            rules = parse_rules(msgspec.json.decode(body))
        except msgspec.DecodeError as error:
            return 400, error_body("invalid_request_error", str(error), None)
        self.injected.inject(*rules)
        return 200, {"rules": len(self.injected.rules)}


def take(script: Script, player: Player, injected: InjectedRules, *, append: bool = False) -> None:
    """Put a script in the place of the one that is played, or behind it; its rules likewise."""
    if append:
        player.append(script.steps)
    else:
        player.replace(script.steps)
        if script.rules is not None:
            injected.withdraw()
    injected.inject(*script.rules or ())


def checked(script: Script) -> Script:
    """Return the script if all its faults are known. Raises `UnknownFault`."""
    for step in script.steps:
        if step.fault is not None:
            check_known(step.fault)
    return script
