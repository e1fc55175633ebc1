/**
 * Where a person writes. Law: what is typed is never lost; it goes to the host a moment after the
 * last key, and comes back after a reload. Typing works whatever the server does.
 */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Draft, PastedImage } from "../src/chat/messages";
import { isEmpty } from "../src/chat/outbox";
import type { Session } from "../src/protocol";
import { palette, post } from "./host";
import { Meter } from "./panels";
import { Button, Chip, Icon } from "./parts";
import { current, set, submitted, type State } from "./store";
import { atEdge, mentionAt, notRecalling, recalled, refusalOf } from "./typing";
import wording from "./wording.json";
import { bytes, isBusy, mentionWords } from "./words";

const DRAFT_DELAY_MS = 300;
const FILES_DELAY_MS = 80;

const type = (change: Partial<Draft>) => set({ draft: { ...current().draft, ...change } });

function send(): void {
  const { draft, editing } = current();
  if (isEmpty(draft)) return;
  const prompt = { promptId: crypto.randomUUID(), draft, ...(editing && { replaces: editing.promptId }) };
  set(submitted(current(), prompt));
  post({ type: "send", prompt });
}

export function Composer({ state, session }: { state: State; session: Session }) {
  const { status, editing, history } = state;
  // Not of the last drawing: the composer also draws by itself, and must never set back what was typed.
  const { draft } = current();
  const area = useRef<HTMLTextAreaElement>(null);
  const [caret, setCaret] = useState(0);
  const recall = useRef(notRecalling);
  /** Where the `@` stands whose list of files a person closed. */
  const [closedAt, setClosedAt] = useState<number>();
  const [chosen, setChosen] = useState(0);
  const mention = mentionAt(draft.text, caret);
  const asked = mention?.start === closedAt ? undefined : mention;
  const files = asked ? state.files : [];
  const busy = isBusy(status?.phase);
  const words = wording.composer[editing ? "editing" : busy ? "busy" : "ready"];

  useKeptDraft(state);
  useFiles(asked?.query);
  useEffect(() => area.current?.focus(), [state.focusCount]);
  useEffect(() => setChosen(0), [state.files]);

  const write = (text: string, at = text.length) => {
    type({ text });
    area.current?.setSelectionRange(at, at);
    setCaret(at);
  };
  const pick = (path: string) => {
    const before = `${draft.text.slice(0, asked?.start)}@${path} `;
    write(before + draft.text.slice(caret), before.length);
    if (!draft.mentions.some((other) => other.path === path)) type({ mentions: [...draft.mentions, { path }] });
  };
  const endEdit = () => set({ draft: editing?.kept ?? draft, editing: undefined });
  const { sessionId, model = "", endpoint = "default", usage } = session;
  const answerer = endpoint === "default" ? model : `${model} at ${endpoint}`;
  const stop = () => post({ type: "act", command: "holdfast.turn.stop", argument: { sessionId } });
  const chooseModel = () => palette("holdfast.ui.selectModel");

  /** Keys while the list of files is open; true when the key was for it. */
  const inPopup = (key: string): boolean => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    const path = files[chosen];
    if (step) setChosen((chosen + step + files.length) % files.length);
    else if ((key === "Enter" || key === "Tab") && path) pick(path);
    else if (key === "Escape") setClosedAt(asked?.start);
    else return false;
    return true;
  };
  const inText = ({ key, shiftKey, altKey, metaKey, ctrlKey }: KeyboardEvent, at: HTMLTextAreaElement): boolean => {
    const step = { ArrowUp: 1, ArrowDown: -1 }[key];
    if (step) {
      const plain = at.selectionStart === at.selectionEnd && !(shiftKey || altKey || metaKey || ctrlKey);
      const found = recalled(recall.current, history, draft.text, step);
      if (!plain || !found || !atEdge(at.value, at.selectionStart, step)) return false;
      recall.current = found.recall;
      write(found.text);
    } else if (key === "Enter" && !shiftKey) {
      recall.current = notRecalling;
      send();
    } else if (key === "Escape") {
      if (editing) endEdit();
      else if (busy) stop();
    } else return false;
    return true;
  };

  return (
    <div class="composer">
      {files.length > 0 ? <FileList files={files} chosen={chosen} onPick={pick} /> : null}
      {editing ? (
        <div class="editing">
          <Icon name="edit" />
          <span class="grow">Editing an earlier prompt. What came after it will be hidden.</span>
          <Button look="link" title="Cancel" onClick={endEdit} />
        </div>
      ) : null}
      <div class="input">
        <Attached draft={draft} />
        <textarea
          ref={area}
          rows={1}
          value={draft.text}
          placeholder={words.placeholder}
          aria-label="Prompt"
          aria-autocomplete="list"
          aria-controls="files"
          aria-activedescendant={files.length > 0 ? `file-${chosen}` : undefined}
          onInput={({ currentTarget }) => {
            setCaret(currentTarget.selectionStart);
            setClosedAt(undefined);
            recall.current = notRecalling;
            type({ text: currentTarget.value });
          }}
          onKeyDown={(event) => {
            if (event.isComposing) return; // Enter belongs to the input method
            const taken = (files.length > 0 && inPopup(event.key)) || inText(event, event.currentTarget);
            if (taken) event.preventDefault();
          }}
          onSelect={({ currentTarget }) => setCaret(currentTarget.selectionStart)}
          onPaste={onPaste}
        />
        <div class="input-foot">
          <Button look="link" class="model" title={answerer} hint="Other model or endpoint" onClick={chooseModel} />
          <Meter usage={usage} />
          <span class="grow" />
          {busy ? <Button look="icon" class="stop" icon="stop" title="Stop (Esc)" onClick={stop} /> : null}
          <Button look="icon" class="send" icon="send" title={words.send} disabled={isEmpty(draft)} onClick={send} />
        </div>
      </div>
    </div>
  );
}

