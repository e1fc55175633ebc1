"""The commands about transcripts as files: `holdfast.transcript.*`.

Law: they say what the command line says. What takes time has a bar, on the client's
`workDoneToken` when there is one, and can be stopped; then nothing was written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from pygls.uris import to_fs_path, uri_scheme

from holdfast.lsp import errors, examples
from holdfast.lsp import params as p
from holdfast.lsp.rows import Command
from holdfast.lsp.transcripts import messages as m

if TYPE_CHECKING:
    from holdfast.lsp.server import HoldfastServer


async def check(ls: HoldfastServer, params: p.TranscriptParams) -> Any:
    """Say what is wrong with a transcript."""
    path = _file(params.uri, "uri")
    title = f"Holdfast: checking {path.name}"
    return await ls.transcripts.about_file(m.CHECK, path, {}, title, params.work_done_token)


async def repair(ls: HoldfastServer, params: p.TranscriptRepairParams) -> Any:
    """Repair a transcript into a copy, or in place, or say what would be done."""
    path = _file(params.uri, "uri")
    output = None if params.output_uri is None else _file(params.output_uri, "outputUri")
    if (output is not None) + params.in_place + params.dry_run > 1:
        raise errors.invalid_params(
            "holdfast.transcript.repair takes one of `outputUri`, `inPlace` and `dryRun`."
        )
    given = {
        "output": None if output is None else str(output),
        "inPlace": params.in_place,
        "dryRun": params.dry_run,
    }
    title = f"Holdfast: repairing {path.name}"
    done = await ls.transcripts.about_file(m.REPAIR, path, given, title, params.work_done_token)
    if params.in_place:
        ls.transcripts.diagnostics.look_again(path)
    return done


async def import_transcript(ls: HoldfastServer, params: p.TranscriptImportParams) -> Any:
    """Make a session of a transcript."""
    path = _file(params.uri, "uri")
    workspace_uri = params.workspace_uri or await _other_folder(ls, path)
    supervisor = await ls.supervisor()

    async def work(_: Any) -> msgspec.Raw:
        session_id = await supervisor.import_transcript(
            path, title=params.title, workspace_uri=workspace_uri
        )
        return msgspec.Raw(msgspec.json.encode({"sessionId": session_id}))

    title = f"Holdfast: importing {path.name}"
    try:
        return await ls.transcripts.with_bar(title, work, params.work_done_token)
    except OSError as error:
        raise errors.failed(
            errors.REQUEST_FAILED,
            "FileUnreadable",
            f"{path}: {error.strerror or error}.",
            "Check the path and its permissions.",
        ) from None


async def list_transcripts(ls: HoldfastServer, params: p.TranscriptListParams) -> Any:
    """List Claude Code's sessions on this machine."""
    given = {}
    if params.workspace_uri is not None:
        given["folder"] = str(_file(params.workspace_uri, "workspaceUri"))
    title = "Holdfast: looking for sessions"
    return await ls.transcripts.about_file(m.LIST, Path(), given, title, None)


async def _other_folder(ls: HoldfastServer, path: Path) -> str | None:
    """Return the editor's first folder for a session whose own folder is not on this machine.

    A session without a folder has no tools.
    """
    title = f"Holdfast: reading {path.name}"
    named = await ls.transcripts.about_file(m.FOLDER, path, {}, title, None)
    if msgspec.json.decode(named) is not None:
        return None
    return next(iter(ls.folder_uris()), None)


def _file(uri: str, name: str) -> Path:
    path = to_fs_path(uri) if uri_scheme(uri) == "file" else None
    if not path:
        raise errors.invalid_params(f"holdfast.transcript: `{name}` must be a file: URI.")
    return Path(path)


_URI: Final = "file:///home/me/.claude/projects/-home-me-project/8f2c.jsonl"

ROWS: Final = (
    Command(
        "holdfast.transcript.check",
        p.TranscriptParams,
        check,
        "Say what is wrong with a transcript, as `holdfast check --json` does. Nothing is written.",
        {"uri": _URI, "workDoneToken": "mine-2"},
        examples.TRANSCRIPT_REPORT,
    ),
    Command(
        "holdfast.transcript.repair",
        p.TranscriptRepairParams,
        repair,
        "Repair a transcript of Claude Code, as `holdfast repair --json` does: into `outputUri`, "
        "`inPlace` (the file as it was is kept beside it), or with `dryRun` not at all. With none "
        "of them the copy is made beside the file, under a free name. `outputUri` in the result is "
        "the file that was written.",
        {"uri": _URI},
        examples.TRANSCRIPT_REPAIR,
    ),
    Command(
        "holdfast.transcript.import",
        p.TranscriptImportParams,
        import_transcript,
        "Make a session of a transcript; the file is only read. The session's folder is "
        "`workspaceUri`, or else its own if that is there, or else the editor's first.",
        {"uri": _URI},
        {"sessionId": "s_77b0"},
    ),
    Command(
        "holdfast.transcript.list",
        p.TranscriptListParams,
        list_transcripts,
        "List Claude Code's sessions on this machine, the one used last first; with `workspaceUri` "
        "those that have to do with that folder, with their `relation` to it. `health` is what "
        "both ends of the file show: `healthy`, `interrupted`, `torn`, `damaged`, `empty` or "
        "`unreadable`.",
        {"workspaceUri": "file:///home/me/project"},
        {"sessions": [examples.TRANSCRIPT]},
    ),
)
