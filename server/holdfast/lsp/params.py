"""The arguments of our commands, as they stand on the wire.

Law: unknown members are ignored, so that a newer client works with an older server; a known member
with a wrong value is refused by name. Every command takes one object; none means `{}`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

Title: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Id: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Seq: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Line: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Secret: TypeAlias = Annotated[str, msgspec.Meta(max_length=10_000)]
Address: TypeAlias = Annotated[str, msgspec.Meta(max_length=2_000, pattern="^https?://")]
Limit: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class Params(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of all arguments."""


class NoParams(Params, frozen=True):
    """Nothing."""


class OnSession(Params, frozen=True):
    """A command about one session."""

    session_id: Id


class ListParams(Params, frozen=True):
    """With `follow` the connection is told of changes from now on."""

    follow: bool = False


class CredentialsParams(Params, frozen=True):
    """An API key or a bearer token for an endpoint, or the first one; with neither, what was handed
    over before is forgotten.
    """

    api_key: Secret | None = None
    auth_token: Secret | None = None
    endpoint: str | None = None

    def __repr__(self) -> str:
        """Say nothing: whatever shows arguments must not show these (P11)."""
        return "CredentialsParams(hidden)"


class CreateParams(Params, frozen=True):
    """`workspaceUri` is the folder whose files tools may touch; without one they touch none."""

    workspace_uri: str | None = None
    title: Title | None = None
    model: Id | None = None


class OpenParams(OnSession, frozen=True):
    """`sinceSeq` is the last event the client has; without one it begins at the present.

    With the view `items`, `limit` is how many items a client without a past gets.
    """

    since_seq: Seq | None = None
    view: Literal["events", "items"] = "events"
    limit: Limit = 200


class ItemsParams(OnSession, frozen=True):
    """The newest `limit` items, or those before the item `before`."""

    limit: Limit = 200
    before: str | None = None


class OnToolCall(OnSession, frozen=True):
    """A command about one tool call."""

    tool_use_id: Id


class MessagesParams(OnSession, frozen=True):
    """The newest `limit` messages, or those before the message with the origin `before`."""

    limit: Limit = 200
    before: str | None = None


class RenameParams(OnSession, frozen=True):
    """The new title."""

    title: Title


class ArchiveParams(OnSession, frozen=True):
    """`archived` false brings the session back."""

    archived: bool = True


class ForkParams(OnSession, frozen=True):
    """With `beforePromptId` the fork ends before that prompt."""

    title: Title | None = None
    before_prompt_id: Id | None = None


class RewindParams(OnSession, frozen=True):
    """The prompt that is hidden, with everything after it."""

    prompt_id: Id


class ExportParams(OnSession, frozen=True):
    """`claude-code` is a transcript that its own program can resume."""

    format: Literal["jsonl", "markdown", "claude-code"] = "jsonl"


class ImportParams(Params, frozen=True):
    """`uri` is the transcript, a `file:` URI; the file is only read."""

    uri: str
    title: Title | None = None
    workspace_uri: str | None = None


class CompactParams(OnSession, frozen=True):
    """With `workDoneToken` the progress is reported on the client's own token, to its end."""

    instructions: Annotated[str, msgspec.Meta(max_length=10_000)] = ""
    work_done_token: int | str | None = None


class CompactionTextParams(OnSession, frozen=True):
    """`covered` is what the compaction stands for, `summary` what stands for it."""

    compaction_id: Id
    part: Literal["covered", "summary"] = "covered"


class DoctorParams(Params, frozen=True):
    """`sessionId` names whose endpoint it is, unless `endpoint` names one of the settings;
    `compareUrl` another address to go to as well. With `free` nothing is asked for that costs
    tokens; with `long` two answers are measured for some ten seconds. With `workDoneToken` the
    progress is reported on the client's own token.
    """

    session_id: Id | None = None
    endpoint: Id | None = None
    compare_url: Address | None = None
    free: bool = False
    long: bool = False
    work_done_token: int | str | None = None


class DoctorBundleParams(Params, frozen=True):
    """`sessionId` names whose endpoint it is about."""

    session_id: Id | None = None


class RepairParams(OnSession, frozen=True):
    """`dryRun` only reports; `undo` takes back the repair with this id instead."""

    dry_run: bool = False
    undo: Id | None = None


class EndpointParams(Params, frozen=True):
    """Without an `endpoint` the first one is asked."""

    endpoint: Id | None = None


class SelectModelParams(OnSession, frozen=True):
    """Without an `endpoint` the session stays where it is, and without a `model` the setting's
    is used; with an `endpoint` and without a `model` the session's model is asked for there.
    """

    model: Id | None = None
    endpoint: Id | None = None


class MentionParams(Params, frozen=True):
    """A file of the workspace, or its lines from `startLine` to `endLine` (from 1, inclusive)."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4_000)]
    start_line: Line | None = None
    end_line: Line | None = None


class SendParams(OnSession, frozen=True):
    """Either `text` or `content` (text, image and document blocks in the API's shape).

    `promptId` is the client's own; the same one twice is one prompt. `mentions` are files whose
    text, or picture, becomes part of the prompt.
    """

    text: str | None = None
    content: list[dict[str, Any]] | None = None
    prompt_id: Id | None = None
    mentions: Annotated[list[MentionParams], msgspec.Meta(max_length=100)] = []


class AnswerParams(Params, frozen=True):
    """`allowAlways` allows what the question's pattern matches, for this session."""

    question_id: Id
    answer: Literal["allow", "allowAlways", "deny"]


class TranscriptParams(Params, frozen=True):
    """A transcript. `workDoneToken` is the client's own, for its progress."""

    uri: str
    work_done_token: int | str | None = None


class TranscriptRepairParams(TranscriptParams, frozen=True):
    """At most one of `outputUri`, `inPlace` and `dryRun`."""

    output_uri: str | None = None
    in_place: bool = False
    dry_run: bool = False


class TranscriptImportParams(TranscriptParams, frozen=True):
    """`workspaceUri` is the folder of the new session."""

    title: Title | None = None
    workspace_uri: str | None = None


class TranscriptListParams(Params, frozen=True):
    """`workspaceUri`: only what has to do with this folder."""

    workspace_uri: str | None = None
