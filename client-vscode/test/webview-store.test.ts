/** The chat view's reducer: what a person typed is never lost, and what is shown is what is true. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { emptyDraft } from "../src/chat/outbox";
import type { Banner, Item, PromptItem, Session, TextItem, ToolItem } from "../src/protocol";
import { applyChanges, KEPT_MAX } from "../webview/changes";
import { edited, initial, reduce, submitted, type State } from "../webview/store";

const text = (id: string, words = id, state: TextItem["state"] = "done"): TextItem => ({
  id,
  seq: 1,
  atMs: 0,
  kind: "text",
  text: words,
  state,
});
const prompt = (promptId: string): PromptItem => ({
  id: `i-${promptId}`,
  seq: 1,
  atMs: 0,
  kind: "prompt",
  promptId,
  text: "do it",
  state: "sent",
});
const session = (sessionId = "s"): Session => ({
  sessionId,
  title: "",
  phase: "idle",
  seq: 0,
  archived: false,
  updatedAt: 0,
  status: { sessionId, phase: "idle" },
  usage: {
    contextTokens: 0,
    windowTokens: 0,
    inputTokens: 0,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: 0,
  },
  questions: [],
  todos: [],
  queue: [],
  compactions: [],
  repairs: [],
});
const draft = (words: string) => ({ ...emptyDraft, text: words });
const opened = (state: State, items: Item[] = [], typed = "", id = "s"): State =>
  reduce(state, { type: "session", session: session(id), items, more: false, draft: draft(typed), history: [] }, 0);
const set = (state: State, change: Partial<State>): State => reduce(state, { type: "set", change }, 0);
const typed = (state: State, words: string): State => set(state, { draft: draft(words) });
const send = (state: State, promptId: string): State => set(state, submitted(state, { promptId, draft: state.draft }));
const edit = (state: State, item: PromptItem): State => set(state, edited(state, item));
const ids = (items: readonly Item[]) => items.map((item) => item.id).join(" ");

describe("changes of the items", () => {
  const items = [text("a"), text("b"), text("c")];
  it("put at the end, behind another, or in place of themselves", () => {
    assert.equal(ids(applyChanges(items, [{ op: "put", item: text("d") }])), "a b c d");
    assert.equal(ids(applyChanges(items, [{ op: "put", item: text("d"), after: "a" }])), "a d b c");
    const replaced = applyChanges(items, [{ op: "put", item: text("b", "new") }]);
    assert.equal(ids(replaced), "a b c");
    assert.equal((replaced[1] as TextItem).text, "new");
  });
  it("append only to what is shown, and leave the other items their identity", () => {
    const next = applyChanges(items, [
      { op: "append", id: "b", text: "!" },
      { op: "append", id: "gone", text: "?" },
    ]);
    assert.equal((next[1] as TextItem).text, "b!");
    assert.equal(next[0], items[0]);
  });
  it("are nothing when they speak of a page that is not loaded", () => {
    const unknown = applyChanges(items, [
      { op: "remove", id: "x" },
      { op: "put", item: text("y"), after: "y" },
    ]);
    assert.equal(unknown, items);
  });
  it("put what is new behind something that is not held at the beginning", () => {
    assert.equal(ids(applyChanges(items, [{ op: "put", item: text("y"), after: "x" }])), "y a b c");
  });
  it("remove", () => assert.equal(ids(applyChanges(items, [{ op: "remove", id: "b" }])), "a c"));
});

describe("what a person typed", () => {
  it("comes back after a reload", () => assert.equal(opened(initial, [], "half a sent").draft.text, "half a sent"));
  it("survives a re-attach to the same session", () => {
    assert.equal(opened(typed(opened(initial), "being typed"), [], "older").draft.text, "being typed");
  });
  it("stays with its session when another one is shown", () => {
    assert.equal(opened(typed(opened(initial), "for s"), [], "for other", "other").draft.text, "for other");
  });
  it("is given back in front of what was typed since, when the server does not take it", () => {
    const sent = send(typed(opened(initial), "first"), "p");
    const refused = reduce(
      typed(sent, "second"),
      { type: "refused", promptId: "p", draft: draft("first"), message: "No.", action: "Wait." },
      0,
    );
    assert.equal(refused.draft.text, "first\n\nsecond");
    assert.deepEqual([refused.refusal?.message, refused.refusal?.action], ["No.", "Wait."]);
    assert.deepEqual(refused.items, []);
  });
  it("is put aside while an earlier prompt is edited, and comes back", () => {
    const editing = edit(typed(opened(initial, [prompt("p")]), "kept"), prompt("p"));
    assert.equal(editing.draft.text, "do it");
    assert.equal(editing.editing?.kept.text, "kept");
    const resent = send(editing, "p2");
    assert.equal(resent.draft.text, "kept");
    assert.equal(resent.editing, undefined);
  });
});

describe("a sent prompt", () => {
  const sent = send(typed(opened(initial), "do it"), "p");
  it("is shown at once and remembered for Up", () => {
    const [shown] = sent.items;
    assert.deepEqual(shown?.kind === "prompt" && [shown.text, shown.state], ["do it", "unsent"]);
    assert.equal(sent.history[0], "do it");
    assert.equal(sent.draft.text, "");
  });
  it("waits over a restart of the server", () => {
    const back = opened(reduce(sent, { type: "connection", state: "restarting" }, 0));
    assert.equal(ids(back.items), "unsent:p");
  });
  it("gives way to the server's own item, never shown twice", () => {
    const taken = reduce(sent, { type: "changes", changes: [{ op: "put", item: prompt("p") }] }, 0);
    assert.deepEqual(taken.items, [prompt("p")]);
    assert.deepEqual(opened(sent, [prompt("p")]).items, [prompt("p")]);
    assert.equal(ids(opened(sent, sent.items as Item[]).items), "unsent:p");
  });
});

describe("a long conversation", () => {
  const many = Array.from({ length: KEPT_MAX + 500 }, (_, n) => text(`n${n}`));
  const all = { op: "put" as const };
  it("keeps a bounded number of items while its end is followed, and can get the older ones again", () => {
    const state = reduce(opened(initial), { type: "changes", changes: many.map((item) => ({ ...all, item })) }, 0);
    assert.ok(state.items.length <= KEPT_MAX);
    assert.equal(state.items.at(-1)?.id, many.at(-1)?.id);
    assert.equal(state.more, true);
  });
  it("takes nothing away from a person who reads further up", () => {
    const reading = set(opened(initial), { following: false });
    const state = reduce(reading, { type: "changes", changes: many.map((item) => ({ ...all, item })) }, 0);
    assert.equal(state.items.length, many.length);
  });
  it("puts older pages in front, each item once", () => {
    const state = reduce(
      opened(initial, [text("b"), text("c")]),
      { type: "older", items: [text("a"), text("b")], more: true },
      0,
    );
    assert.equal(ids(state.items), "a b c");
    assert.equal(state.loadingOlder, false);
  });
});

describe("what is read out", () => {
  const put = (state: State, item: Item) => reduce(state, { type: "changes", changes: [{ op: "put", item }] }, 0);
  it("is a finished answer, not its deltas", () => {
    const streaming = put(opened(initial), text("a", "Hel", "streaming"));
    const grown = reduce(streaming, { type: "changes", changes: [{ op: "append", id: "a", text: "lo" }] }, 0);
    assert.equal(grown.announcement, "");
    assert.equal(put(grown, text("a", "Hello")).announcement, "Answer: Hello");
  });
  it("is a question of permission", () => {
    const tool: ToolItem = {
      id: "t",
      seq: 1,
      atMs: 0,
      kind: "tool",
      toolUseId: "u",
      name: "run",
      title: "Run npm test",
      input: {},
      state: "asking",
      hasDiff: false,
    };
    assert.equal(put(opened(initial), tool).announcement, "Permission needed: Run npm test");
  });
  it("is a banner that comes, with its time, and not what changes in it by the second or is an alert", () => {
    const held = (before: State, banner: Partial<Banner>, nowMs: number): State => {
      const shown: Banner = { tone: "warning", title: "Trying again", text: "It is overloaded.", actions: [], ...banner };
      return reduce(before, { type: "status", status: { sessionId: "s", phase: "waiting", banner: shown } }, nowMs);
    };
    const first = held(opened(initial), { due: 12_000 }, 0);
    assert.equal(first.announcement, "Trying again in 12 s. It is overloaded.");
    assert.equal(held(first, { due: 12_000, text: "Late." }, 1000).announcement, first.announcement);
    assert.equal(held(opened(initial), { tone: "error" }, 0).announcement, "");
  });
});

describe("a message of a newer host", () => {
  it("changes nothing", () => {
    const state = opened(initial);
    assert.equal(reduce(state, { type: "levitate" } as never, 0), state);
  });
});

describe("the status", () => {
  it("of another session changes nothing here", () => {
    const state = opened(initial);
    assert.equal(reduce(state, { type: "status", status: { sessionId: "other", phase: "paused" } }, 5), state);
  });
  it("is counted on from when it arrived", () => {
    const state = reduce(
      opened(initial),
      { type: "status", status: { sessionId: "s", phase: "streaming", silentMs: 12_000 } },
      77,
    );
    assert.equal(state.statusAtMs, 77);
  });
});
