/** What the harness plays: every state of the chat view as the messages the host would send. */

import type { ToView } from "../../src/chat/messages";
import type { Item, Session, Status, ToolItem } from "../../src/protocol";

const SESSION = "s1";
const onSession = { sessionId: SESSION };
const now = Date.now();
let made = 0;

const base = () => ({ id: `i${++made}`, seq: made, atMs: now - 64_000 + made * 10, turnId: "t1" });
const prompt = (text: string, more: Partial<Item> = {}): Item =>
  ({ ...base(), kind: "prompt", promptId: `p${made}`, text, state: "sent", ...more }) as Item;
const text = (words: string, state: "done" | "streaming" | "cut" = "done"): Item => ({
  ...base(),
  kind: "text",
  text: words,
  state,
});
const tool = (title: string, more: Partial<ToolItem> = {}): ToolItem => ({
  ...base(),
  kind: "tool",
  toolUseId: `u${made}`,
  name: "run",
  title,
  input: {},
  state: "finished",
  hasDiff: false,
  startedAt: now - 9000,
  endedAt: now - 5000,
  ...more,
});
const notice = (code: string, level: "info" | "warning" | "error", words: string, more: Partial<Item> = {}): Item =>
  ({ ...base(), kind: "notice", code, level, text: words, ...more }) as Item;

const ANSWER = `The retry loop sleeps **before** it looks at the \`stop\` flag, so a stop during the wait
is only seen after it. Two things follow:

1. \`Retry.run\` has to wait on the flag and the timer together.
2. The deadline must count from the *first* attempt, not from the last one.

\`\`\`python
async def run(self, call: Call) -> Answer:
    """Try until it holds, a person stops it, or the deadline passes."""
    for attempt in range(1, self.attempts_max + 1):
        try:
            return await call()
        except Transient as error:
            delay_s = self.backoff(attempt, error.retry_after_s)
            if await self.stopped.wait_for(delay_s):  # returns at once when stopped
                raise Stopped() from error
    raise GaveUp(attempts=self.attempts_max)
\`\`\`

| Case | Before | After |
| --- | ---: | ---: |
| Stop while waiting | 32 s | 4 ms |
| Deadline passes | never | on time |

> The tests in [tests/test_retry.py](tests/test_retry.py:41) cover both, see also https://example.org/backoff.
`;

const conversation: Item[] = [
  prompt("Why does Stop take half a minute while a request is being retried? Please fix it.", {
    mentions: ["src/retry.py"],
  } as Partial<Item>),
  {
    ...base(),
    kind: "thinking",
    text: "The wait happens inside the loop. Let me read the file first and look at where the flag is checked.",
    state: "done",
    elapsedMs: 8400,
  },
  tool("Read src/retry.py 1-120", {
    name: "read",
    path: "src/retry.py",
    input: { path: "src/retry.py" },
    output: "1  import asyncio",
  }),
  tool('Search for "stopped" in src', { name: "grep" }),
  text(ANSWER),
  tool("Edit src/retry.py", {
    name: "edit",
    path: "src/retry.py",
    hasDiff: true,
    input: {
      path: "src/retry.py",
      old: "await sleep(delay_s)",
      new: "if await self.stopped.wait_for(delay_s):\n    raise Stopped()",
    },
  }),
  tool("Run pytest tests/test_retry.py", {
    input: { command: "pytest -q tests/test_retry.py" },
    state: "failed",
    startedAt: now - 75_000,
    output: "F.......\nE   assert 32.1 < 0.25\n1 failed, 7 passed in 33.02s",
  }),
  tool("Run pytest -q", { state: "interrupted", endedAt: now - 8000 }),
];

const usage = {
  contextTokens: 84_200,
  windowTokens: 200_000,
  inputTokens: 12_000,
  cacheReadTokens: 310_000,
  cacheWriteTokens: 41_000,
  outputTokens: 8_400,
  cost: { amount: 0.4312, currency: "USD" },
};
const status = (more: Partial<Status> = {}): Status => ({ sessionId: SESSION, phase: "idle", ...more });
const session = (more: Partial<Session> = {}): Session => ({
  sessionId: SESSION,
  title: "Stop is slow while retrying",
  model: "claude-sonnet-4-5",
  phase: "idle",
  seq: 1,
  archived: false,
  updatedAt: now,
  status: status(),
  usage,
  questions: [],
  todos: [],
  queue: [],
  compactions: [],
  repairs: [],
  ...more,
});
const show = (items: Item[], more: Partial<Session> = {}): ToView[] => [
  { type: "connection", state: "connected" },
  {
    type: "session",
    session: session(more),
    items,
    more: false,
    draft: { text: "", mentions: [], images: [] },
    history: ["An earlier prompt", "The one before it"],
  },
];
const during = (state: Partial<Status>, items = conversation): ToView[] =>
  show(items, { status: status(state), phase: status(state).phase });

