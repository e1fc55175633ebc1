"""The simulator as a thing to start and stop, in a test or from the command line.

Law: between entering and leaving the context there is one listening socket on one address; on
leaving, every connection is gone and every hold is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from holdfast.simulator.answers import Identifiers
from holdfast.simulator.app import App
from holdfast.simulator.control import checked, take
from holdfast.simulator.endpoints import ENDPOINTS, FIRST_PARTY
from holdfast.simulator.http import HttpServer
from holdfast.simulator.injected import InjectedRule, InjectedRules
from holdfast.simulator.log import Log, LogEntry
from holdfast.simulator.rules.request import Account
from holdfast.simulator.script import Player, Script, Step
from holdfast.simulator.thinking import DEFAULT_KEY

HOLD_MAX_S: Final = 300.0


class Simulator:
    """A strict Messages API on a loopback port, with a script.

    `api_key` None accepts every key that is not empty. `window_tokens` replaces the window of
    every model. `enforce_prefix` False only records broken prefixes (R72, R74), as for old
    accounts. `allow_leading_assistant` and `allow_empty_assistant` take the lenient side of the
    disputed rules R21 and R35. `hold_max_s` bounds every silence. `id_seed` makes ids repeatable.
    `endpoint` is a name of `endpoints.ENDPOINTS`; `organization` owns the thinking it signs (R75).
    """

    def __init__(
        self,
        script: Script | Sequence[Step] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        window_tokens: int | None = None,
        enforce_prefix: bool = True,
        allow_leading_assistant: bool = False,
        allow_empty_assistant: bool = False,
        hold_max_s: float = HOLD_MAX_S,
        id_seed: str | None = None,
        signing_key: bytes = DEFAULT_KEY,
        endpoint: str = FIRST_PARTY.name,
        organization: str = "",
    ) -> None:
        self._address = (host, port)
        account = Account(
            api_key=api_key,
            window_tokens=window_tokens,
            enforce_prefix=enforce_prefix,
            allow_leading_assistant=allow_leading_assistant,
            allow_empty_assistant=allow_empty_assistant,
            endpoint=ENDPOINTS[endpoint],
            organization=organization,
        )
        first = _as_script(script)
        self._player = Player(first)
        self._injected = InjectedRules(first.rules or ())
        self._log = Log()
        app = App(
            account=account,
            player=self._player,
            identifiers=Identifiers(id_seed),
            log=self._log,
            hold_max_s=hold_max_s,
            signing_key=signing_key,
            injected=self._injected,
        )
        self._http = HttpServer(app.handle, app.refuse_unread)
        self._port: int | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen. Raises `OSError` when the address cannot be had.

        After `stop` it may be started again, on the same port and with the same memory.
        """
        host, port = self._address
        self._port = await self._http.start(host, self._port or port)

    async def stop(self) -> None:
        """Close the socket and all connections, at once. Harmless when not started."""
        await self._http.stop()

    @property
    def port(self) -> int:
        """The port. Raises `RuntimeError` before the first start."""
        if self._port is None:
            raise RuntimeError("the simulator has not been started")
        return self._port

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL: without `/v1` and without a final slash."""
        host = self._address[0]
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def log(self) -> Sequence[LogEntry]:
        """All requests to the API's paths, oldest first."""
        return self._log.entries

    @property
    def refusals(self) -> Sequence[LogEntry]:
        """The requests that were refused by a rule."""
        return [entry for entry in self.log if entry.rule is not None]

    @property
    def unused_steps(self) -> Sequence[Step]:
        """The steps of the script that no request has taken."""
        return self._player.unused

    def script(self, script: Script | Sequence[Step], *, append: bool = False) -> None:
        """Replace the script, or add to it, with its rules. Raises `UnknownFault`."""
        take(_as_script(script), self._player, self._injected, append=append)

    @property
    def injected(self) -> Sequence[InjectedRule]:
        """The injected rules that are in force."""
        return self._injected.rules

    def inject(self, *rules: InjectedRule) -> None:
        """Refuse from now on what these rules find, in messages and in `count_tokens`."""
        self._injected.inject(*rules)

    def withdraw(self, name: str | None = None) -> int:
        """Forget the injected rules of one name, or all; return how many there were."""
        return self._injected.withdraw(name)

    def clear_log(self) -> None:
        """Forget the requests so far."""
        self._log.clear()

    async def wait_until(
        self, condition: Callable[[Sequence[LogEntry]], bool], timeout_s: float = 10.0
    ) -> None:
        """Return as soon as the log fulfils `condition`. Raises `TimeoutError`."""
        await self._log.wait_until(condition, timeout_s)


def _as_script(script: Script | Sequence[Step] | None) -> Script:
    if script is None:
        return Script()
    return checked(script if isinstance(script, Script) else Script(tuple(script)))


async def serve(
    port: int,
    script_path: Path | None,
    api_key: str | None,
    on_ready: Callable[[str], None],
    *,
    window_tokens: int | None = None,
) -> None:
    """Run a simulator until cancelled; `on_ready` is told the base URL once it listens.

    Raises `OSError` (port taken, script not readable), `ScriptError` and `UnknownFault`.
    """
    script = Script() if script_path is None else await asyncio.to_thread(Script.load, script_path)
    async with Simulator(
        script, port=port, api_key=api_key, window_tokens=window_tokens
    ) as simulator:
        on_ready(simulator.base_url)
        await asyncio.Event().wait()
