"""P11: whatever a secret looks like and whoever repeats it, nobody else gets to see it."""

from __future__ import annotations

import asyncio
import base64
import json
from urllib.parse import quote

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from holdfast.network import Subject, examine
from holdfast.network.reports import Check, Diagnosis, State, plain
from holdfast.network.secrets import REDACTED, forms
from holdfast.network.words import bundle, markdown

SECRETS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("|\"'\\/ %+=&:@`é日"),
    min_size=6,
    max_size=40,
)
PLACES = st.sampled_from(("says", "advice", "fact", "nested fact", "problem", "endpoint"))


def diagnosed(place: str, words: str) -> tuple[Diagnosis, list[str]]:
    """Return a diagnosis, and problems of settings, in which somebody has put words."""
    said = {name: words if name == place else "" for name in ("says", "advice", "fact")}
    facts = {"server": said["fact"], "attempts": [{"issuer": words * (place == "nested fact")}]}
    check = Check(
        name="answer",
        state=State.BAD,
        says=f"They said {said['says']}.",
        advice=said["advice"],
        facts=facts,
    )
    found = Diagnosis(
        verdict="refused",
        says=check.says,
        advice="",
        endpoint=f"https://host.example/{words * (place == 'endpoint')}",
        checks=(check,),
    )
    return found, [words * (place == "problem")]


@given(SECRETS, PLACES, st.integers(0, 8))
@settings(max_examples=300, deadline=None)
def test_a_bug_report_holds_no_secret_in_any_form(secret: str, place: str, nth: int) -> None:
    empty, problems = diagnosed("", "")
    every = forms(secret)
    ours = bundle(empty, (), problems)
    assume(not any(form in ours or form in REDACTED for form in every))
    written = every[nth % len(every)]
    diagnosis, problems = diagnosed(place, f"before {written} behind")
    text = bundle(diagnosis, (secret,), problems)
    for form in every:
        assert form not in text.replace(REDACTED, "")
    assert REDACTED in text


ECHOES = {
    "as it is": lambda key: key,
    "quoted": lambda key: quote(key, safe=""),
    "as JSON": lambda key: json.dumps(key)[1:-1],
    "coded": lambda key: base64.b64encode(key.encode()).decode(),
    "as a login": lambda key: base64.b64encode(f"walrus:{key}".encode()).decode(),
}


async def test_a_server_that_repeats_what_it_got_shows_nobody_a_secret() -> None:
    """In the error's words, in headers that are kept as facts, and in a page instead of JSON."""
    key = 'k"e|y/with%everything+in=it'
    for repeat in ECHOES.values():
        for kind in ("error", "page"):
            text = await _examined(key, repeat(key), kind)
            for form in (*forms(key), *forms(f"walrus:{key}")):
                assert form not in text, form


async def _examined(key: str, echo: str, kind: str) -> str:
    """Examine a server that says `echo` everywhere; return all that is made of the diagnosis."""
    error = json.dumps({"type": "error", "error": {"type": "api_error", "message": echo}})
    body = error if kind == "error" else f"<html>{echo}</html>"
    status = 401 if kind == "error" else 200

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        head = f"HTTP/1.1 {status} -\r\nserver: {echo}\r\nrequest-id: {echo}\r\nvia: {echo}\r\n"
        writer.write(f"{head}\r\n{body}".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    subject = Subject(
        base_url=f"http://127.0.0.1:{port}",
        headers={"x-api-key": key},
        proxies={"https": f"http://walrus:{quote(key, safe='')}@proxy.example:3128"},
    )
    found = await examine(subject, limit_s=1.0)
    server.close()
    return "\n".join(
        (json.dumps(plain(found)), markdown(found), bundle(found, subject.secrets), repr(subject))
    )
