/** Colours for code. Law: never HTML text, always a tree; languages that are not known stay plain. */

import dockerfile from "highlight.js/lib/languages/dockerfile";
import powershell from "highlight.js/lib/languages/powershell";
import { common, createLowlight } from "lowlight";

const lowlight = createLowlight({ ...common, dockerfile, powershell });
lowlight.registerAlias({ typescript: ["tsx", "mts", "cts"], javascript: ["jsx"], bash: ["console", "shellsession"] });

/** Highlighting longer code would be felt. */
const CHARS_MAX = 60_000;

export type Tree = ReturnType<typeof lowlight.highlight>["children"];

/** Return the coloured tree of `code`, or nothing when it stays plain. */
export function highlight(code: string, language: string): Tree | undefined {
  if (code.length > CHARS_MAX || !lowlight.registered(language)) return undefined;
  return lowlight.highlight(language, code).children;
}
