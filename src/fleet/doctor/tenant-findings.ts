import { tenantProblem } from '../../central/list/problem.ts';
import { BEING_DROPPED } from '../../central/list/change.ts';
import type { PoolRow } from '../../central/pool.ts';
import type { Tenant } from '../../central/list/tenant.ts';
import type { Config } from '../../config/define.ts';
import { identifier } from '../../postgres/quote.ts';
import type { TenantSources } from '../../tenants/create/tenant-sources.ts';
import { isUnfinishedName } from '../../tenants/create/build.ts';
import { type Aliases, findAbandoned, findOrphans, promisesDatabase, type ServerFacts } from './examine.ts';
import { idWord, shellWord } from '../../shell-word.ts';
import { templatePrefix } from '../../tenants/create/template.ts';
import { type Add, addEach, quoted } from './findings.ts';

/** What the central database knows of databases. */
export interface Listed {
  /** As it is with the central database open. */
  config: Config;
  tenants: Tenant[];
  /** Ids of copies that were cut off, which cannot be resumed. */
  cutOff: ReadonlySet<string>;
  /** Plugins that can be installed. */
  installable: string[];
  pooled: PoolRow[];
}

/** Rows that contradict themselves, did not come to their end, or whose database is not there or not ours. */
export function judgeTenants(
  config: Config,
  { tenants, cutOff }: Listed,
  servers: ReadonlyMap<string, ServerFacts>,
  { groups }: Aliases,
  add: Add,
): void {
  const judged = tenants.map((tenant) => ({ tenant, problem: tenantProblem(tenant, config) }));
  const sound = judged.flatMap(({ tenant, problem }) => (problem ? [] : [tenant]));
  addEach(
    judged.flatMap(({ tenant: { id }, problem }) => (problem ? [{ id, problem }] : [])),
    ({ id }) => id,
    ({ problem: { message, hint = 'mpm-migrate tenant list' } }) => add('tenants', 'error', message, hint),
    (count, ids) => add('tenants', 'error', `${count} more rows like that`, 'mpm-migrate status --all', ids),
  );
  addEach(
    sound.filter(({ status }) => status === 'provisioning' || status === 'failed'),
    ({ id }) => id,
    ({ id, name, status, reason = "its creation isn't finished" }) => {
      const resume = cutOff.has(id) ? '' : `mpm-migrate tenant create --resume ${idWord(id)}, or `;
      const remedy = `Unless it is still running: ${resume}mpm-migrate tenant drop ${idWord(id)}`;
      add('tenants', 'warning', `${name} (${id}) is ${status}: ${reason}`, remedy);
    },
    (count, ids) => {
      const remedy = 'mpm-migrate tenant list --status provisioning; the same with --status failed';
      add('tenants', 'warning', `the creation of ${count} more isn't finished`, remedy, ids);
    },
  );
  addEach(
    sound.filter(({ reason }) => reason?.startsWith(BEING_DROPPED)),
    ({ id }) => id,
    ({ id, name, reason }) =>
      add(
        'tenants',
        'warning',
        `${name} (${id}) is on hold: ${reason}`,
        `mpm-migrate tenant drop ${idWord(id)}`,
      ),
    (count, ids) => {
      const remedy = 'mpm-migrate tenant list --status hold';
      add('tenants', 'warning', `the drop of ${count} more isn't finished`, remedy, ids);
    },
  );
  judgeShared(sound, groups, add);
  for (const [server, facts] of servers) {
    const own = sound.filter((tenant) => tenant.server === server && promisesDatabase(tenant));
    judgeDatabases(own, server, facts, { ours: 'builtIn' in config.tenants, add });
  }
}

/** Rows that lead to one database, because their servers are one under several names. */
function judgeShared(tenants: readonly Tenant[], groups: Aliases['groups'], add: Add): void {
  const pairs: { first: Tenant; second: Tenant }[] = [];
  for (const group of groups.filter(({ length }) => length > 1)) {
    const byDatabase = new Map<string, Tenant>();
    for (const tenant of tenants.filter(({ server }) => group.includes(server))) {
      const first = byDatabase.get(tenant.database);
      if (first) pairs.push({ first, second: tenant });
      else byDatabase.set(tenant.database, tenant);
    }
  }
  const remedy = 'Each tenant needs its own database: fix one of the two rows.';
  addEach(
    pairs,
    ({ second }) => second.id,
    ({ first, second }) => {
      const who = `${first.name} (${first.id}) and ${second.name} (${second.id})`;
      const why = `servers "${first.server}" and "${second.server}" are one`;
      add('tenants', 'error', `${who} have one database, "${first.database}": ${why}`, remedy);
    },
    (count, ids) => add('tenants', 'error', `${count} more share a database like that`, remedy, ids),
  );
}

