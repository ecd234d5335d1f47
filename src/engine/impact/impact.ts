import type { Connection } from '../../postgres/connection.ts';
import type { Migration } from '../migration.ts';
import { answerTo } from '../sql/effects/answer.ts';
import { isAtLeast, type LockMode, stronger } from '../sql/effects/lock-mode.ts';
import { relationText } from '../sql/effects/tree.ts';
import { type MigrationEffects, readEffects, type Unknown } from './effects-read.ts';
import { type DatabaseFacts, readFacts } from './facts.ts';

/** What one statement does to one table of one database. */
export interface TableImpact {
  migration: string;
  statement: string;
  /** With its schema, unless that is `public`. */
  table: string;
  lock: LockMode;
  /** Whether all rows are written anew, under that lock. */
  rewrites: 'yes' | 'no' | 'unknown';
  /** Whether all rows are read, or an index of all of them is built, under that lock. */
  scans: 'yes' | 'no' | 'unknown';
  /** The table with its indexes and TOAST, and with its partitions where the statement reaches them; bytes. */
  bytes: number;
}

export interface Impact {
  tables: TableImpact[];
  /** What can't be known without running it. */
  unknown: MigrationEffects['unknown'];
}

/** What pending migrations do to the tables of the connected database. Reads only. */
export async function readImpact(connection: Connection, pending: readonly Migration[]): Promise<Impact> {
  const effects = await readEffects(pending);
  if (effects.statements.length + effects.calls.length === 0) return { tables: [], unknown: effects.unknown };
  return impactOf(effects, await readFacts(connection, effects));
}

/** The same of tables alone that are written anew, or may be; asks nothing where there are none. */
export async function readRewrites(
  connection: Connection,
  pending: readonly Migration[],
): Promise<TableImpact[]> {
  const { statements } = await readEffects(pending);
  const isRewriting = statements.some(({ tables }) => tables.some(({ rewrite }) => rewrite !== 'no'));
  if (!isRewriting) return [];
  const { tables } = await readImpact(connection, pending);
  return tables.filter(({ rewrites }) => rewrites !== 'no');
}

/** What statements come to where these are the facts. A pure function. */
export function impactOf({ statements, unknown, calls }: MigrationEffects, facts: DatabaseFacts): Impact {
  const later = new Map<string, Unknown>();
  const tables = statements.flatMap(({ migration, text, tables: effects }) => {
    const found = new Map<string, TableImpact>();
    for (const effect of effects) {
      const relation = facts.relation(effect.relation);
      if (!relation) {
        const what = `${relationText(effect.relation)}, which isn't there yet`;
        if (effect.rewrite !== 'no' || effect.scan !== 'no' || effect.builds)
          later.set(`${migration}\n${what}`, { migration, what });
        continue;
      }
      const impact: TableImpact = {
        migration,
        statement: text,
        table: relation.name,
        lock: effect.lock,
        rewrites: answerTo(effect.rewrite, effect.relation, facts),
        scans: effect.builds ? 'yes' : answerTo(effect.scan, effect.relation, facts),
        bytes: effect.partitions ? relation.treeBytes : relation.bytes,
      };
      const before = found.get(relation.name);
      found.set(relation.name, before ? both(before, impact) : impact);
    }
    return [...found.values()].filter(isTold);
  });
  const own = calls.filter(({ what }) => facts.isOwn(what));
  return {
    tables,
    unknown: [
      ...unknown,
      ...own.map(({ migration, what }) => ({ migration, what: `function ${what}` })),
      ...later.values(),
    ],
  };
}

/** What waits for nobody but other changes of the schema, and reads nothing, isn't worth a line. */
function isTold({ lock, rewrites, scans }: TableImpact): boolean {
  return isAtLeast(lock, 'SHARE') || rewrites !== 'no' || scans !== 'no';
}

function both(one: TableImpact, other: TableImpact): TableImpact {
  const worse = (a: TableImpact['scans'], b: TableImpact['scans']) =>
    [a, b].includes('yes') ? 'yes' : [a, b].includes('unknown') ? 'unknown' : 'no';
  return {
    ...one,
    lock: stronger(one.lock, other.lock),
    rewrites: worse(one.rewrites, other.rewrites),
    scans: worse(one.scans, other.scans),
    bytes: Math.max(one.bytes, other.bytes),
  };
}
