/** Small parts that the whole view is made of. */

import { Component, h, type ComponentChild, type ComponentChildren, type ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { dispatch } from "./live";

/** A component that is rendered again only when one of its properties is another one. */
export function pure<P extends object>(render: (props: P) => ComponentChild): ComponentType<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      const names = Object.keys({ ...this.props, ...next }) as (keyof P)[];
      return names.some((name) => (this.props as P)[name] !== next[name]);
    }
    override render = () => h(render as ComponentType<P>, this.props as P);
  };
}

/** The time, anew every `everyMs` while `active`. */
export function useNow(active: boolean, everyMs = 1000): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!active) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [active, everyMs]);
  return active ? now : Date.now();
}

/** Drawn on a grid of 16 by 16, in the colour of the text around. */
const PATHS = {
  alert: "M8 2 1.8 13.5h12.4zM8 6.5v3.2M8 11.4v.6",
  apply: "M3 2.5h6l3 3V8M3 2.5v11h4M9 12l2 2 3.5-4",
  blocked: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM3.8 3.8l8.4 8.4",
  check: "m3 8.5 3.2 3.2L13 4.8",
  chevron: "m6 4 4 4-4 4",
  clock: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 4.8V8l2.3 1.6",
  close: "m4 4 8 8M12 4l-8 8",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  cross: "m4.5 4.5 7 7M11.5 4.5l-7 7",
  diff: "M8 3v6M5 6h6M5 13h6",
  down: "M8 3v10M4 9l4 4 4-4",
  edit: "m3 13 .8-3L11 2.8 13.2 5 6 12.2z",
  file: "M4 1.8h5l3 3v9.4H4zM9 1.8v3h3",
  info: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 7.2v3.6M8 5v.4",
  insert: "M2.5 3.5h11M2.5 12.5h11M2.5 8H9M7 5.8 9.2 8 7 10.2",
  list: "M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.2M2.5 8h.2M2.5 12h.2",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  plug: "M6 2v3M10 2v3M4.5 5h7v3a3.5 3.5 0 0 1-7 0zM8 11.5V14",
  question: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM6.2 6.3A1.8 1.8 0 1 1 8 8.2V9.3M8 11.2v.2",
  send: "M2.5 8 13.5 2.8 10.5 13.2 7.5 9zM7.5 9l6-6.2",
  spinner: "M8 2.5a5.5 5.5 0 1 1-5.5 5.5",
  stop: "M4 4h8v8H4z",
} as const;

export type IconName = keyof typeof PATHS;

export const Icon = ({ name, tone = "own" }: { name: IconName; tone?: string }) => (
  <svg class={`icon icon-${name} tone-${tone}`} viewBox="0 0 16 16" aria-hidden="true">
    <path d={PATHS[name]} />
  </svg>
);

interface ButtonProps {
  title: string;
  icon?: IconName;
  /** `icon`: only the icon is shown, the title is its name. */
  look?: "primary" | "plain" | "icon" | "link";
  hint?: string;
  disabled?: boolean;
  class?: string;
  onClick: () => void;
}

export function Button({ title, icon, look = "plain", hint, class: extra = "", ...more }: ButtonProps) {
  const name = look === "icon" ? title : undefined;
  return (
    <button type="button" class={`button ${look} ${extra}`} title={hint ?? name} aria-label={name} {...more}>
      {icon ? <Icon name={icon} /> : null}
      {name ? null : <span>{title}</span>}
    </button>
  );
}

interface FoldProps {
  id: string;
  open?: boolean;
  summary: ComponentChildren;
  class?: string;
  children: ComponentChildren;
}

/** Something that opens below its own summary; what a person opened stays open when scrolled away. */
export const Fold = ({ id, open = false, summary, class: extra = "", children }: FoldProps) => (
  <div class={`fold ${extra} ${open ? "open" : ""}`}>
    <button type="button" class="fold-summary" aria-expanded={open} onClick={() => fold(id, !open)}>
      <Icon name="chevron" />
      {summary}
    </button>
    {open ? <div class="fold-body">{children}</div> : null}
  </div>
);

export const fold = (id: string, open: boolean) => dispatch({ type: "folded", id, open });

/** Text as it is, which can be scrolled by keyboard too. */
export const Raw = ({ text, class: extra, label }: { text: string; class?: string; label?: string }) => (
  <pre class={extra} tabIndex={0} aria-label={label}>
    {text}
  </pre>
);

interface ChipProps {
  words: string;
  icon?: IconName;
  hint?: string;
  onRemove?: () => void;
}

/** Something that goes with a prompt. */
export const Chip = ({ words, icon, hint, onRemove }: ChipProps) => (
  <span class="chip" title={hint}>
    {icon ? <Icon name={icon} /> : null}
    {words}
    {onRemove ? <Button look="icon" icon="close" title={`Remove ${words}`} onClick={onRemove} /> : null}
  </span>
);
