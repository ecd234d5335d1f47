import { identifier } from '../../postgres/quote.ts';
import { type ObjectDifference, qualified } from './compare.ts';
import type { CatalogObject } from './query.ts';
import {
  type Statement,
  STEP,
  ended,
  ownName,
  routineWord,
  signature,
  tableOf,
  textOf,
} from './sql-words.ts';

/**
 * One that is missing beside one that is extra, and is the same but for its name, was renamed: what depends on it stays.
 * Tables and columns hold data, which may be another's: these are never taken for each other, nor are sequences that are
 * no column's.
 * @returns the statements, and the differences that they leave
 */
export function renameBack(differences: readonly ObjectDifference[]): {
  statements: Statement[];
  rest: ObjectDifference[];
} {
  const pairs = new Map<string, { missing: ObjectDifference[]; extra: ObjectDifference[] }>();
  for (const difference of differences) {
    const { change } = difference;
    const object = difference.built ?? difference.found;
    if (change === 'changed' || !object || !RENAMES[object.kind]) continue;
    if (object.kind === 'sequence' && object.facts['owned by'] === null) continue;
    const key = likeness(object);
    const pair = pairs.get(key) ?? { missing: [], extra: [] };
    pairs.set(key, pair);
    pair[change].push(difference);
  }
  const renamed = new Set<ObjectDifference>();
  const statements = [...pairs.values()].flatMap(({ missing: [to, ...more], extra: [from, ...others] }) => {
    if (!to?.built || !from?.found || more.length + others.length > 0) return [];
    renamed.add(to).add(from);
    for (const each of commentsThatMove(differences, ownName(from.found), ownName(to.built)))
      renamed.add(each);
    const sql = `alter ${RENAMES[from.found.kind]?.(from.found) ?? ''} to ${identifier(ownName(to.built))}`;
    return [{ step: STEP.rename, at: 0, sql: ended(sql) }];
  });
  return { statements, rest: differences.filter((each) => !renamed.has(each)) };
}

/** A comment goes with what it is about. */
function commentsThatMove(
  differences: readonly ObjectDifference[],
  from: string,
  to: string,
): ObjectDifference[] {
  const comments = differences.filter(({ kind, change }) => kind === 'comment' && change !== 'changed');
  return comments.flatMap((extra) => {
    if (!extra.found?.name.includes(from)) return [];
    const name = extra.found.name.replaceAll(from, to);
    const missing = comments.find(({ built }) => built?.name === name);
    return missing && missing.built?.facts['text'] === extra.found.facts['text'] ? [extra, missing] : [];
  });
}

const ofTable = (built: CatalogObject): string =>
  `${built.kind} ${identifier(built.name)} on ${tableOf(built)} rename`;

const RENAMES: Partial<Record<CatalogObject['kind'], (found: CatalogObject) => string>> = {
  constraint: (found) => `table ${tableOf(found)} rename constraint ${identifier(found.name)}`,
  index: (found) => `index ${qualified(found)} rename`,
  trigger: ofTable,
  policy: ofTable,
  rule: ofTable,
  function: (found) => `${routineWord(found)} ${signature(found)} rename`,
  view: (found) =>
    `${found.facts['is'] === 'materialized' ? 'materialized ' : ''}view ${qualified(found)} rename`,
  sequence: (found) => `sequence ${qualified(found)} rename`,
  type: (found) => `${textOf(found.facts['is']) === 'domain' ? 'domain' : 'type'} ${qualified(found)} rename`,
  collation: (found) => `collation ${qualified(found)} rename`,
  'event trigger': (found) => `event trigger ${identifier(found.name)} rename`,
};

/** What it is, without its own name, which stands in what PostgreSQL writes of it. */
function likeness(object: CatalogObject): string {
  const { kind, schema, parent, facts } = object;
  const name = ownName(object);
  const text = JSON.stringify(facts).replaceAll(JSON.stringify(identifier(name)).slice(1, -1), '…');
  return [kind, schema, parent, text.replaceAll(JSON.stringify(name).slice(1, -1), '…')].join('\0');
}