/** Tell the host what is typed: a moment after the last key, and at once when the view goes away. */
function useKeptDraft({ draft, editing, session }: State): void {
  const told = useRef(draft);
  const kept = editing?.kept ?? draft; // an edit that is abandoned is no draft
  useEffect(() => void (told.current = kept), [session?.sessionId]);
  useEffect(() => {
    const tell = () => {
      if (told.current !== kept) post({ type: "draft", draft: (told.current = kept) });
    };
    const leaving = new AbortController();
    for (const name of ["blur", "pagehide"]) window.addEventListener(name, tell, leaving);
    const timer = setTimeout(tell, DRAFT_DELAY_MS);
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [kept]);
}

/** Ask the host for files that match. The answer to an earlier query stays until then: no flicker. */
function useFiles(query: string | undefined): void {
  useEffect(() => {
    if (query === undefined) return undefined;
    const ask = () => post({ type: "findFiles", query });
    const timer = setTimeout(ask, FILES_DELAY_MS);
    return () => clearTimeout(timer);
  }, [query]);
}

function onPaste(event: ClipboardEvent): void {
  const pictures = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
  if (pictures.length > 0) event.preventDefault();
  for (const file of pictures)
    readImage(file).then(
      (image) => type({ images: [...current().draft.images, image] }),
      (error: Error) => set({ refusal: { message: "The picture was not added.", action: error.message } }),
    );
}

async function readImage(file: File): Promise<PastedImage> {
  const why = refusalOf(file);
  if (why) throw new Error(why);
  const reader = new FileReader();
  reader.readAsDataURL(file);
  await new Promise((done, failed) => Object.assign(reader, { onload: done, onerror: () => failed(reader.error) }));
  return { mediaType: file.type, data: String(reader.result).replace(/^[^,]*,/, "") };
}

const without = <T,>(list: T[], gone: T) => list.filter((entry) => entry !== gone);

const Attached = ({ draft: { mentions, images } }: { draft: Draft }) => (
  <div class="chips">
    {mentions.map((it) => {
      const remove = () => type({ mentions: without(mentions, it) });
      return <Chip icon="file" words={mentionWords(it)} hint={it.path} onRemove={remove} />;
    })}
    {images.map((it, at) => {
      const remove = () => type({ images: without(images, it) });
      return <Chip words={`Picture ${at + 1}, ${bytes(it.data.length * 0.75)}`} onRemove={remove} />;
    })}
  </div>
);

type FileListProps = { files: readonly string[]; chosen: number; onPick: (path: string) => void };

/** The list of files that opens while `@name` is typed. */
function FileList({ files, chosen, onPick }: FileListProps) {
  return (
    <ul class="popup" id="files" role="listbox" aria-label="Files">
      {files.map((path, at) => {
        const cut = path.lastIndexOf("/") + 1;
        return (
          <li
            id={`file-${at}`}
            role="option"
            aria-selected={at === chosen}
            class={at === chosen ? "chosen" : ""}
            onMouseDown={(event) => {
              event.preventDefault(); // the focus stays in the text
              onPick(path);
            }}
          >
            <Icon name="file" />
            <span class="nowrap">{path.slice(cut)}</span>
            <span class="muted clip">{path.slice(0, cut)}</span>
          </li>
        );
      })}
    </ul>
  );
}
