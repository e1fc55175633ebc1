/**
 * The one state of the view, and when it is drawn. Law: an event is folded in at once, and however
 * many arrive there is one drawing per frame. What changes the text under a person's hands is drawn
 * at once, or the next key would bring the old text back.
 */

import type { ToView } from "../src/chat/messages";
import { initial, type Local, type State } from "./state";
import { reduce } from "./store";

let state: State = initial;
let render: (state: State) => void = () => undefined;
let frame = 0;

export const current = (): State => state;

export function dispatch(event: ToView | Local): void {
  const before = state;
  state = reduce(before, event, Date.now());
  if (state.draft !== before.draft && event.type !== "typed") draw();
  else if (state !== before) frame ||= requestAnimationFrame(draw);
}

function draw(): void {
  cancelAnimationFrame(frame);
  frame = 0;
  render(state);
}

/** Draw with `renderer` from now on. */
export function drawWith(renderer: (state: State) => void): void {
  render = renderer;
  draw();
}
