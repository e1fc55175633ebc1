"""`holdfast.turn.*`, `holdfast.permission.*`, `holdfast.credentials.*` and `holdfast.server.*`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.conversation.history import Block, text
from holdfast.lsp import errors, wire
from holdfast.lsp import params as p
from holdfast.tools.port import Mention

if TYPE_CHECKING:
    from holdfast.lsp.server import HoldfastServer


async def send(ls: HoldfastServer, params: p.SendParams) -> Any:
    """Accept a prompt; it is on disk when the answer comes (P1)."""
    if (params.text is None) == (params.content is None):
        raise errors.invalid_params("holdfast.turn.send: give either `text` or `content`.")
    blocks = (
        (text(params.text),)
        if params.text is not None
        else tuple(Block.of(item) for item in params.content or ())
    )
    supervisor = await ls.supervisor()
    await ls.followers.watch(params.session_id)
    mentions = [Mention(m.path, m.start_line, m.end_line) for m in params.mentions]
    accepted = await supervisor.send(params.session_id, blocks, params.prompt_id, mentions)
    return wire.plain(accepted)


async def stop(ls: HoldfastServer, params: p.OnSession) -> Any:
    """Stop the turn at once (P7); queued prompts are held."""
    supervisor = await ls.supervisor()
    return {"phase": await supervisor.stop(params.session_id)}


async def resume(ls: HoldfastServer, params: p.OnSession) -> Any:
    """Let a paused, waiting or held session go on now."""
    supervisor = await ls.supervisor()
    await ls.followers.watch(params.session_id)
    return {"phase": await supervisor.resume(params.session_id)}


async def retry(ls: HoldfastServer, params: p.OnSession) -> Any:
    """Send a failed request again now."""
    supervisor = await ls.supervisor()
    await ls.followers.watch(params.session_id)
    return {"phase": await supervisor.retry(params.session_id)}


async def answer(ls: HoldfastServer, params: p.AnswerParams) -> Any:
    """Answer a permission question."""
    supervisor = await ls.supervisor()
    await supervisor.answer(params.question_id, params.answer)
    return {}


async def set_credentials(ls: HoldfastServer, params: p.CredentialsParams) -> Any:
    """Keep a client's credentials in memory, for the next attempts of all sessions (P11)."""
    supervisor = await ls.supervisor()
    source = await supervisor.use_credentials(params.api_key, params.auth_token, params.endpoint)
    return {"source": source}


async def info(ls: HoldfastServer, _: p.NoParams) -> Any:
    """Say what this server is, where it keeps its data and what it did not understand."""
    return ls.info()
