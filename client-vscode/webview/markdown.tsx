/**
 * Markdown as elements of the view. Law: a model's words never become HTML text. markdown-it's
 * tokens are turned into elements from a fixed list, so there is nothing to sanitise: no scripts, no
 * images from elsewhere, no attributes but those named here, and links only through the host.
 */

import MarkdownIt, { type Token } from "markdown-it";
import { Fragment, h, type ComponentChild } from "preact";
import { CodeBlock } from "./code";
import { post } from "./host";
import { linkTarget } from "./links";
import { pure } from "./parts";

const parser = new MarkdownIt({ html: false, linkify: true });

const TAGS = new Set("p h1 h2 h3 h4 h5 h6 ul ol li blockquote em strong s table thead tbody tr th td".split(" "));

/** One block of an answer. `growing`: more of it may come. */
export const Markdown = pure(({ text, growing }: { text: string; growing: boolean }) => <>{parsed(text, growing)}</>);

export const parsed = (text: string, growing = false): ComponentChild[] => elements(parser.parse(text, {}), growing);

interface Frame {
  token?: Token;
  children: ComponentChild[];
}

/** Turn tokens into elements; what is on no list is shown as the text it is. */
function elements(tokens: readonly Token[], growing = false): ComponentChild[] {
  const frames: Frame[] = [{ children: [] }];
  for (const token of tokens) {
    if (token.nesting === 1) {
      frames.push({ token, children: [] });
      continue;
    }
    const frame = token.nesting === -1 && frames.length > 1 ? frames.pop() : undefined;
    const parent = frames.at(-1);
    parent?.children.push(frame?.token ? wrapped(frame.token, frame.children) : leaf(token, growing));
  }
  return frames.flatMap((frame) => frame.children);
}

function wrapped(token: Token, children: ComponentChild[]): ComponentChild {
  if (token.hidden) return h(Fragment, null, ...children);
  if (token.type === "link_open") return <Link href={`${token.attrGet("href") ?? ""}`}>{children}</Link>;
  if (!TAGS.has(token.tag)) return h(Fragment, null, ...children);
  if (token.tag === "table") return h("div", { class: "table", tabIndex: 0 }, h("table", null, ...children));
  const start = token.tag === "ol" ? Number(token.attrGet("start") ?? 1) : undefined;
  const align = /right|center/.exec(`${token.attrGet("style") ?? ""}`)?.[0];
  return h(token.tag, { start, class: align ? `align-${align}` : undefined }, ...children);
}

function leaf(token: Token, growing: boolean): ComponentChild {
  switch (token.type) {
    case "inline":
      return h(Fragment, null, ...elements(token.children ?? []));
    case "softbreak":
      return "\n";
    case "hardbreak":
      return <br />;
    case "code_inline":
      return <code>{token.content}</code>;
    case "fence":
    case "code_block":
      return <CodeBlock text={token.content} info={token.info} growing={growing} />;
    case "hr":
      return <hr />;
    case "image":
      return <Link href={`${token.attrGet("src") ?? ""}`}>{`[image: ${token.content || "no description"}]`}</Link>;
    default:
      return token.content;
  }
}

/** Not a real link on purpose: the editor would follow one by itself, past the host's checks. */
function Link({ href, children }: { href: string; children: ComponentChild }) {
  const target = linkTarget(href);
  if (!target) return <span>{children}</span>;
  const follow = () =>
    target.kind === "web"
      ? post({ type: "openLink", href: target.href })
      : post({ type: "openFile", path: target.path, line: target.line });
  return (
    <a role="link" tabIndex={0} title={href} onClick={follow} onKeyDown={(event) => event.key === "Enter" && follow()}>
      {children}
    </a>
  );
}