function judgeDatabases(
  tenants: readonly Tenant[],
  server: string,
  facts: ServerFacts,
  { ours, add }: { ours: boolean; add: Add },
): void {
  const about = `server ${server}`;
  const there = new Map(facts.databases.map((database) => [database.name, database]));
  addEach(
    tenants.filter(({ database }) => !there.has(database)),
    ({ id }) => id,
    ({ id, name, database }) => {
      const gone = ours ? `: mpm-migrate tenant drop ${idWord(id)}` : ', remove its row';
      const remedy = `Restore it; or, if it is gone for good${gone}`;
      add(about, 'error', `the database "${database}" of ${name} (${id}) doesn't exist`, remedy);
    },
    (count, ids) =>
      add(about, 'error', `${count} more databases don't exist`, 'mpm-migrate status --all', ids),
  );
  addEach(
    tenants.filter(({ database }) => there.get(database)?.open === false),
    ({ id }) => id,
    ({ id, name, database }) => {
      const open = `alter database ${identifier(database)} allow_connections true;`;
      const remedy = `If a move was killed, move it again; otherwise: ${open}`;
      add(about, 'error', `the database "${database}" of ${name} (${id}) doesn't accept connections`, remedy);
    },
    (count, ids) =>
      add(
        about,
        'error',
        `${count} more databases don't accept connections`,
        'mpm-migrate doctor --json',
        ids,
      ),
  );
  const foreign = tenants
    .filter(({ database }) => there.get(database)?.owned === false)
    .map(({ database }) => database);
  if (foreign.length === 0) return;
  const remedy = `alter database "${foreign[0]}" owner to "${facts.user}"; (otherwise there is no head stamp, and "status" and "up --fast" must connect)`;
  add(about, 'warning', `"${facts.user}" does not own ${quoted(foreign)}`, remedy, foreign);
}

/** Databases of the pool that are gone, or that the server works with differently than when they were made. */
export function judgePool({ pooled }: Listed, servers: ReadonlyMap<string, ServerFacts>, add: Add): void {
  for (const [server, { databases }] of servers) {
    const ready = pooled.filter((row) => row.server === server && row.state === 'ready');
    const there = new Map(databases.map(({ name, unfit }) => [name, unfit]));
    const problems = ready.flatMap(({ database }) => {
      const why = there.has(database) ? there.get(database) : 'it is not there';
      return why == null ? [] : [{ database, why }];
    });
    const [first] = problems;
    if (!first) continue;
    const names = problems.map(({ database }) => database);
    const message = `unusable in the pool: ${quoted(names)}: ${first.why}`;
    const remedy = `mpm-migrate tenant pool fill --size ${ready.length} --server ${shellWord(server)}`;
    add(`server ${server}`, 'warning', message, remedy, names);
  }
}

/** Databases of these migrations that nobody lists. Two names of one server are looked at as one. */
export async function judgeOrphans(
  { config, tenants, pooled }: Listed,
  servers: ReadonlyMap<string, ServerFacts>,
  { groups }: Aliases,
  sources: TenantSources | undefined,
  add: Add,
): Promise<void> {
  for (const names of groups) {
    const [server = ''] = names;
    const facts = servers.get(server);
    if (!facts) continue;
    const about = `server ${server}`;
    const rows = [...tenants, ...pooled].filter((row) => names.includes(row.server));
    const known = new Set(rows.map(({ database }) => database));
    const prefix = templatePrefix(config);
    const unknown = facts.databases.filter(({ name }) => !known.has(name) && !name.startsWith(prefix));
    const unfinished = unknown.flatMap(({ name }) => (isUnfinishedName(name) ? [name] : []));
    const left = unfinished.length ? await findAbandoned(config, server, unfinished) : [];
    if (left.length) {
      const remedy = `If no other fleet is on this server: drop database "${left[0]}";`;
      const message = `of creations that the central database doesn't know: ${quoted(left)}`;
      add(about, 'warning', message, remedy, left);
    }
    const others = unknown.filter(({ name }) => !isUnfinishedName(name));
    const migrations = sources?.core.migrations.map(({ name }) => name);
    const orphans = await findOrphans(config, server, others, migrations);
    if (orphans.length) {
      const adopt = `mpm-migrate tenant adopt NAME --database ${orphans[0]} --server ${server}`;
      const remedy =
        'builtIn' in config.tenants ? `${adopt}, or drop it` : 'Give it a row in your tables, or drop it';
      const message = `with a history, but of no tenant of this fleet: ${quoted(orphans)}`;
      add(about, 'warning', message, remedy, orphans);
    }
  }
}