const asking = tool("Run npm install --save-dev vitest", {
  state: "asking",
  questionId: "q1",
  startedAt: undefined,
  endedAt: undefined,
});
const question = {
  questionId: "q1",
  sessionId: SESSION,
  toolUseId: asking.toolUseId,
  tool: "run",
  title: "Run npm install --save-dev vitest",
  detail: "npm install --save-dev vitest",
  pattern: "npm install *",
};
const raw =
  'HTTP 401 authentication_error\n{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"},"request_id":"req_011CSH"}';

export const scenes: Record<string, ToView[]> = {
  loading: [{ type: "connection", state: "starting" }],
  emptyStart: [
    { type: "connection", state: "connected" },
    { type: "empty", hint: "start" },
  ],
  emptyKey: [
    { type: "connection", state: "connected" },
    { type: "empty", hint: "key" },
  ],
  emptyServer: [
    { type: "connection", state: "stopped" },
    { type: "empty", hint: "server" },
  ],
  fresh: show([]),
  conversation: show(conversation),
  streaming: during({ phase: "streaming", label: "streaming" }, [
    ...conversation.slice(0, 2),
    { ...base(), kind: "thinking", text: "So the", state: "streaming" },
    tool("Run npm test", { state: "running", endedAt: undefined }),
    tool("Write src/new.py", { state: "writing", startedAt: undefined }),
    text(ANSWER.slice(0, 620), "streaming"),
  ]),
  asking: show([...conversation.slice(0, 3), asking], {
    status: status({ phase: "asking", label: "asking" }),
    phase: "asking",
    questions: [question],
  }),
  waiting: during(
    {
      phase: "waiting",
      label: "waiting",
      retryAt: now + 12_400,
      banner: {
        tone: "warning",
        title: "Trying again",
        text: "The API is overloaded. Attempt 3 comes next. Wait, or choose another model; the turn goes on by itself.",
        due: now + 12_400,
        since: now - 41_000,
        raw: "status: 529\ntype: overloaded_error\nmessage: Overloaded",
        actions: [
          { title: "Retry now", command: "holdfast.turn.retry", argument: onSession, primary: true },
          { title: "Diagnose", command: "holdfast.doctor.run", argument: onSession },
          { title: "Other model or endpoint", command: "holdfast.model.select" },
          { title: "Stop", command: "holdfast.turn.stop", argument: onSession },
        ],
      },
    },
    [...conversation, notice("requestFailed", "warning", "The API is overloaded. Trying again (attempt 3).")],
  ),
  paused: during(
    {
      phase: "paused",
      label: "paused",
      banner: {
        tone: "error",
        title: "The API key is missing or was refused",
        text: "Give a valid API key, in your editor or as ANTHROPIC_API_KEY; then resume the turn.",
        raw,
        actions: [
          { title: "Set API key", command: "holdfast.credentials.set", primary: true },
          { title: "Continue", command: "holdfast.turn.resume", argument: onSession },
          { title: "Other model or endpoint", command: "holdfast.model.select" },
          { title: "Edit prompt", command: "holdfast.session.rewind" },
          { title: "Diagnose", command: "holdfast.doctor.run", argument: onSession },
          { title: "Stop", command: "holdfast.turn.stop", argument: onSession },
        ],
      },
    },
    [...conversation, notice("requestFailed", "error", "The API key was refused.", { detail: raw } as Partial<Item>)],
  ),
  compacting: during({
    phase: "compacting",
    label: "compacting 42 %",
    banner: {
      tone: "info",
      title: "Compacting the conversation, 42 %, trying again",
      text: "Asking the model for a summary · attempt 2 · The API did not answer in time.",
      due: now + 8_000,
      actions: [{ title: "Cancel", command: "holdfast.session.cancelCompaction", argument: onSession }],
    },
    progress: {
      percentage: 42,
      elapsedMs: 31_000,
    },
  }),
  silent: during(
    {
      phase: "streaming",
      label: "silent",
      silentMs: 12_000,
      banner: {
        tone: "warning",
        title: "Nothing heard, the stream is cut",
        text: "What arrived is kept, and the turn then goes on by itself.",
        due: now + 48_000,
        actions: [
          { title: "Retry now", command: "holdfast.turn.retry", argument: onSession, primary: true },
          { title: "Stop", command: "holdfast.turn.stop", argument: onSession },
        ],
      },
    },
    [...conversation.slice(0, 3), text("I will look at", "streaming")],
  ),
  readOnly: during({
    readOnly: "process 12 on tern",
    label: "open elsewhere",
    banner: {
      tone: "info",
      title: "Read only here",
      text: "Another Holdfast server owns this session: process 12 on tern. Close it there to go on here.",
      actions: [],
    },
  }),
  notices: show([
    ...conversation.slice(0, 1),
    notice("compacted", "info", "Compacted: 312 messages became a summary of 2.1k tokens.", {
      actions: [
        { title: "Show", command: "holdfast.session.items", argument: {} },
        { title: "Undo", command: "holdfast.session.undoCompaction", argument: { sessionId: SESSION } },
      ],
    } as Partial<Item>),
    notice("repaired", "info", "Repaired before sending: 2 tool results were missing and were filled in.", {
      detail: "R40 tool_use without tool_result: toolu_01, toolu_02",
      actions: [{ title: "Undo", command: "holdfast.session.repair", argument: { sessionId: SESSION } }],
    } as Partial<Item>),
    notice("requestFailed", "warning", "The API was overloaded; tried 4 times, went on after 38 s.", {
      detail: "HTTP 529 overloaded_error",
    } as Partial<Item>),
    text("The first part of an answer that", "cut"),
    notice("recovered", "info", "The server restarted; the turn went on from where it was."),
  ]),
  panels: show(conversation, {
    status: status({ phase: "runningTools", label: "running tools" }),
    phase: "runningTools",
    todos: [
      { text: "Find where Stop waits", status: "completed" },
      { text: "Wait on flag and timer together", status: "in_progress" },
      { text: "Count the deadline from the first attempt", status: "pending" },
    ],
    queue: [
      { promptId: "p90", turnId: "t2", text: "Then write a changelog entry about it" },
      { promptId: "p91", turnId: "t3", text: "And open a pull request" },
    ],
    usage: { ...usage, contextTokens: 187_000 },
  }),
  restarting: [...during({ phase: "streaming" }), { type: "connection", state: "restarting" }],
  stopped: [
    ...during({ phase: "idle" }),
    { type: "connection", state: "stopped", message: "It ended three times within a minute (exit code 1)." },
  ],
  refused: [
    ...show(conversation),
    {
      type: "refused",
      promptId: "p9",
      draft: {
        text: "Try again with\nthe other approach",
        mentions: [{ path: "src/retry.py", startLine: 10, endLine: 24 }],
        images: [],
      },
      message: "The prompt was not sent.",
      action: "Another server owns this session; close it there first.",
    },
  ],
  paged: show([]).map((step) =>
    step.type === "session"
      ? {
          ...step,
          items: Array.from({ length: 40 }, (_, n) => ({
            ...text(`Item ${200 + n}\n\n${"words ".repeat(20 + (n % 7) * 30)}`),
            id: `x${200 + n}`,
          })),
          more: true,
        }
      : step,
  ),
  markdown: show([
    prompt("Show me everything"),
    text(
      [
        "# One",
        "## Two",
        "### Three",
        "- a\n- b\n  - nested\n    - deeper",
        "- [ ] task",
        "***bold italic*** ~~gone~~",
        "![a picture](https://example.org/x.png)",
        "<script>alert(1)</script> <b>raw</b>",
        "[bad](javascript:alert(1))",
        "---",
        '```ts\nexport const answer: Map<string, number> = new Map([["a", 1]]); // a long line that goes on beyond the edge of the view for sure\n```',
        "```diff\n- old\n+ new\n```",
        "```\nno language\n```",
      ].join("\n\n"),
    ),
  ]),
};
