"""`holdfast.doctor.*`: is it me, my network or the API?

Law: the doctor answers also when the store does not. An examination has a bar, on the client's
`workDoneToken` when there is one, and can be stopped. What examines is imported with the first
examination, not before `initialize` is answered (S2).
"""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any, Final

from holdfast.lsp import errors
from holdfast.lsp import params as p
from holdfast.lsp.bars import Look
from holdfast.lsp.rows import Command

if TYPE_CHECKING:
    from holdfast.agent.doctor import Doctor
    from holdfast.lsp.server import HoldfastServer
    from holdfast.network import Diagnosis, Reached

SHOWN_AFTER_S: Final = 0.3


async def run(ls: HoldfastServer, params: p.DoctorParams) -> Any:
    """Examine the way to the API and say what is wrong with it."""
    doctor = await _doctor(ls)
    words = await asyncio.to_thread(importlib.import_module, "holdfast.network.words")
    diagnosis = await _with_bar(ls, doctor, params)
    return {**words.plain(diagnosis), "report": words.markdown(diagnosis)}


async def bundle(ls: HoldfastServer, params: p.DoctorBundleParams) -> Any:
    """Return the last diagnosis as a bug report."""
    doctor = await _doctor(ls)
    return {"text": await doctor.bundle(params.session_id)}


async def _doctor(ls: HoldfastServer) -> Doctor:
    """Return the supervisor's doctor, or one that does without a supervisor."""
    try:
        return (await ls.supervisor()).doctor
    except Exception as error:  # noqa: BLE001 (the server has told it; here it is a finding)
        failure = str(errors.converted(error, "opening the session store"))
        parts = await asyncio.to_thread(importlib.import_module, "holdfast.agent.doctor")
        doctor: Doctor = parts.Doctor.without_store(ls.settings, ls.environ, failure)
        return doctor


async def _with_bar(ls: HoldfastServer, doctor: Doctor, params: p.DoctorParams) -> Diagnosis:
    latest = [Look("begins", 0)]
    stopped: list[bool] = []

    def reached(how_far: Reached) -> None:
        latest[0] = Look(how_far.title, min(100, 100 * how_far.done // max(1, how_far.total)))
        if bar is not None:
            bar.update()

    async def stop() -> None:
        stopped.append(True)
        working.cancel()

    working = asyncio.create_task(
        doctor.examine(
            params.session_id,
            endpoint=params.endpoint,
            compare_url=params.compare_url,
            free=params.free,
            long=params.long,
            progress=reached,
        )
    )
    token = params.work_done_token
    bar = None
    if token is not None or ls.bars.supported:
        title = "Holdfast: examining the connection"
        bar = ls.bars.work(title, lambda: latest[0], stop, token=token, delay_s=SHOWN_AFTER_S)
    message = "Stopped."
    try:
        diagnosis = await working
        message = diagnosis.says
    except asyncio.CancelledError:
        working.cancel()
        if not stopped:
            raise
        raise errors.failed(
            errors.REQUEST_CANCELLED, "Cancelled", "It was stopped.", "Nothing was changed."
        ) from None
    else:
        return diagnosis
    finally:
        if bar is not None:
            bar.end(message)


_CHECK: Final = {
    "name": "connect",
    "state": "bad",
    "says": "The server api.anthropic.com:443 cannot be connected to (nothing answers).",
    "advice": "Check the network, VPN or firewall.",
    "cause": "connectTimeout",
    "ms": 4002,
    "facts": {"attempts": [{"address": "203.0.113.7", "outcome": "silent", "ms": 4000}]},
}

ROWS: Final = (
    Command(
        "holdfast.doctor.run",
        p.DoctorParams,
        run,
        "Examine the way to the API, in at most 20 seconds, and say what is wrong: name, "
        "addresses, proxy, TLS, key, upload, stream, line, clock, disk, store. `verdict` is "
        "`healthy` or the cause (the deepest that explains the others), `also` are causes beside "
        "it; docs/doctor.md lists them. With `sessionId` it is that session's endpoint, and what "
        "the session has met counts; `endpoint` is another one of the settings. With `compareUrl` "
        "another address is gone to as well, without any secret. Unless `free`, a small streamed "
        "answer is measured (some forty tokens); with `long` two for some ten seconds, which tells "
        "what ends answers by the clock. `report` says all of it for people, in Markdown. Works "
        "also when the store does not.",
        {"sessionId": "s_8f2c"},
        {
            "verdict": "connectTimeout",
            "says": "The server cannot be connected to: nothing answers.",
            "advice": "Check the network, VPN or firewall.",
            "also": [],
            "endpoint": "https://api.anthropic.com",
            "startedAt": 1770000000000,
            "ms": 4210,
            "checks": [_CHECK],
            "versions": {"holdfast": "0.1.0", "python": "3.11.7"},
            "report": "# What is wrong\n",
        },
    ),
    Command(
        "holdfast.doctor.bundle",
        p.DoctorBundleParams,
        bundle,
        "Return the last diagnosis as a text for a bug report, without keys, texts of sessions and "
        "the name of the home folder; examine first when there is none of the last ten minutes.",
        {},
        {"text": "# What is wrong\n"},
    ),
)
