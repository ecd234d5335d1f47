/** Every text that changes a session's state holds one of these words; most texts hold none. */
const QUICK = /\b(?:set|set_config|listen|prepare|load|temp|temporary|hold|setseed)\b|pg_temp|advisory_lock/i;

/** Where a statement begins, also in the body of a DO block; comments and white space go before it. */
const START = String.raw`(?:^|;|\$\w*\$|\b(?:begin|then|else|loop)\b)(?:\s|--[^\n]*\n|/\*[^]*?\*/)*`;

const CHANGES = [
  new RegExp(String.raw`${START}set\s+(?!(?:local|transaction|constraints)\b)`, 'i'),
  new RegExp(String.raw`${START}(?:listen\s|load\s|prepare\s+(?!transaction\b))`, 'i'),
  /\btemp(?:orary)?\s+(?:table|view|sequence|recursive)\b(?![^;]*\bon\s+commit\s+drop\b)/i,
  /\binto\s+(?:(?:local|global)\s+)?temp(?:orary)?\s/i,
  /\bpg_temp\w*"?\s*\./i,
  /\bpg_(?:try_)?advisory_lock(?:_shared)?\b/i,
  /\bwith\s+hold\b/i,
  /\bsetseed\s*\(/i,
];

const MOST_TEXTS = 1000;
const LONGEST_TEXT = 2000;
const known = new Map<string, boolean>();

/**
 * Whether SQL shows that it changes what stays with its session: settings, the role, temporary tables, session
 * advisory locks, LISTEN, prepared statements, cursors that outlive their transaction. It is looked at and not
 * parsed: a text that only quotes such SQL counts too, and what a function does on the server is not seen.
 */
export function changesSession(sql: string): boolean {
  if (sql.length > LONGEST_TEXT) return looksChanging(sql);
  const before = known.get(sql);
  if (before !== undefined) return before;
  const changes = looksChanging(sql);
  if (known.size >= MOST_TEXTS) known.clear();
  known.set(sql, changes);
  return changes;
}

function looksChanging(sql: string): boolean {
  return QUICK.test(sql) && (CHANGES.some((pattern) => pattern.test(sql)) || setsForSession(sql));
}

/** `set_config(…, true)` ends with the transaction; with anything else as its last argument it may not. */
function setsForSession(sql: string): boolean {
  for (const { index, 0: call } of sql.matchAll(/\bset_config"?\s*\(/gi)) {
    if (!/^\s*'?t(?:rue)?'?\s*$/i.test(lastArgument(sql, index + call.length))) return true;
  }
  return false;
}

/** Of the call whose arguments begin there. */
function lastArgument(sql: string, from: number): string {
  let begin = from;
  let depth = 0;
  for (let at = from; at < sql.length; at += 1) {
    const char = sql[at];
    if (char === "'") at = Math.max(at, sql.indexOf("'", at + 1));
    else if (char === '(') depth += 1;
    else if (char === ')' && depth === 0) return sql.slice(begin, at);
    else if (char === ')') depth -= 1;
    else if (char === ',' && depth === 0) begin = at + 1;
  }
  return '';
}
