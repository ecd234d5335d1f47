import { literal } from './quote.ts';

/** What may hold a `$1` that is none: strings, names, comments, bodies. */
const TOKEN = new RegExp(
  [
    String.raw`[eE]'(?:[^'\\]|\\[\s\S]|'')*'`,
    String.raw`'(?:[^']|'')*'`,
    String.raw`"(?:[^"]|"")*"`,
    String.raw`--[^\n]*`,
    String.raw`/\*[\s\S]*?\*/`,
    String.raw`\$(?<tag>(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?)\$[\s\S]*?\$\k<tag>\$`,
    String.raw`[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*`,
    String.raw`\$(?<number>\d+)`,
  ].join('|'),
  'g',
);

/**
 * SQL with its values for $1, $2, … in it, as literals whose types come from where they stand, as parameters' do.
 * So a statement with values shares a message with others (engine 33), and pins no snapshot (engine 14).
 * @throws an error like the server's, SQLSTATE 22021, for a text with a NUL
 */
export function bind(sql: string, values: readonly unknown[]): string {
  if (!values.length) return sql;
  return sql.replaceAll(TOKEN, (token, ...rest) => {
    const { number } = rest.at(-1) as { number?: string };
    return number === undefined ? token : literalOf(values[Number(number) - 1]);
  });
}

function literalOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  const text = Array.isArray(value) ? arrayText(value) : String(value);
  if (text.includes('\0')) {
    const message = 'invalid byte sequence for encoding "UTF8": 0x00';
    throw Object.assign(new Error(message), { code: '22021', severity: 'ERROR' });
  }
  return literal(text);
}

function arrayText(values: readonly unknown[]): string {
  const each = values.map((value) =>
    value === null ? 'NULL' : `"${String(value).replaceAll(/["\\]/g, String.raw`\$&`)}"`,
  );
  return `{${each.join(',')}}`;
}
