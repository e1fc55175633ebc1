/**
 * Where a person writes. Law: what is typed is never lost; it goes to the host a moment after the
 * last key, and comes back after a reload. Typing works whatever the server does.
 */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Draft } from "../src/chat/messages";
import { isEmpty } from "../src/chat/outbox";
import { FileList, useFiles } from "./files";
import { mentionAt, notRecalling, onFirstLine, onLastLine, recallNewer, recallOlder } from "./history";
import { act, palette, post } from "./host";
import { readImage } from "./images";
import { current, dispatch } from "./live";
import { Meter } from "./panels";
import { Button, Chip, Icon } from "./parts";
import type { State } from "./state";
import { bytes, isBusy, mentionWords } from "./words";

const DRAFT_DELAY_MS = 300;
const HEIGHT_PX_MAX = 240;

const type = (change: Partial<Draft>) => dispatch({ type: "typed", draft: { ...current().draft, ...change } });

function send(): void {
  const { draft, editing } = current();
  if (isEmpty(draft)) return;
  const promptId = crypto.randomUUID();
  dispatch({ type: "submitted", promptId });
  if (editing) post({ type: "resend", promptId, replaces: editing.promptId, draft });
  else post({ type: "send", promptId, draft });
}

export function Composer({ state }: { state: State }) {
  const { session, status, editing } = state;
  // Not of the last drawing: the composer also draws by itself, and must never set back what was typed.
  const { draft } = current();
  const area = useRef<HTMLTextAreaElement>(null);
  const [caret, setCaret] = useState(0);
  const recall = useRef(notRecalling);
  const [closedAt, setClosedAt] = useState<number>();
  const [chosen, setChosen] = useState(0);
  const asked = mentionAt(draft.text, caret);
  const found = useFiles(asked && asked.start !== closedAt ? asked.query : undefined, state.files);
  const files = asked ? found : [];
  const busy = isBusy(status?.phase);
  const words = WORDS[editing ? "editing" : busy ? "busy" : "ready"];

  useKeptDraft(state);
  useLayoutEffect(() => fit(area.current), [draft.text]);
  useEffect(() => area.current?.focus(), [state.focusCount]);
  useEffect(() => setChosen(0), [found]);

  const write = (text: string, at = text.length) => {
    if (!area.current) return;
    area.current.value = text; // at once, so that the next key finds it, not with the next frame
    area.current.setSelectionRange(at, at);
    type({ text });
    setCaret(at);
  };
  const pick = (path: string) => {
    const before = `${draft.text.slice(0, asked?.start)}@${path} `;
    write(before + draft.text.slice(caret), before.length);
    if (!draft.mentions.some((mention) => mention.path === path)) type({ mentions: [...draft.mentions, { path }] });
  };
  const stop = () => session && act("holdfast.turn.stop", { sessionId: session.sessionId });
  const recalled = (earlier: ReturnType<typeof recallOlder>): boolean => {
    if (earlier) {
      recall.current = earlier[0];
      write(earlier[1]);
    }
    return earlier !== undefined;
  };

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
  const inText = (event: KeyboardEvent): boolean => {
    const { selectionStart: at, selectionEnd, value } = event.currentTarget as HTMLTextAreaElement;
    const plain = at === selectionEnd && !(event.shiftKey || event.altKey || event.metaKey || event.ctrlKey);
    switch (event.key) {
      case "Enter":
        if (event.shiftKey) return false;
        recall.current = notRecalling;
        send();
        return true;
      case "ArrowUp":
        return plain && onFirstLine(value, at) && recalled(recallOlder(recall.current, state.history, current().draft.text));
      case "ArrowDown":
        return plain && onLastLine(value, at) && recalled(recallNewer(recall.current, state.history));
      case "Escape":
        if (editing) dispatch({ type: "editEnded" });
        else if (busy) stop();
        return true;
      default:
        return false;
    }
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return; // Enter belongs to the input method
    if ((files.length > 0 && inPopup(event.key)) || inText(event)) event.preventDefault();
  };
  const onInput = ({ currentTarget: { value, selectionStart } }: { currentTarget: HTMLTextAreaElement }) => {
    type({ text: value });
    setCaret(selectionStart);
    recall.current = notRecalling;
    setClosedAt(undefined);
  };

  return (
    <div class="composer">
      {files.length > 0 ? <FileList files={files} chosen={chosen} onPick={pick} /> : null}
      {editing ? (
        <div class="editing">
          <Icon name="edit" />
          <span class="grow">Editing an earlier prompt. What came after it will be hidden.</span>
          <Button look="link" title="Cancel" onClick={() => dispatch({ type: "editEnded" })} />
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
          onInput={onInput}
          onKeyDown={onKeyDown}
          onSelect={() => setCaret(area.current?.selectionStart ?? 0)}
          onPaste={onPaste}
        />
        <div class="input-foot">
          <Button
            look="link"
            class="model"
            title={session?.model ?? ""}
            hint="Choose another model"
            onClick={() => palette("holdfast.ui.selectModel")}
          />
          {session ? <Meter usage={session.usage} /> : null}
          <span class="grow" />
          {busy ? <Button look="icon" class="stop" icon="stop" title="Stop (Esc)" onClick={stop} /> : null}
          <Button look="icon" class="send" icon="send" title={words.send} disabled={isEmpty(draft)} onClick={send} />
        </div>
      </div>
    </div>
  );
}

const WORDS = {
  editing: { placeholder: "Say it differently", send: "Send again (Enter)" },
  busy: { placeholder: "Write the next prompt; it is sent when this turn ends", send: "Queue (Enter)" },
  ready: { placeholder: "Ask or say what to do, @ to mention a file", send: "Send (Enter)" },
};

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

function fit(area: HTMLTextAreaElement | null): void {
  if (!area) return;
  area.style.height = "auto";
  area.style.height = `${Math.min(area.scrollHeight, HEIGHT_PX_MAX)}px`;
}

function onPaste(event: ClipboardEvent): void {
  const pictures = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
  if (pictures.length > 0) event.preventDefault();
  for (const file of pictures)
    readImage(file).then(
      (image) => type({ images: [...current().draft.images, image] }),
      (error: Error) => dispatch({ type: "problem", message: "The picture was not added.", action: error.message }),
    );
}

function Attached({ draft: { mentions, images } }: { draft: Draft }) {
  const without = <T,>(list: T[], gone: T) => list.filter((entry) => entry !== gone);
  return (
    <div class="chips">
      {mentions.map((mention) => (
        <Chip
          icon="file"
          words={mentionWords(mention)}
          hint={mention.path}
          onRemove={() => type({ mentions: without(mentions, mention) })}
        />
      ))}
      {images.map((image, at) => (
        <Chip
          words={`Picture ${at + 1}, ${bytes(image.data.length * 0.75)}`}
          onRemove={() => type({ images: without(images, image) })}
        />
      ))}
    </div>
  );
}
