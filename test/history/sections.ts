const UP = /^--\s*(?:\+(?:goose|migrate)\s+up\b|migrate:up\b).*$/im;
const DOWN = /^--\s*(?:\+(?:goose|migrate)\s+down\b|migrate:down\b).*$/im;

/** The two halves of one file in the style of goose, sql-migrate or dbmate; undefined when it has no such markers. */
export function markedSections(text: string): { up: string; down?: string } | undefined {
  const up = UP.exec(text);
  if (!up) return undefined;
  const down = DOWN.exec(text);
  if (!down) return { up: text.slice(up.index + up[0].length) };
  const after = (match: RegExpExecArray, end?: number): string =>
    text.slice(match.index + match[0].length, end);
  return down.index > up.index
    ? { up: after(up, down.index), down: after(down) }
    : { up: after(up), down: after(down, up.index) };
}
