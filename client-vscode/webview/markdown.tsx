/**
 * Markdown as elements of the view. Law: a model's words never become HTML text. markdown-it's
 * tokens are turned into elements from a fixed list, so there is nothing to sanitise: no scripts, no
 * images from elsewhere, no attributes but those named here, and links only through the host.
 */

import MarkdownIt, { type Token } from "markdown-it";
import { Fragment, h, type ComponentChild } from "preact";
import type { ToHost } from "../src/chat/messages";
import { CodeBlock } from "./code";
import { post } from "./host";
import { pure } from "./parts";

const parser = new MarkdownIt({ html: false, linkify: true });

const { decode } = parser.utils.lib.mdurl;

const TAGS = new Set("p h1 h2 h3 h4 h5 h6 ul ol li blockquote em strong s table thead tbody tr th td".split(" "));

/** One block of an answer. `growing`: more of it may come. */
export const Markdown = pure(({ text, growing }: { text: string; growing: boolean }) => <>{parsed(text, growing)}</>);

export const parsed = (text: string, growing = false): ComponentChild[] => elements(parser.parse(text, {}), growing);

/** Turn tokens into elements; what is on no list is shown as the text it is. */
function elements(tokens: readonly Token[], growing = false): ComponentChild[] {
  const frames: { token?: Token; children: ComponentChild[] }[] = [{ children: [] }];
  for (const token of tokens) {
    if (token.nesting === 1) {
      frames.push({ token, children: [] });
      continue;
    }
    const frame = token.nesting === -1 && frames.length > 1 ? frames.pop() : undefined;
    const element = frame?.token ? wrapped(frame.token, frame.children) : (LEAVES[token.type] ?? plain)(token, growing);
    frames.at(-1)?.children.push(element);
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

type Leaf = (token: Token, growing: boolean) => ComponentChild;

const plain: Leaf = ({ content }) => content;
const code: Leaf = ({ content, info }, growing) => <CodeBlock text={content} info={info} growing={growing} />;

const LEAVES: Record<string, Leaf> = {
  inline: ({ children }) => h(Fragment, null, ...elements(children ?? [])),
  softbreak: () => "\n",
  hardbreak: () => <br />,
  hr: () => <hr />,
  code_inline: ({ content }) => <code>{content}</code>,
  fence: code,
  code_block: code,
  image: (token) => (
    <Link href={`${token.attrGet("src") ?? ""}`}>{`[image: ${token.content || "no description"}]`}</Link>
  ),
};

/** Not a real link on purpose: the editor would follow one by itself, past the host's checks. */
function Link({ href, children }: { href: string; children: ComponentChild }) {
  const target = linkTarget(href);
  if (!target) return <span>{children}</span>;
  const follow = () => post(target);
  return (
    <a role="link" tabIndex={0} title={href} onClick={follow} onKeyDown={(event) => event.key === "Enter" && follow()}>
      {children}
    </a>
  );
}

/** What to ask of the host to follow `href`; nothing when it is not known to be harmless. */
export function linkTarget(href: string): Extract<ToHost, { type: "openLink" | "openFile" }> | undefined {
  const text = href.trim();
  if (text === "" || text.startsWith("#") || text.startsWith("//")) return undefined;
  if (/^(https?:\/\/|mailto:)/i.test(text)) return { type: "openLink", href: text };
  if (/^[a-z][a-z0-9+.-]+:(?!\d+(-\d+)?$)/i.test(text)) return undefined; // another scheme
  const [, path, hash, colon] = /^(.+?)(?:#L(\d+)(?:-L?\d+)?|:(\d+)(?:[-:]\d+)?)?$/.exec(decode(text)) ?? [];
  const line = hash ?? colon;
  return path ? { type: "openFile", path, ...(line && { line: Number(line) }) } : undefined;
}
