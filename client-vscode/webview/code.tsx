/** A block of code with its buttons and colours. Law: never HTML text, always a tree. */

import dockerfile from "highlight.js/lib/languages/dockerfile";
import powershell from "highlight.js/lib/languages/powershell";
import { common, createLowlight } from "lowlight";
import type { ComponentChild } from "preact";
import { useState } from "preact/hooks";
import { post } from "./host";
import { Button, pure } from "./parts";

const lowlight = createLowlight({ ...common, dockerfile, powershell });
lowlight.registerAlias({ typescript: ["tsx", "mts", "cts"], javascript: ["jsx"], bash: ["console", "shellsession"] });
type Tree = ReturnType<typeof lowlight.highlight>["children"];

/** Highlighting longer code would be felt. */
const CHARS_MAX = 60_000;
/** While code is still arriving it is coloured only up to this length, to keep within a frame. */
const GROWING_CHARS_MAX = 3000;
const CHUNKS = /(?:[^\n]*\n){1,120}|[^\n]+$/g;

export const CodeBlock = pure(({ text, info, growing }: { text: string; info: string; growing: boolean }) => {
  const language = /^[\w+#-]*/.exec(info.trim().toLowerCase())?.[0] ?? "";
  const code = text.endsWith("\n") ? text.slice(0, -1) : text;
  const short = code.length <= (growing ? GROWING_CHARS_MAX : CHARS_MAX);
  const tree = short && lowlight.registered(language) && lowlight.highlight(language, code).children;
  const [copied, setCopied] = useState(false);
  const send = (action: "copy" | "insert" | "apply") => post({ type: "code", action, text: code, language });
  const copy = () => {
    send("copy");
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <div class="code-block">
      <div class="code-head">
        <span class="code-language">{language || "text"}</span>
        <Button look="icon" icon={copied ? "check" : "copy"} title={copied ? "Copied" : "Copy"} onClick={copy} />
        <Button look="icon" icon="insert" title="Insert at the cursor" onClick={() => send("insert")} />
        <Button look="icon" icon="apply" title="Apply to the open file" onClick={() => send("apply")} />
      </div>
      <pre tabIndex={0} aria-label={`Code, ${language || "plain text"}`}>
        <code>{tree ? colours(tree) : plain(code)}</code>
      </pre>
    </div>
  );
});

function colours(tree: Tree): ComponentChild[] {
  return tree.map((node) => {
    if (node.type === "text") return node.value;
    if (node.type !== "element") return null;
    const names = node.properties.className;
    return <span class={Array.isArray(names) ? names.join(" ") : undefined}>{colours(node.children as Tree)}</span>;
  });
}

/** Long code in chunks, so that a new line changes only the last of them. */
function plain(code: string): ComponentChild {
  const chunks = code.match(CHUNKS) ?? [];
  return chunks.length <= 2 ? code : chunks.map((chunk) => <span class="code-chunk">{chunk}</span>);
}
