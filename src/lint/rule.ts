import type { Migration } from '../engine/migration.ts';
import type { TableEffect } from '../engine/sql/effects/effect.ts';
import { stronger } from '../engine/sql/effects/lock-mode.ts';
import {
  eachNode,
  fieldsOf,
  opened,
  relationText,
  type RelationName,
  sameRelation,
  textsOf,
} from '../engine/sql/effects/tree.ts';
import { identifier } from '../postgres/quote.ts';
import type { Remark, Severity } from './finding.ts';
import type { Schema } from './schema.ts';
import type { Statement } from './statements.ts';
import type { Table } from './table.ts';

/** What a rule knows when it is asked. */
export interface Context {
  migration: Migration;
  /** All of the migration's statements. */
  statements: readonly Statement[];
  /** Those before this one in its transaction. */
  before: readonly Statement[];
  /** What the migrations before it, and the statements before this one, have made. */
  schema: Schema;
  /** The migrations that are read, in order. */
  migrations: readonly Migration[];
  /** The statements of its way down, where that is SQL. */
  down?: readonly Statement[];
}

export interface Rule {
  /** As `-- mpm:allow` and the configuration name it, and its page in docs/lint. */
  id: string;
  severity: Severity;
  /** What goes wrong, in a sentence. */
  hazard: string;
  /** Is asked of each statement of a migration. */
  statement?(statement: Statement, context: Context): Remark[];
  /**
   * Is asked once, with what all migrations together have made; a remark is put at its statement, or at the file's first
   * one.
   */
  file?(context: Omit<Context, 'before'>): (Remark & { at?: Statement })[];
}

/** The effects on tables that were there before this migration, and so may have rows and users. */
export function onExisting(
  statement: Statement,
  context: Pick<Context, 'schema' | 'migration'>,
): TableEffect[] {
  const { kind, node, effects } = statement;
  const isPart = kind === 'DropStmt' && /_(?:TRIGGER|POLICY|RULE)$/.test(String(node['removeType']));
  const parts = isPart
    ? ((node['objects'] ?? []) as unknown[]).map((each) => textsOf(each).at(-1) ?? '')
    : [];
  return effects.tables.filter(
    ({ relation }) =>
      !isNew(relation, context) &&
      // With IF EXISTS, what no migration has made is most likely not there.
      !(
        isPart &&
        node['missing_ok'] === true &&
        !parts.some((part) => context.schema.hasPart(relation, part))
      ),
  );
}

/**
 * The same, without what reads and writes no row: of tables that the same transaction has emptied, and of columns and
 * indexes that are there already, where the statement says IF NOT EXISTS.
 */
export function onFilled(statement: Statement, context: Context): TableEffect[] {
  const emptied = context.before
    .filter(({ kind }) => kind === 'TruncateStmt')
    .flatMap(({ effects }) => effects.tables);
  return onExisting(statement, context).filter(
    ({ relation, clause }) =>
      !emptied.some((each) => sameRelation(each.relation, relation)) &&
      !isThere(statement, clause, context.schema.table(relation)),
  );
}

function isThere({ kind, node }: Statement, clause: string, table: Table | undefined): boolean {
  if (!table) return false;
  if (kind === 'IndexStmt')
    return node['if_not_exists'] === true && table.indexes.some(({ name }) => name === node['idxname']);
  return fieldsOf(node['cmds']).some(({ missing_ok: orNot, def }) => {
    const column = String(opened(def)[1]['colname']);
    return orNot === true && clause === `add column ${column}` && table.columns.has(column);
  });
}

/** One remark for all clauses of a statement of which a rule says the same. */
export function merged([first, ...more]: readonly Remark[]): Remark[] {
  if (!first) return [];
  return [
    more.length ? { ...first, message: `${first.message}; ${more.length} more of its clauses, too` } : first,
  ];
}

/** Made by this migration: nobody else uses it yet. Or temporary: nobody else ever does. */
export function isNew(
  relation: RelationName,
  { schema, migration }: Pick<Context, 'schema' | 'migration'>,
): boolean {
  const table = schema.table(relation);
  return table !== undefined && (table.madeIn === migration || table.isTemporary);
}

export function lockOf({ relation, lock }: TableEffect): NonNullable<Remark['lock']> {
  return { mode: lock, table: relationText(relation) };
}

/** The strongest lock that a statement takes on a relation; `table`: what it is called, where that is not its name. */
export function lockOn(
  { effects }: Statement,
  relation: RelationName,
  table: string = relationText(relation),
): Pick<Remark, 'lock'> {
  const own = effects.tables.filter((each) => sameRelation(each.relation, relation));
  const [first, ...more] = own.map(({ lock }) => lock);
  return first ? { lock: { mode: more.reduce(stronger, first), table } } : {};
}

/** The columns of each foreign key that a CREATE or ALTER TABLE adds. */
export function foreignKeysIn(statement: Statement): string[][] {
  const keys: string[][] = [];
  eachNode(statement.tree, (kind, fields) => {
    const inColumn = kind === 'ColumnDef' ? fieldsOf(fields['constraints']) : [];
    if (inColumn.some(({ contype }) => contype === 'CONSTR_FOREIGN')) keys.push([String(fields['colname'])]);
    if (kind === 'Constraint' && fields['fk_attrs']) keys.push(textsOf(fields['fk_attrs']));
  });
  return keys;
}

/** A relation's name as SQL. */
export function sqlName({ schema, name }: RelationName): string {
  return schema === undefined ? sqlWord(name) : `${sqlWord(schema)}.${sqlWord(name)}`;
}

/** What PostgreSQL doesn't take for a name without quotes. */
const RESERVED = new Set(
  `all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate
  collation column concurrently constraint create cross current_catalog current_date current_role
  current_schema current_time current_timestamp current_user default deferrable desc distinct do else end
  except false fetch for foreign freeze from full grant group having ilike in initially inner intersect into is
  isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset on only
  or order outer overlaps placing primary references returning right select session_user similar some symmetric
  table tablesample then to trailing true union unique user using variadic verbose when where window with`.split(
    /\s+/,
  ),
);

/** A name as people write it: in quotes where it needs them. */
export function sqlWord(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !RESERVED.has(name) ? name : identifier(name);
}

/** The longest statement that is shown again in another form. */
const SHOWN = 400;

/** The statement in another form; the template, when it is too long or holds other things as well. */
export function rewritten(
  { text, node }: Statement,
  change: (text: string) => string,
  template: string,
): string {
  const isOne = ((node['cmds'] ?? []) as unknown[]).length <= 1;
  return isOne && text.length <= SHOWN && !/--|\/\*/.test(text) ? `${change(text)};` : template;
}
