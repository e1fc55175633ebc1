/** What a person asked, and a prompt that is still on its way. */

import type { PromptItem } from "../../src/protocol";
import { dispatch } from "../live";
import { Button, Chip, pure } from "../parts";
import type { PendingPrompt } from "../state";
import { mentionWords } from "../words";

export const Prompt = pure(({ item: { text, state, promptId, mentions = [], images = [] } }: { item: PromptItem }) => (
  <section class={`prompt ${state}`} aria-label="You">
    <div class="prompt-text">{text}</div>
    <div class="chips">
      {mentions.map((path) => (
        <Chip icon="file" words={mentionWords({ path })} hint={path} />
      ))}
      {images.length > 0 ? <Chip words={images.length === 1 ? "1 image" : `${images.length} images`} /> : null}
    </div>
    {state === "queued" ? (
      <div class="muted small">Queued: sent when the turn before it ends</div>
    ) : (
      <div class="prompt-tools">
        <Button look="icon" icon="edit" title="Edit and send again" onClick={() => dispatch({ type: "edit", promptId })} />
      </div>
    )}
  </section>
));

export const Pending = pure(({ prompt, connected }: { prompt: PendingPrompt; connected: boolean }) => (
  <section class="prompt pending" aria-label="You, being sent">
    <div class="prompt-text">{prompt.text}</div>
    <div class="muted small">{connected ? "Sending" : "Kept here; sent when the server is back"}</div>
  </section>
));
