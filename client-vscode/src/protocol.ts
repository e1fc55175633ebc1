/**
 * The server's methods and the shapes that this client uses of them. Law: names and shapes are the
 * server's (docs/protocol.md); a test compares them with the server's own table. Times are
 * milliseconds since 1970 unless the name says otherwise.
 */

/** What the server tells by itself, with its parameters. */
export interface Notifications {
  "holdfast/items": ItemsParams;
  "holdfast/sessions": { sessions: SessionEntry[]; removed: string[] };
  "holdfast/status": Status;
}

type Nothing = Record<string, never>;
type Of = { sessionId: string };
export type Call = Of & { toolUseId: string };
type File = { uri: string };

/** Each server command that the client calls, with its argument and its result. */
export interface Commands {
  "holdfast.credentials.set": [Record<"apiKey" | "authToken" | "endpoint", string | null>, { source: string }];
  "holdfast.doctor.bundle": [Partial<Of>, { text: string }];
  "holdfast.doctor.run": [Partial<Of>, { report: string }];
  "holdfast.model.choices": [Of, { choices: Answerer[] }];
  "holdfast.model.select": [Of & Partial<Answerer>, unknown];
  "holdfast.permission.answer": [{ questionId: string; answer: Answer }, unknown];
  "holdfast.session.archive": [Of & { archived: boolean }, unknown];
  "holdfast.session.cancelCompaction": [Of, unknown];
  "holdfast.session.compact": [Of & { instructions?: string }, unknown];
  "holdfast.session.compactionText": [Compacted & { part: "covered" | "summary" }, Record<"title" | "text", string>];
  "holdfast.session.compactions": [Of, { compactions: Compaction[] }];
  "holdfast.session.create": [{ workspaceUri?: string }, Of];
  "holdfast.session.delete": [Of, unknown];
  "holdfast.session.export": [Of & { format: ExportFormat }, { content: string }];
  "holdfast.session.fork": [Of & { title: string }, Of];
  "holdfast.session.items": [Of & { limit: number; before?: string }, { items: Item[]; more: boolean }];
  "holdfast.session.list": [{ follow: boolean }, { sessions: SessionEntry[] }];
  "holdfast.session.open": [Of & { sinceSeq?: number; view: "items" }, OpenedSession];
  "holdfast.session.redoCompaction": [Of, { compactionId: string | null }];
  "holdfast.session.rename": [Of & { title: string }, unknown];
  "holdfast.session.repair": [Of & { dryRun?: boolean; undo?: string }, { findings: unknown[]; report: string }];
  "holdfast.session.rewind": [Of & { promptId: string }, unknown];
  "holdfast.session.state": [Of, Status & { questions: Question[] }];
  "holdfast.session.undoCompaction": [Of, { compactionId: string | null }];
  "holdfast.tool.diff": [Call, ToolDiff];
  "holdfast.tool.output": [Call, { text: string }];
  "holdfast.transcript.check": [File, { findings: unknown[] }];
  "holdfast.transcript.import": [File, Of];
  "holdfast.transcript.list": [Nothing, { sessions: Transcript[] }];
  "holdfast.transcript.repair": [File & { inPlace: boolean }, Repaired];
  "holdfast.turn.resume": [Of, unknown];
  "holdfast.turn.retry": [Of, unknown];
  "holdfast.turn.send": [SendArgument, unknown];
  "holdfast.turn.stop": [Of, unknown];
}

export type CommandName = keyof Commands;
export type Argument<K extends CommandName> = Commands[K][0];
export type Result<K extends CommandName> = Commands[K][1];

export type Phase =
  | "idle" | "queued" | "compacting" | "repairing" | "requesting" | "streaming"
  | "asking" | "runningTools" | "waiting" | "paused";
export type Answer = "allow" | "allowAlways" | "deny";
export type ExportFormat = "jsonl" | "markdown" | "claude-code";

export type Mention = { path: string; startLine?: number; endLine?: number };
export type ContentBlock =
  | { type: "text"; text: string }
  | { type: "image"; source: { type: "base64"; media_type: string; data: string } };
export type SendArgument = Of & { promptId: string; text?: string; content?: ContentBlock[]; mentions?: Mention[] };

/**
 * What a session is doing now (`holdfast/status`). `label`: all of it in a few words, empty when idle;
 * `banner`: only while the session does not simply go on; `silentMs`: how long an open stream is silent.
 */
export type Status = Of & Partial<Record<"label" | "message" | "advice" | "readOnly", string>> &
  Partial<Record<"attempt" | "retryAt" | "silentMs", number>> & {
    phase: Phase;
    banner?: Banner;
    progress?: { percentage: number; elapsedMs: number };
  };

