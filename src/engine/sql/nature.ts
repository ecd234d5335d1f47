import { identifier } from '../../postgres/quote.ts';

/** A node of the parser: its kind, and its fields. */
export type Node = Record<string, Record<string, unknown>>;

/** How a statement is sent outside a transaction, and what is to be done about it when its end is not known. */
export interface Nature {
  /** PostgreSQL refuses it inside a transaction: it is sent alone, and its progress is recorded around it. */
  bare: boolean;
  /** Without lock_timeout and statement_timeout: what runs beside everybody waits for everybody (engine 11). */
  patient: boolean;
  trace: Trace;
}

/**
 * What a bare statement that was begun leaves to see in the catalogs. `harmless`: run again, it does no more than it
 * did; `none`: nothing that tells. Names are SQL, to be resolved in the migration's own session.
 */
export type Trace =
  | { kind: 'none' | 'harmless' }
  | ({ kind: 'index' } & ConcurrentIndex)
  | { kind: 'dropped-index'; name: string }
  | { kind: 'detached'; parent: string; partition: string };

/** The index of a CREATE INDEX CONCURRENTLY. */
export interface ConcurrentIndex {
  table: string;
  /** A name that the server chose is not known. */
  name: string | undefined;
  unique: boolean;
  /** Where the statement names the table: its offset in bytes of UTF-8. */
  tableAt: number;
}

export const IN_TRANSACTION: Nature = { bare: false, patient: false, trace: { kind: 'none' } };
const BARE: Nature = { ...IN_TRANSACTION, bare: true };
const HARMLESS: Nature = { ...BARE, trace: { kind: 'harmless' } };
const HARMLESS_IN_TRANSACTION: Nature = { ...HARMLESS, bare: false };
export const PATIENT: Nature = { ...HARMLESS, patient: true };

/**
 * What PostgreSQL refuses inside a transaction, as far as the parser sees it (engine 40). Of the rest the server says
 * so when it is sent inside one; a DO and a CALL that commit in the middle would have run in part by then.
 */
export function natureOf(statement: Node): Nature {
  const [kind = '', node = {}] = Object.entries(statement)[0] ?? [];
  switch (kind) {
    case 'IndexStmt':
      return node['concurrent'] ? { ...PATIENT, trace: indexOf(node) } : IN_TRANSACTION;
    case 'DropStmt':
      return node['concurrent'] ? { ...PATIENT, trace: droppedOf(node) } : IN_TRANSACTION;
    case 'AlterTableStmt':
      return detached(node);
    case 'ReindexStmt':
      if (JSON.stringify(node['params'] ?? null).includes('"defname":"concurrently"')) return PATIENT;
      return /SCHEMA|SYSTEM|DATABASE/.test(String(node['kind'])) ? HARMLESS : HARMLESS_IN_TRANSACTION;
    case 'VacuumStmt':
      return node['is_vacuumcmd'] ? HARMLESS : IN_TRANSACTION;
    case 'ClusterStmt':
      return node['relation'] ? HARMLESS_IN_TRANSACTION : HARMLESS;
    case 'AlterDatabaseStmt':
      return JSON.stringify(node).includes('"defname":"tablespace"') ? HARMLESS : IN_TRANSACTION;
    case 'DiscardStmt':
      return node['target'] === 'DISCARD_ALL' ? HARMLESS : IN_TRANSACTION;
    case 'AlterSystemStmt':
      return HARMLESS;
    case 'CreatedbStmt':
    case 'DropdbStmt':
    case 'CreateTableSpaceStmt':
    case 'DropTableSpaceStmt':
    case 'CallStmt':
      return BARE;
    case 'DoStmt':
      return mayCommit(JSON.stringify(node)) ? BARE : IN_TRANSACTION;
    default:
      return IN_TRANSACTION;
  }
}

/** The same of a statement that the parser was not asked about, from its text. */
export function natureByText(text: string): Nature {
  const [first] = /^[a-z]+/i.exec(text) ?? [''];
  if (/^call$/i.test(first)) return BARE;
  return /^do$/i.test(first) && mayCommit(text) ? BARE : IN_TRANSACTION;
}

/** A body that has none of these words, in whatever language, cannot end the transaction that it runs in. */
function mayCommit(body: string): boolean {
  return /commit|rollback|\bcall\b/i.test(body);
}

function indexOf(node: Record<string, unknown>): Trace {
  const relation = node['relation'] as RangeVar & { location?: number };
  return {
    kind: 'index',
    table: qualified(relation),
    name: node['idxname'] as string | undefined,
    unique: node['unique'] === true,
    tableAt: relation.location ?? 0,
  };
}

function droppedOf(node: Record<string, unknown>): Trace {
  const [object] = node['objects'] as { List: { items: { String: { sval: string } }[] } }[];
  const parts = object?.List.items.map((item) => identifier(item.String.sval)) ?? [];
  return { kind: 'dropped-index', name: parts.join('.') };
}

function detached(node: Record<string, unknown>): Nature {
  const commands = node['cmds'] as
    { AlterTableCmd: { def?: { PartitionCmd?: PartitionCommand } } }[] | undefined;
  const command = commands?.[0]?.AlterTableCmd.def?.PartitionCmd;
  if (!command?.concurrent) return IN_TRANSACTION;
  const parent = qualified(node['relation'] as RangeVar);
  return { ...PATIENT, trace: { kind: 'detached', parent, partition: qualified(command.name) } };
}

interface PartitionCommand {
  name: RangeVar;
  concurrent?: boolean;
}

interface RangeVar {
  schemaname?: string;
  relname: string;
}

function qualified({ schemaname, relname }: RangeVar): string {
  return schemaname ? `${identifier(schemaname)}.${identifier(relname)}` : identifier(relname);
}
