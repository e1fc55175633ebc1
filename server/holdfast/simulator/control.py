"""The control paths under `/_simulator/`: for tests and demos, never for the product.

Law: they need no key, are not logged, and change nothing but the log and the script.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from holdfast.simulator.faults import UnknownFault, check_known
from holdfast.simulator.http import Request
from holdfast.simulator.log import Log
from holdfast.simulator.refusals import error_body
from holdfast.simulator.script import Player, Script, ScriptError


@dataclass(frozen=True, slots=True)
class Control:
    """Answers `GET`/`DELETE /_simulator/log` and `POST /_simulator/script`."""

    log: Log
    player: Player

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
        if mode == "append":
            self.player.append(script.steps)
        elif mode == "replace":
            self.player.replace(script.steps)
        else:
            return 400, error_body("invalid_request_error", f"unknown mode {mode!r}", None)
        return 200, {"steps": len(script.steps)}


def checked(script: Script) -> Script:
    """Return the script if all its faults are known. Raises `UnknownFault`."""
    for step in script.steps:
        if step.fault is not None:
            check_known(step.fault)
    return script
