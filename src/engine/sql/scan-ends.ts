const COMMENT_EDGE = /\/\*|\*\//g;

/** Space with a line break in it, and perhaps comments: two strings with that between them are one. */
const CONTINUATION = /[ \t\f\v]*(?:--[^\r\n]*)?[\r\n](?:[ \t\n\r\f\v]|--[^\r\n]*[\r\n])*'/y;

/** Behind the end of the nested comment that begins at `at`; -1 when it has none. */
export function commentEnd(text: string, at: number): number {
  let depth = 0;
  COMMENT_EDGE.lastIndex = at;
  for (let edge = COMMENT_EDGE.exec(text); edge; edge = COMMENT_EDGE.exec(text)) {
    depth += edge[0] === '/*' ? 1 : -1;
    if (depth === 0) return COMMENT_EDGE.lastIndex;
  }
  return -1;
}

/** Behind the end of an `E'…'` whose content begins at `at`, with the strings that continue it; -1 when it has none. */
export function escapeStringEnd(text: string, at: number): number {
  for (let from = at; ;) {
    const close = closingQuote(text, from);
    if (close < 0) return -1;
    CONTINUATION.lastIndex = close + 1;
    if (!CONTINUATION.test(text)) return close + 1;
    from = CONTINUATION.lastIndex;
  }
}

function closingQuote(text: string, at: number): number {
  for (let from = at; from < text.length; from++) {
    const code = text.charCodeAt(from);
    if (code === 92) from++;
    else if (code === 39) {
      if (text.charCodeAt(from + 1) !== 39) return from;
      from++;
    }
  }
  return -1;
}

/** Behind the `\.` line that ends the data of a `copy … from stdin`. */
export function copyDataEnd(text: string, at: number): number {
  const end = /^\\\.[ \t]*$/gm;
  end.lastIndex = at;
  return end.test(text) ? end.lastIndex : text.length;
}
