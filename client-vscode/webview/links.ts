/** Where a link in an answer may lead. Law: pure; what is not known to be harmless leads nowhere. */

export type LinkTarget = { kind: "web"; href: string } | { kind: "file"; path: string; line?: number };

/** Return where `href` leads, or nothing when it must not be followed. */
export function linkTarget(href: string): LinkTarget | undefined {
  const text = href.trim();
  if (text === "" || text.startsWith("#") || text.startsWith("//")) return undefined;
  if (/^(https?:\/\/|mailto:)/i.test(text)) return { kind: "web", href: text };
  if (/^[a-z][a-z0-9+.-]+:(?!\d+(-\d+)?$)/i.test(text)) return undefined; // another scheme
  const found = /^(.+?)(?:#L(\d+)(?:-L?\d+)?|:(\d+)(?:[-:]\d+)?)?$/.exec(decoded(text));
  const path = found?.[1];
  if (!path) return undefined;
  const line = found[2] ?? found[3];
  return line ? { kind: "file", path, line: Number(line) } : { kind: "file", path };
}

function decoded(text: string): string {
  try {
    return decodeURI(text);
  } catch (error) {
    if (error instanceof URIError) return text; // a path with a bare % in it
    throw error;
  }
}
