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
type Call = Of & { toolUseId: string };
type Key = string | null;

/** Each server command that the client calls, with its argument and its result. */
export interface Commands {
  "holdfast.credentials.set": [{ apiKey: Key; authToken: Key }, { source: "client" | "environment" | "none" }];
  "holdfast.model.list": [Nothing, { models: { model: string; windowTokens: number }[] }];
  "holdfast.model.select": [Of & { model?: string }, unknown];
  "holdfast.permission.answer": [{ questionId: string; answer: Answer }, unknown];
  "holdfast.server.info": [Nothing, ServerInfo];
  "holdfast.session.archive": [Of & { archived: boolean }, unknown];
  "holdfast.session.cancelCompaction": [Of, unknown];
  "holdfast.session.compact": [Of & { instructions?: string }, unknown];
  "holdfast.session.create": [{ workspaceUri?: string }, Of];
  "holdfast.session.delete": [Of, unknown];
  "holdfast.session.export": [Of & { format: ExportFormat }, { content: string }];
  "holdfast.session.fork": [Of & { title: string }, Of];
  "holdfast.session.import": [{ uri: string; workspaceUri?: string }, Of];
  "holdfast.session.items": [Of & { limit: number; before?: string }, { items: Item[]; more: boolean }];
  "holdfast.session.list": [{ follow: boolean }, { sessions: SessionEntry[] }];
  "holdfast.session.open": [Of & { sinceSeq?: number; view: "items" }, OpenedSession];
  "holdfast.session.rename": [Of & { title: string }, unknown];
  "holdfast.session.repair": [Of & { dryRun?: boolean; undo?: string }, RepairReport];
  "holdfast.session.rewind": [Of & { promptId: string }, unknown];
  "holdfast.session.state": [Of, Status & { questions: Question[] }];
  "holdfast.session.undoCompaction": [Of, { compactionId: string | null }];
  "holdfast.tool.diff": [Call, ToolDiff];
  "holdfast.tool.output": [Call, { text: string }];
  "holdfast.turn.resume": [Of, unknown];
  "holdfast.turn.retry": [Of, unknown];
  "holdfast.turn.send": [SendArgument, unknown];
  "holdfast.turn.stop": [Of, unknown];
}

export type CommandName = keyof Commands;
export type Argument<K extends CommandName> = Commands[K][0];
export type Result<K extends CommandName> = Commands[K][1];

export type Phase =
  "idle" | "queued" | "compacting" | "requesting" | "streaming" | "asking" | "runningTools" | "waiting" | "paused";
export type Answer = "allow" | "allowAlways" | "deny";
export type ExportFormat = "jsonl" | "markdown" | "claude-code";

export type Mention = { path: string; startLine?: number; endLine?: number };
export type ContentBlock =
  | { type: "text"; text: string }
  | { type: "image"; source: { type: "base64"; media_type: string; data: string } };
export type SendArgument = Of & { promptId: string; text?: string; content?: ContentBlock[]; mentions?: Mention[] };

/** What a session is doing now (`holdfast/status`). */
export interface Status extends Of {
  phase: Phase;
  /** The whole state in a few words, empty when idle: "streaming, compacting 40 %". */
  label?: string;
  /** Only while the session does not simply go on. */
  banner?: Banner;
  message?: string;
  advice?: string;
  attempt?: number;
  retryAt?: number;
  readOnly?: string;
  /** How long nothing has arrived on an open stream. */
  silentMs?: number;
  progress?: { percentage: number; elapsedMs: number };
}

/**
 * What holds a session up, in plain words, and what can be done about it. `due`: when what the title
 * says happens, a countdown is added to it; `raw`: the API's own words.
 */
export interface Banner {
  tone: "info" | "warning" | "error";
  title: string;
  text: string;
  due?: number;
  raw?: string;
  actions: BannerAction[];
}

/** Without an argument the command needs a person's input first. */
export type BannerAction = { title: string; command: CommandName; argument?: Argued; primary?: boolean };
type Argued = Record<string, unknown>;

export type Question = Call & { questionId: string; tool: string; title: string; detail: string; pattern: string };

type Tokens = "context" | "window" | "input" | "cacheRead" | "cacheWrite" | "output";
export type Usage = Record<`${Tokens}Tokens`, number> & { cost?: { amount: number; currency: string } };

interface SessionBase extends Of {
  title: string;
  workspaceUri?: string;
  model?: string;
  phase: Phase;
  updatedAt: number;
  archived: boolean;
}

/** One line of the list of sessions; `status` when the session is open in this server. */
export type SessionEntry = SessionBase & { headSeq: number; status?: Status };

/** An open session, as `holdfast.session.open` returns it. */
export interface Session extends SessionBase {
  seq: number;
  status: Status;
  usage: Usage;
  questions: Question[];
  todos: { text: string; status: string }[];
  queue: { promptId: string; turnId: string; text: string }[];
  compactions: string[];
  repairs: string[];
}

/** `items` when nothing was known before or too much has changed, else `changes`. */
export type OpenedSession = { session: Session; seq: number; items?: Item[]; more?: boolean; changes?: Change[] };

type ItemBase = { id: string; seq: number; atMs: number; turnId?: string };
type WordsItem = ItemBase & { text: string; state: "streaming" | "done" | "cut" };

export interface PromptItem extends ItemBase {
  kind: "prompt";
  promptId: string;
  text: string;
  images?: { mediaType: string }[];
  mentions?: string[];
  state: "queued" | "sent";
}

export type TextItem = WordsItem & { kind: "text"; model?: string };
export type ThinkingItem = WordsItem & { kind: "thinking"; elapsedMs?: number };

type Begun = "writing" | "requested" | "asking" | "running";
type Ended = "finished" | "failed" | "refused" | "interrupted" | "notStarted" | "unknown";

export interface ToolItem extends ItemBase {
  kind: "tool";
  toolUseId: string;
  name: string;
  title: string;
  input: Record<string, unknown>;
  state: Begun | Ended;
  output?: string;
  outputClipped?: boolean;
  path?: string;
  hasDiff: boolean;
  questionId?: string;
  startedAt?: number;
  endedAt?: number;
}

export interface NoticeItem extends ItemBase {
  kind: "notice";
  code: string;
  level: "info" | "warning" | "error";
  text: string;
  detail?: string;
  actions?: { title: string; command: CommandName; argument: Argued }[];
}

export type Item = PromptItem | TextItem | ThinkingItem | ToolItem | NoticeItem;

/** `put` inserts an item (at the end, or behind `after`) or replaces the one with its id. */
export type Change =
  | { op: "put"; item: Item; after?: string }
  | { op: "append"; id: string; text: string }
  | { op: "remove"; id: string };
export type ItemsParams = Of & { seq: number; changes: Change[]; session?: Session };

type Content = string | null;
type DiffState = "proposed" | "applied" | "unknown";
export type ToolDiff = { uri: string; before: Content; after: Content; state: DiffState; reason?: string };

export type RepairReport = { findings: { rule: string; detail: string }[]; repairId?: string };

export interface ServerInfo {
  version: string;
  versions: Record<string, string>;
  processId: number;
  dataDir: string;
  store: { state: string; message?: string };
  problems: { message: string }[];
}

/** `data` of an error response: what it is, and the next step in plain words. */
export type ErrorData = { kind: string; action: string };