export type Compacted = Of & { compactionId: string };
/** What became of a compaction, in the server's words. */
type Compaction = Record<"compactionId" | "label" | "sizes" | "reasons", string> & { startedAt: number };

type Level = "info" | "warning" | "error";
type Argued = Record<string, unknown>;

/**
 * What holds a session up, in plain words, and what can be done about it. `due`: when what the title
 * says happens, a countdown is added to it; `since`: when the trouble began; `raw`: the API's own words.
 */
export type Banner = { tone: Level; title: string; text: string; raw?: string; actions: BannerAction[] } &
  Partial<Record<"due" | "since", number>>;

/** Without an argument the command needs a person's input first. */
export type BannerAction = { title: string; command: CommandName; argument?: Argued; primary?: boolean };

/** Who could answer a session: an endpoint (`group`, for people) with a model. `detail`: what changes. */
type Answerer = Record<"group" | "label" | "description" | "detail", string> & { model?: string; endpoint?: string };

export type Question = Call & Record<"questionId" | "tool" | "title" | "detail" | "pattern", string>;

type Tokens = "context" | "window" | "input" | "cacheRead" | "cacheWrite" | "output";
export type Usage = Record<`${Tokens}Tokens`, number> & { cost?: { amount: number; currency: string } };

type SessionBase = Of & { title: string; workspaceUri?: string; phase: Phase; updatedAt: number; archived: boolean };

/** One line of the list of sessions; `status` when the session is open in this server. */
export type SessionEntry = SessionBase & { headSeq: number; status?: Status };

/** An open session, as `holdfast.session.open` returns it. */
export type Session = SessionBase & { seq: number; model?: string; endpoint?: string; status: Status; usage: Usage } &
  Record<"compactions" | "repairs", string[]> & { questions: Question[]; todos: Record<"text" | "status", string>[] } &
  { queue: Record<"promptId" | "turnId" | "text", string>[] };

/** `items` when nothing was known before or too much has changed, else `changes`. */
export type OpenedSession = { session: Session; seq: number; items?: Item[]; more?: boolean; changes?: Change[] };

type ItemBase = { id: string; seq: number; atMs: number; turnId?: string };
type WordsItem = ItemBase & { text: string; state: "streaming" | "done" | "cut" };
export type TextItem = WordsItem & { kind: "text"; model?: string };
export type ThinkingItem = WordsItem & { kind: "thinking"; elapsedMs?: number };

/** `unsent`: not yet taken by the server; it is shown by the client alone. */
export type PromptItem = ItemBase & { kind: "prompt"; promptId: string; text: string; state: "queued" | "sent" | "unsent" } &
  { images?: { mediaType: string }[]; mentions?: string[] };

type Begun = "writing" | "requested" | "asking" | "running";
type Ended = "finished" | "failed" | "refused" | "interrupted" | "notStarted" | "unknown";
export type ToolItem = ItemBase & Record<"toolUseId" | "name" | "title", string> &
  Partial<Record<"output" | "path" | "questionId", string> & Record<"startedAt" | "endedAt", number>> &
  { kind: "tool"; input: Argued; state: Begun | Ended; outputClipped?: boolean; hasDiff: boolean };

export type NoticeItem = ItemBase & { kind: "notice"; code: string; level: Level } &
  { text: string; detail?: string; actions?: BannerAction[] };

export type Item = PromptItem | TextItem | ThinkingItem | ToolItem | NoticeItem;

/** `put` inserts an item (at the end, or behind `after`) or replaces the one with its id. */
export type Change =
  | { op: "put"; item: Item; after?: string }
  | ({ id: string } & ({ op: "append"; text: string } | { op: "remove" }));
export type ItemsParams = Of & { seq: number; changes: Change[]; session?: Session };

export type ToolDiff = Record<"before" | "after", string | null> & { uri: string; reason?: string } &
  { state: "proposed" | "applied" | "unknown" };

/** One of Claude Code's sessions; `health` is what both ends of its file tell. */
export type Transcript = Record<"sessionId" | "path" | "title" | "cwd" | "health", string> &
  Record<"size" | "usedAtMs" | "deletedInDays", number>;
/** `outputUri`: of the copy, if one was made; `backup`: where the old file is kept. */
type Repaired = Record<"repairs" | "unrepaired", unknown[]> & Record<"outputUri" | "backup", string | null>;

/** `data` of an error response: what it is, and the next step in plain words. */
export type ErrorData = { kind: string; action: string };
