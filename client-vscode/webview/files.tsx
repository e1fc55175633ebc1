/** The list of files that opens while `@name` is typed. */

import { useEffect, useState } from "preact/hooks";
import { post } from "./host";
import { Icon } from "./parts";
import type { State } from "./state";

let lastRequest = 0;

/** Ask the host for files that match; the answer comes into the state. */
export function useFiles(query: string | undefined, found: State["files"]): readonly string[] {
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    if (query === undefined) return undefined;
    const timer = setTimeout(() => {
      const requestId = ++lastRequest;
      setAsked(requestId);
      post({ type: "findFiles", requestId, query });
    }, 80);
    return () => clearTimeout(timer);
  }, [query]);
  // The answer to an earlier query stays until the newer one is there: no flicker.
  return query === undefined || found.requestId === 0 || asked === 0 ? [] : found.files;
}

export function FileList(props: { files: readonly string[]; chosen: number; onPick: (path: string) => void }) {
  const { files, chosen, onPick } = props;
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
