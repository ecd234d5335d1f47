import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { inspect } from '../../engine/history/lost.ts';
import { placeOf } from '../../postgres/connect.ts';
import { connectCentral, type LedgerOwner, SELECT_LEDGER_OWNER } from '../central.ts';
import { centralTarget } from '../make.ts';
import { type CentralSet, centralMigrationSets } from './migration-sets.ts';

export interface CentralSetStatus {
  set: CentralSet['set'];
  head: string | null;
  applied: number;
  pending: string[];
  /** What `central up` would refuse. */
  problems: string[];
}

/** What `central status` found: what `--json` prints. */
export interface CentralStatus {
  database: string;
  host: string;
  port: number;
  /** False: `central up` would create it; then there is nothing else to say. */
  exists: boolean;
  serverVersion: string | null;
  sets: CentralSetStatus[];
  /** Ours and the product's, with the server's estimate of their rows. */
  tables: { name: string; rows: number }[];
  /** At what this version and the product's files need. */
  upToDate: boolean;
}

/** Looks at the central database, and changes nothing. */
export async function centralStatus(config: Config): Promise<CentralStatus> {
  const sets = await centralMigrationSets(config);
  const { database, host, port } = await placeOf(config.central.url);
  const place = { database, host, port };
  const found = await readFacts(config);
  if (!found) {
    const pending = sets.map((set) => untouched(set));
    return { ...place, exists: false, serverVersion: null, sets: pending, tables: [], upToDate: false };
  }
  const { ledgerOwner, ...facts } = found;
  const looks: CentralSetStatus[] = [];
  for (const set of sets) {
    // Who only looks takes the ledger's owner for ours, as in a tenant.
    const history = { ...config.history, ...set.history, ledgerOwner };
    looks.push(await inspectSets(config, { ...set, history }));
  }
  const upToDate = looks.every(({ pending, problems }) => !pending.length && !problems.length);
  return { ...place, exists: true, ...facts, sets: looks, upToDate };
}

async function readFacts(
  config: Config,
): Promise<
  (Pick<CentralStatus, 'serverVersion' | 'tables'> & { ledgerOwner: string | undefined }) | undefined
> {
  try {
    const connection = await connectCentral(config);
    try {
      const rows = await connection.query<{ version: string; name: string | null; rows: number }>(
        `select current_setting('server_version') as version, format('%I.%I', n.nspname, c.relname) as name,
  greatest(c.reltuples, 0)::float8 as rows
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and (n.nspname = 'mpm_migrate' or (n.nspname = 'public' and c.relname in
  ('companies', 'company_databases', 'database_proxies', 'plugins', 'company_plugins')))
union all select current_setting('server_version'), null, 0 order by 2 nulls first`,
      );
      const [ledger] = await connection.query<LedgerOwner>(SELECT_LEDGER_OWNER);
      return {
        ledgerOwner: ledger?.owner,
        serverVersion: rows[0]?.version ?? null,
        tables: rows.flatMap(({ name, rows: count }) => (name === null ? [] : [{ name, rows: count }])),
      };
    } finally {
      await connection.close();
    }
  } catch (error) {
    if (error instanceof MpmError && error.code === 'DATABASE_MISSING') return undefined;
    throw error;
  }
}

async function inspectSets(config: Config, set: CentralSet): Promise<CentralSetStatus> {
  const { plan, count } = await inspect(centralTarget(config), set, {
    history: set.history,
    order: set.order,
    central: true,
    allowNonEmpty: true,
  });
  return {
    set: set.set,
    head: plan.head,
    applied: count,
    pending: plan.pending.map(({ name }) => name),
    problems: plan.refusals.map(({ message }) => message),
  };
}

function untouched({ set, migrations }: CentralSet): CentralSetStatus {
  return { set, head: null, applied: 0, pending: migrations.map(({ name }) => name), problems: [] };
}
