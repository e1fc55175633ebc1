/** Small parts that the whole view is made of. */

import { Component, h, type ComponentChild, type ComponentChildren, type ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { deed, type Action } from "./host";
import PATHS from "./icons.json";
import { current, set } from "./store";

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
  const [, redraw] = useState({});
  useEffect(() => {
    if (!active) return undefined;
    const timer = setInterval(() => redraw({}), everyMs);
    return () => clearInterval(timer);
  }, [active, everyMs]);
  return Date.now();
}

export type IconName = keyof typeof PATHS;

/** Drawn on a grid of 16 by 16, in the colour of the text around. */
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

/** Buttons for what is offered; what cannot be done here is left out. */
export const Actions = ({ of, look }: { of: readonly Action[]; look?: "link" }) => (
  <span class={look ? "links" : "buttons"}>
    {of.map((action) => {
      const { title, primary } = action;
      const onClick = deed(action);
      if (!onClick) return null;
      return <Button key={title} look={look ?? (primary ? "primary" : "plain")} title={title} onClick={onClick} />;
    })}
  </span>
);

type Children = ComponentChildren;
type FoldProps = { id: string; open?: boolean; summary: Children; class?: string; children: Children };

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

export const fold = (id: string, open: boolean) => set({ folds: { ...current().folds, [id]: open } });

/** Text as it is, which can be scrolled by keyboard too. */
export const Raw = ({ text, class: extra, label }: { text: string; class?: string; label?: string }) => (
  <pre class={extra} tabIndex={0} aria-label={label}>
    {text}
  </pre>
);

type ChipProps = { words: string; icon?: IconName; hint?: string; onRemove?: () => void };

/** Something that goes with a prompt. */
export const Chip = ({ words, icon, hint, onRemove }: ChipProps) => (
  <span class="chip" title={hint}>
    {icon ? <Icon name={icon} /> : null}
    {words}
    {onRemove ? <Button look="icon" icon="close" title={`Remove ${words}`} onClick={onRemove} /> : null}
  </span>
);
