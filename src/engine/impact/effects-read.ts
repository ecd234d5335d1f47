import type { Migration, SqlScript } from '../migration.ts';
import { effectsOf } from '../sql/effects/effects.ts';
import type { TableEffect } from '../sql/effects/effect.ts';
import { type RelationName, sameRelation } from '../sql/effects/tree.ts';
import { parseScript } from '../sql/parse.ts';

/** What one statement of a migration does to tables that are there before it. */
export interface StatementEffects {
  migration: string;
  /** On one line, without the comments around it. */
  text: string;
  tables: readonly TableEffect[];
}

/** What migrations do to tables, as far as their text says. */
export interface MigrationEffects {
  statements: readonly StatementEffects[];
  /** What isn't known of them. */
  unknown: readonly Unknown[];
  /** Functions that they call; those of a tenant do what nobody knows. */
  calls: readonly Unknown[];
}

/** What of a migration isn't known. */
export interface Unknown {
  migration: string;
  what: string;
}

interface Script extends MigrationEffects {
  makes: readonly RelationName[];
}

const read = new WeakMap<object, Promise<Script>>();
const merged = new WeakMap<readonly Migration[], Promise<MigrationEffects>>();

/** Reads what migrations do, in their order; of tables that they make themselves nothing is said. Each file is read once. */
export function readEffects(migrations: readonly Migration[]): Promise<MigrationEffects> {
  const known = merged.get(migrations) ?? mergeEffects(migrations);
  merged.set(migrations, known);
  return known;
}

async function mergeEffects(migrations: readonly Migration[]): Promise<MigrationEffects> {
  const made: RelationName[] = [];
  const statements: StatementEffects[] = [];
  const unknown: Unknown[] = [];
  const calls: Unknown[] = [];
  for (const migration of migrations) {
    const found = await readMigration(migration);
    const isThere = ({ relation }: TableEffect) => !made.some((each) => sameRelation(each, relation));
    for (const each of found.statements) {
      const tables = each.tables.filter(isThere);
      if (tables.length) statements.push({ ...each, tables });
    }
    unknown.push(...found.unknown);
    calls.push(...found.calls);
    made.push(...found.makes);
  }
  return { statements, unknown, calls };
}

function readMigration({ name, up }: Migration): Promise<Script> {
  if (up.kind !== 'sql')
    return Promise.resolve({
      statements: [],
      makes: [],
      calls: [],
      unknown: [{ migration: name, what: up.kind === 'module' ? 'TypeScript' : up.tool }],
    });
  const known = read.get(up) ?? readScript(name, up);
  read.set(up, known);
  return known;
}

async function readScript(name: string, script: SqlScript): Promise<Script> {
  const makes: RelationName[] = [];
  const statements: StatementEffects[] = [];
  const unknown = new Set<string>();
  const calls = new Set<string>();
  await parseScript(script, ({ start, end, node }) => {
    const text = statementText(script.sql.slice(start, end));
    if (!node) {
      if (text) unknown.add(text);
      return;
    }
    const effects = effectsOf(node);
    const tables = effects.tables.filter(
      ({ relation }) => !makes.some((each) => sameRelation(each, relation)),
    );
    if (tables.length) statements.push({ migration: name, text, tables });
    for (const name of effects.calls) calls.add(name);
    for (const what of effects.unknown)
      if (!effects.calls.some((each) => what === `function ${each}`)) unknown.add(what);
    makes.push(...effects.makes);
  });
  const of = (all: ReadonlySet<string>) => [...all].map((what) => ({ migration: name, what }));
  return { statements, makes, unknown: of(unknown), calls: of(calls) };
}

/** So much of a statement is shown. */
const SHOWN = 80;

function statementText(sql: string): string {
  const bare = sql.slice(0, 4000).replace(/^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/, '');
  const line = bare.replaceAll(/\s+/g, ' ').trim();
  return line.length > SHOWN ? `${line.slice(0, SHOWN - 1)}…` : line;
}
