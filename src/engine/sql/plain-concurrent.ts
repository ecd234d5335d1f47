import { identifier } from '../../postgres/quote.ts';
import { type Nature, PATIENT } from './nature.ts';
import type { SessionEffect } from './session.ts';

/** What the parser would say of a statement. */
interface Known {
  nature: Nature;
  effect: SessionEffect;
}

// Names without quotes, and no longer than the server keeps them (PostgreSQL manual, 4.1.1).
const NAME = String.raw`[a-z_][a-z0-9_]{0,62}`;
const SPACE = String.raw`[ \t\r\n\f\v]+`;
const QUALIFIED = `(?:(${NAME})\\.)?(${NAME})`;
const pattern = (...words: string[]) => new RegExp(`^${words.join(SPACE)}`, 'di');
const IF_EXISTS = `(?:if${SPACE}(?:not${SPACE})?exists${SPACE})?`;
const CREATE = pattern(
  'create',
  `(unique${SPACE})?index`,
  'concurrently',
  `${IF_EXISTS}(${NAME})`,
  'on',
  `${QUALIFIED}(?:[ \\t\\r\\n\\f\\v]*\\(|${SPACE}using${SPACE})`,
);
const DROP = pattern('drop', 'index', 'concurrently', `${IF_EXISTS}${QUALIFIED}$`);

/**
 * A CREATE or DROP INDEX CONCURRENTLY in its plainest form, which most histories have: what the parser would say of it,
 * without the parser. To load that costs more than the statement, and 600 MB on Node 24, where V8 optimizes it.
 * @param text from the statement's first word on
 * @param ahead bytes of UTF-8 in front of it, in what the parser would have been given
 */
export function plainConcurrent(text: string, ahead: number): Known | undefined {
  const created = CREATE.exec(text);
  if (created) {
    const [, unique, name = '', schema, table = ''] = created;
    const tableAt = ahead + (created.indices?.[schema === undefined ? 4 : 3]?.[0] ?? 0);
    const trace = {
      kind: 'index' as const,
      table: qualified(schema, table),
      name: name.toLowerCase(),
      unique: unique !== undefined,
      tableAt,
    };
    return { nature: { ...PATIENT, trace }, effect: { kind: 'none' } };
  }
  const dropped = DROP.exec(text);
  if (!dropped) return undefined;
  const [, schema, name = ''] = dropped;
  return {
    nature: { ...PATIENT, trace: { kind: 'dropped-index', name: qualified(schema, name) } },
    effect: { kind: 'forget', names: [name.toLowerCase()] },
  };
}

function qualified(schema: string | undefined, name: string): string {
  const folded = identifier(name.toLowerCase());
  return schema === undefined ? folded : `${identifier(schema.toLowerCase())}.${folded}`;
}
