/** What the server has to say between the words: repaired, compacted, cut, retried, paused. */

import type { NoticeItem } from "../../src/protocol";
import { act } from "../host";
import { Button, Fold, Icon, pure, Raw } from "../parts";

const TONES: Record<NoticeItem["level"], string> = { info: "muted", warning: "warning", error: "error" };

export const Notice = pure(({ item, open }: { item: NoticeItem; open: boolean }) => (
  <section class={`notice ${item.level}`} aria-label="Notice">
    <div class="notice-line">
      <Icon name={item.level === "info" ? "info" : "alert"} tone={TONES[item.level]} />
      <span class="notice-text">
        {item.text}
        {item.actions?.map(({ title, command, argument }) => (
          <Button look="link" title={title} onClick={() => act(command, argument)} />
        ))}
      </span>
    </div>
    {item.detail ? (
      <Fold id={item.id} open={open} summary={item.level === "info" ? "Details" : "Raw error"}>
        <Raw text={item.detail} />
      </Fold>
    ) : null}
  </section>
));
