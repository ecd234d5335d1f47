/** How one direction of a migration runs in the tool that it was written for. */
export interface Script {
  sql: string;
  /** False where its author says that it can't run in a transaction. */
  transaction: boolean;
}

/** The two ways of one file. */
export interface Halves {
  up?: Script;
  down?: Script;
}

/** `-- +goose Up` and its like: what follows such a line belongs to it, up to the next; they may alternate. */
export function goUpAndDown(sql: string, word: 'goose' | 'migrate'): Halves {
  const mark = new RegExp(`^--\\s*\\+${word}\\s+(up|down|no transaction)\\b(.*)$`, 'i');
  const lines: Record<'up' | 'down', string[]> = { up: [], down: [] };
  const outside = { up: false, down: false };
  let current: 'up' | 'down' | undefined;
  for (const line of sql.split('\n')) {
    const [, found = '', options = ''] = mark.exec(line.trimEnd()) ?? [];
    const command = found.toLowerCase();
    if (command === 'no transaction') outside.up = outside.down = true;
    else if (command === 'up' || command === 'down') {
      current = command;
      if (options.split(/\s+/).includes('notransaction')) outside[command] = true;
    } else if (current) lines[current].push(line);
  }
  const script = (direction: 'up' | 'down'): Script => ({
    sql: lines[direction].join('\n'),
    transaction: !outside[direction],
  });
  return { up: script('up'), ...(lines.down.length > 0 && { down: script('down') }) };
}

/** A line that begins the way up, where the tool has one, and a line that begins the way down. */
export function downMarked(
  sql: string,
  upMark: RegExp | undefined,
  downMark: RegExp,
  outside?: RegExp,
): Halves {
  const down = downMark.exec(sql);
  const upper = down ? sql.slice(0, down.index) : sql;
  const script = (text: string, mark?: RegExp): Script => ({
    sql: text.slice(mark ? (mark.exec(text)?.index ?? 0) : 0),
    transaction: !outside?.test(text),
  });
  return { up: script(upper, upMark), ...(down && { down: script(sql.slice(down.index)) }) };
}
