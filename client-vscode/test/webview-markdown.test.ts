/** Markdown of the chat view: harmless by construction, and cut so that only its end is drawn again. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ComponentChild, VNode } from "preact";
import { BlockSplitter } from "../webview/blocks";
import { linkTarget, parsed } from "../webview/markdown";

interface Seen {
  tags: Set<string>;
  props: Set<string>;
  text: string;
  links: string[];
}

/** Everything that a drawing of `markdown` would put into the page. */
function seen(markdown: string): Seen {
  const found: Seen = { tags: new Set(), props: new Set(), text: "", links: [] };
  const look = (child: ComponentChild): void => {
    if (Array.isArray(child)) return child.forEach(look);
    if (typeof child === "string") found.text += child;
    if (child === null || typeof child !== "object") return;
    const { type, props } = child as VNode<Record<string, unknown>>;
    if (typeof type === "string") {
      found.tags.add(type);
      for (const [name, value] of Object.entries(props))
        if (name !== "children" && value !== undefined) found.props.add(name);
    }
    if (typeof props["href"] === "string") found.links.push(props["href"]);
    look(props["children"] as ComponentChild);
  };
  look(parsed(markdown));
  return found;
}

describe("hostile Markdown", () => {
  const HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<style>*{display:none}</style><iframe src='https://example.org'></iframe>",
    "![x](https://example.org/x.png)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "[x](javascript:alert(1)) <javascript:alert(1)> [y](JaVaScRiPt:alert(1))",
    "| a |\n| :-: |\n| <b onclick=alert(1)>x</b> |",
    "`<img src=x>` ``` <svg onload=alert(1)> ```",
    "[x](vscode://command) [y](command:workbench.action.quit) [z](file:///etc/passwd)",
  ];
  it("makes no element and no attribute that is not on the list", () => {
    const { tags, props } = seen(HOSTILE.join("\n\n"));
    const harmless = [
      "p",
      "code",
      "table",
      "thead",
      "tbody",
      "tr",
      "th",
      "td",
      "div",
      "br",
      "strong",
      "em",
      "a",
      "span",
    ];
    assert.deepEqual(
      [...tags].filter((tag) => !harmless.includes(tag)),
      [],
    );
    assert.deepEqual(
      [...props].filter((name) => !["class", "tabIndex", "start"].includes(name)),
      [],
    );
  });
  it("is shown as the text it is", () => assert.match(seen(HOSTILE[0] ?? "").text, /<script>alert\(1\)<\/script>/));
  it("loads no picture: it offers a link in its place", () => {
    assert.deepEqual(seen(HOSTILE[3] ?? "").links, ["https://example.org/x.png"]);
  });
});

describe("a link", () => {
  it("leads to the web or to a file", () => {
    assert.deepEqual(linkTarget("https://example.org/a?b#c"), { type: "openLink", href: "https://example.org/a?b#c" });
    assert.deepEqual(linkTarget("src/a.py"), { type: "openFile", path: "src/a.py" });
    assert.deepEqual(linkTarget("src/a.py:12"), { type: "openFile", path: "src/a.py", line: 12 });
    assert.deepEqual(linkTarget("src/a.py#L3-L9"), { type: "openFile", path: "src/a.py", line: 3 });
    assert.deepEqual(linkTarget("docs/a%20b.md"), { type: "openFile", path: "docs/a b.md" });
    assert.deepEqual(linkTarget("50%.md"), { type: "openFile", path: "50%.md" });
  });
  it("leads nowhere with any other scheme", () => {
    for (const href of [
      "javascript:alert(1)",
      "command:x",
      "vscode://x",
      "data:text/html,x",
      "file:///etc/passwd",
      "//evil.example",
      "#part",
      " ",
    ]) {
      assert.equal(linkTarget(href), undefined, href);
    }
  });
});

describe("growing Markdown", () => {
  const TEXT = [
    "# Title\nwords **bold**\n\n",
    "- one\n\n  still one\n- two\n\n",
    "```py\na = 1\n\n\nb = 2\n```\n",
    "after\n\n",
    "1. x\n\n   ~~~\n   y\n\n   z\n   ~~~\n\n",
    "````md\n```\nnested\n```\n````\n\n",
    "> quote\n\n",
    "    indented\n\nlast words",
  ].join("");
  const blocksOf = (splitter: BlockSplitter) => [...splitter.closed, splitter.open];

  it("is cut into the same blocks however it arrives, and no character is lost", () => {
    const whole = new BlockSplitter();
    whole.update(TEXT);
    for (const step of [1, 2, 3, 7, 50]) {
      const splitter = new BlockSplitter();
      for (let end = step; end < TEXT.length + step; end += step) assert.ok(splitter.update(TEXT.slice(0, end)));
      assert.deepEqual(blocksOf(splitter), blocksOf(whole), `in steps of ${step}`);
      assert.equal(blocksOf(splitter).join(""), TEXT);
    }
  });
  it("never changes a block that was closed", () => {
    const splitter = new BlockSplitter();
    let closed: string[] = [];
    for (let end = 1; end <= TEXT.length; end++) {
      splitter.update(TEXT.slice(0, end));
      assert.deepEqual(splitter.closed.slice(0, closed.length), closed);
      closed = [...splitter.closed];
    }
    assert.ok(closed.length >= 7);
  });
  it("is never cut inside a fence or a list item", () => {
    const splitter = new BlockSplitter();
    splitter.update(TEXT);
    for (const kept of [
      "```py\na = 1\n\n\nb = 2\n```\n",
      "   ~~~\n   y\n\n   z\n   ~~~\n",
      "````md\n```\nnested\n```\n````\n",
      "- one\n\n  still one\n",
    ]) {
      assert.ok(
        blocksOf(splitter).some((block) => block.includes(kept)),
        kept,
      );
    }
  });
  it("that is endless without a blank line is still cut, at a line's end", () => {
    const splitter = new BlockSplitter();
    splitter.update("words without end\n".repeat(3000));
    assert.ok(blocksOf(splitter).every((block) => block.length < 13_000));
  });
  it("that was replaced instead of continued is noticed", () => {
    const splitter = new BlockSplitter();
    splitter.update("first words");
    assert.equal(splitter.update("other words and more"), false);
    assert.equal(splitter.update("first"), false);
  });
});
