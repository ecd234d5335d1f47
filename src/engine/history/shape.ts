import type { Connection } from '../../postgres/connection.ts';
import type { SessionRoles } from '../../postgres/roles.ts';
import { literal } from '../../postgres/quote.ts';
import { parseCopyRows } from './summary.ts';
import { type HistoryTable, tableName } from './history.ts';

/**
 * Whose the schemas are, for {@link reachOf}. COPY, because the first query of a session that plans a scan costs a
 * quarter of what the connection itself does.
 */
export const COPY_SCHEMAS = 'copy pg_catalog.pg_namespace (nspname, nspowner, nspacl) to stdout';

/**
 * Who can reach what is in a schema: `ours`, nobody else; `readable`, others can, and create nothing; `unsure`, it is
 * not ours, or cannot be told by this alone.
 */
export type Reach = 'ours' | 'readable' | 'unsure';

/**
 * Who can reach what is in the schema of the history (engine 34).
 * @param copied what {@link COPY_SCHEMAS} sent
 */
export function reachOf(connection: Connection, history: HistoryTable, copied: string): Reach {
  const trust = trustIn(connection, history);
  const [, owner, acl] = parseCopyRows(copied).find(([name]) => name === history.schema) ?? [];
  if (!owner || !trust || !trust.owner(owner)) return 'unsure';
  return trust.grants(acl ?? null, 'U');
}

/** How many columns and checks a history has as {@link createHistory} makes it, or an older one that was altered. */
const SHAPE = { columns: 22, checks: 1 };

/** The table's row in pg_class. */
export interface TableRow {
  relkind: string;
  relpersistence: string;
  relowner: number;
  relacl: string | null;
  relnatts: number;
  relchecks: number;
  reloftype: number;
  relrowsecurity: boolean;
  relforcerowsecurity: boolean;
  relhastriggers: boolean;
  relhasrules: boolean;
  relhassubclass: boolean;
  relispartition: boolean;
}

export function selectTableRow(history: HistoryTable): string {
  return `select relkind, relpersistence, relowner, relacl, relnatts, relchecks, reloftype, relrowsecurity, relforcerowsecurity,
  relhastriggers, relhasrules, relhassubclass, relispartition
from pg_catalog.pg_class where oid = ${literal(tableName(history))}::pg_catalog.regclass`;
}

/** Whether the table is an ordinary one of ours to which nothing is attached that its row in pg_class tells of. */
export function isPlain(connection: Connection, history: HistoryTable, row: TableRow | undefined): boolean {
  const trust = trustIn(connection, history);
  if (!row || !trust?.owner(String(row.relowner))) return false;
  const { relrowsecurity, relforcerowsecurity, relhastriggers, relhasrules, relhassubclass, relispartition } =
    row;
  const attached = [
    relrowsecurity,
    relforcerowsecurity,
    relhastriggers,
    relhasrules,
    relhassubclass,
    relispartition,
  ].includes(true);
  const plain = row.relkind === 'r' && row.relpersistence === 'p' && row.reloftype === 0;
  const ours = row.relnatts === SHAPE.columns && row.relchecks === SHAPE.checks;
  return plain && ours && !attached && trust.grants(row.relacl, 'r') !== 'unsure';
}

/** One right of an access control list as the server prints it, of a role whose name needs no quotes. */
const GRANT = /^(\w*)=([A-Za-z*]*)\/\w+$/;

/** Who is trusted here; undefined when the server's roles are not known. */
function trustIn({ roles }: Connection, { owners = [], ledgerOwner }: HistoryTable) {
  if (!roles) return undefined;
  const names = new Set([roles.login, roles.role, ledgerOwner, ...owners]);
  const isOurs = (role: ReturnType<SessionRoles['find']>) =>
    role !== undefined && (role.superuser || names.has(role.name));
  return {
    /** @param oid a role's */
    owner: (oid: string) => isOurs(roles.find(oid)),
    /**
     * What others may do.
     * @param acl an aclitem[] as text; null when only the owner has rights
     * @param harmless the letter of the right that others may have
     */
    grants: (acl: string | null, harmless: string): Reach => {
      if (acl === null) return 'ours';
      let reach: Reach = 'ours';
      for (const item of acl.slice(1, -1).split(',').filter(Boolean)) {
        const [, name, rights = ''] = GRANT.exec(item) ?? [];
        if (name === undefined) return 'unsure';
        if (names.has(name)) continue;
        if (rights.replaceAll('*', '') !== harmless) return 'unsure';
        reach = 'readable';
      }
      return reach;
    },
  };
}
