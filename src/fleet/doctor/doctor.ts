import { type Central, withCentral } from '../../central/central.ts';
import { listInstallable } from '../../central/plugins.ts';
import { readPool } from '../../central/pool.ts';
import { readBuildingNames } from '../../central/list/provisioning.ts';
import type { Tenant } from '../../central/list/tenant.ts';
import { countVisible, streamTenants } from '../../central/list/tenants.ts';
import type { Config } from '../../config/define.ts';
import { asMpmError, errorReport, MpmError, stopIfAborted } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import { findDatabases } from '../../postgres/database.ts';
import { identifier } from '../../postgres/quote.ts';
import { SQLSTATE, sqlstateOf } from '../../postgres/sqlstate.ts';
import { redact } from '../../secrets.ts';
import { type TenantSources, readTenantSources, sharesNothing } from '../../tenants/create/tenant-sources.ts';
import { isCopy } from '../../tenants/create/build.ts';
import { type Aliases, examineServer, findAliases, type ServerFacts } from './examine.ts';
import { LEDGER_ROW, readRights, tryWriting } from './rights.ts';
import { withServer } from '../../tenants/server.ts';
import { whatIsAlike, findTemplate } from '../../tenants/create/template.ts';
import { type Add, type Finding, quoted } from './findings.ts';
import { judgeCentralFiles, judgeCore, judgePlugins, judgeFolders } from './folder-findings.ts';
import { judgeConnect, judgeRights, judgeSettings } from './rights-findings.ts';
import { judgeTools } from './tool-findings.ts';
import { judgeOrphans, judgePool, judgeTenants, type Listed } from './tenant-findings.ts';

/** What `doctor --json` prints. */
export interface DoctorReport {
  findings: Finding[];
  warnings: number;
  errors: number;
}

/** The oldest PostgreSQL that the engine works with (pg_current_xact_id). */
const OLDEST = 150_000;

/**
 * Looks at everything that the other verbs need, and changes nothing. What is wrong is a finding, and not thrown.
 * @throws MpmError INTERRUPTED once the signal is aborted
 */
export async function doctor(
  config: Config,
  { signal }: { signal?: AbortSignal } = {},
): Promise<DoctorReport> {
  stopIfAborted(signal);
  const findings: Finding[] = [
    { about: 'configuration', level: 'ok', message: config.file ?? 'from the environment, without a file' },
  ];
  const add: Add = (about, level, message, remedy, names) => {
    const more = { ...(remedy === undefined ? {} : { remedy }), ...(names === undefined ? {} : { names }) };
    findings.push({ about, level, message: redact(message), ...more });
  };
  const attempt = async <T>(about: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      const known = errorReport(error);
      const { message, hint: remedy = 'Fix what it reports, and then run doctor again.', problems } = known;
      findings.push({ about, level: 'error', message, remedy, ...(problems && { problems }) });
      return undefined;
    }
  };

  const sources = await attempt('files', () => readTenantSources(config));
  if (sources) judgeCore(config, sources, add);
  if (sources && config.templates) judgeAlike(sources, add);
  const listed = await attempt('central', () => withCentral(config, (central) => readCentral(central, add)));
  const read = sources ?? { core: { folder: config.migrations.core, migrations: [] }, cache: new Map() };
  await judgePlugins(config, read, listed, { add, attempt });
  if (listed) await attempt('central', () => judgeCentralFiles(config, add));
  stopIfAborted(signal);
  const servers = new Map<string, ServerFacts>();
  // All at once, because one that does not answer takes the whole time-out.
  const looks = Object.keys(config.servers).map((name) => ({ name, look: examineServer(config, name) }));
  await Promise.allSettled(looks.map(({ look }) => look));
  for (const { name, look } of looks) {
    stopIfAborted(signal);
    const facts = await attempt(`server ${name}`, () => look);
    if (!facts) continue;
    servers.set(name, facts);
    judgeServer(config, name, facts, add);
    await attempt(`server ${name}`, () => judgeBeginning(config, name, add));
    if (sources && listed)
      await attempt(`server ${name}`, () => judgeTemplate(listed.config, name, sources, add));
  }
  const aliases = (await attempt('servers', () => findAliases(config, servers))) ?? unknownAliases(servers);
  judgeAliases(aliases, add);
  if (listed) {
    await attempt('folders', async () => judgeFolders(config, listed.tenants, add));
    judgeTenants(config, listed, servers, aliases, add);
    judgePool(listed, servers, add);
    judgeSettings(listed, servers, aliases.groups, add);
    await attempt('servers', () => judgeConnect(listed, servers, aliases.groups, add));
    await attempt('tenants', () => judgeTools(config, add, { signal }));
    await attempt('tenants', () => judgeOrphans(listed, servers, aliases, sources, add));
  }
  const count = (level: Finding['level']) => findings.filter((finding) => finding.level === level).length;
  return { findings, warnings: count('warning'), errors: count('error') };
}

async function readCentral(central: Central, add: Add): Promise<Listed | undefined> {
  const { config, connection } = central;
  judgeRights('central', await readRights(connection), add);
  const tenants: Tenant[] = [];
  const visible = await countVisible(central);
  try {
    for await (const tenant of streamTenants(central, {})) tenants.push(tenant);
  } catch (error) {
    if (error instanceof MpmError && error.code === 'ROW_SECURITY') {
      const remedy = error.hint ?? 'Let the user see all rows.';
      add('central', 'error', `${error.message}; it shows only ${visible} of the tenants`, remedy);
      return undefined;
    }
    throw error;
  }
  add('central', 'ok', `${connection.database}, at the required version; tenants: ${tenants.length}`);
  await judgeLedger(connection, add);
  const installable = (await listInstallable(central)).map(({ name }) => name);
  const pooled = 'builtIn' in config.tenants ? await readPool(central) : [];
  const unfinished =
    'builtIn' in config.tenants ? await readBuildingNames(central) : new Map<string, string>();
  const cutOff = new Set([...unfinished].flatMap(([id, name]) => (isCopy(name) ? [id] : [])));
  return { config, tenants, cutOff, installable, pooled };
}

/** A run is written to the ledger, and taken back. */
async function judgeLedger(connection: Connection, add: Add): Promise<void> {
  const writing = await tryWriting(connection, LEDGER_ROW).catch((error: unknown) => ({ error }));
  if (!writing) return add('central', 'ok', 'the ledger accepts writes');
  const { message, hint } = asMpmError(writing.error);
  const remedy = hint ?? 'Let the user write to all tables of schema mpm_migrate, preferably as its owner.';
  add('central', 'error', `the ledger doesn't accept writes: ${message}`, remedy);
}

function judgeWriting(about: string, { writing }: ServerFacts, add: Add): void {
  if (!writing) return add(about, 'ok', 'it accepts writes');
  const { message, hint = 'Fix what it reports, and then run doctor again.' } = asMpmError(writing.error);
  // Whoever takes lo_create from everybody says nothing of other writes.
  if (sqlstateOf(writing.error) === SQLSTATE.insufficientPrivilege)
    add(about, 'warning', `whether it accepts writes could not be tried: ${message}`, hint);
  else add(about, 'error', `it doesn't accept writes: ${message}`, hint);
}

function judgeServer(config: Config, name: string, facts: ServerFacts, add: Add): void {
  const about = `server ${name}`;
  const { version, versionText, pooled, user, createdb, clock, free, connections } = facts;
  if (version < OLDEST) add(about, 'error', `PostgreSQL ${versionText}`, 'PostgreSQL 15 or newer is needed.');
  else add(about, 'ok', `PostgreSQL ${versionText}`);
  if (createdb) add(about, 'ok', `"${user}" can create databases`);
  else {
    add(
      about,
      'warning',
      `"${user}" can't create databases`,
      `For "tenant create": alter role "${user}" createdb;`,
    );
  }
  judgeRights(about, facts.rights, add);
  judgeWriting(about, facts, add);
  const through = config.servers[name]?.directUrl === undefined ? 'url' : 'directUrl';
  if (pooled) {
    const remedy = `A pooler keeps a connection for each database: set servers.${name}.directUrl to the address of PostgreSQL itself.`;
    add(about, 'warning', `there is a pooler between here and the server (${through})`, remedy);
  }
  const seconds = Math.round(Math.abs(clock) / 1000);
  if (seconds >= 5) {
    const remedy = "Set both clocks by NTP: times in histories and in the ledger would can't be combined.";
    add(
      about,
      'warning',
      `its clock is ${seconds} s ${clock > 0 ? 'ahead of' : 'behind'} this machine's`,
      remedy,
    );
  }
  const room = `${free} of ${connections} connections are free`;
  if (free < 5)
    add(
      about,
      free < 1 ? 'error' : 'warning',
      room,
      "Raise max_connections or the role's limit, or close idle sessions.",
    );
  else add(about, 'ok', room);
  const broken = facts.databases.filter(({ valid }) => !valid).map((database) => database.name);
  if (broken.length) {
    add(
      about,
      'error',
      `a drop was interrupted, and they can only be dropped again: ${quoted(broken)}`,
      `drop database "${broken[0]}";`,
    );
  }
}

function unknownAliases(servers: ReadonlyMap<string, ServerFacts>): Aliases {
  return { groups: [...servers.keys()].map((name) => [name]), copies: [] };
}

function judgeAliases({ groups, copies }: Aliases, add: Add): void {
  for (const [first = '', ...others] of groups) {
    for (const name of others) add(`server ${name}`, 'ok', `it is the server "${first}" under another name`);
  }
  for (const { name, of } of copies) {
    const remedy = `Its tenants would be searched in the copy: check servers.${name}.`;
    add(`server ${name}`, 'warning', `it is a copy or a standby of the server "${of}"`, remedy);
  }
}

/** What a template would make the same for all. */
function judgeAlike(sources: TenantSources, add: Add): void {
  const alike = whatIsAlike(sources);
  if (alike) add('files', 'warning', alike.message, alike.remedy, alike.names);
}

async function judgeTemplate(
  config: Config,
  server: string,
  sources: TenantSources,
  add: Add,
): Promise<void> {
  const about = `server ${server}`;
  if (!config.templates) return add(about, 'ok', 'templates are off: new tenants run all migrations');
  const template = await withServer(config, server, (connection) =>
    findTemplate(connection, config, sources),
  );
  const missing = sharesNothing(sources)
    ? 'no template: new tenants share nothing'
    : 'no template of the current files yet: the next new tenant builds it first';
  if (!template) add(about, 'ok', missing);
  else if (template.name !== undefined) add(about, 'ok', 'the template is current');
  else if (template.unfit) add(about, 'warning', template.why, 'The next new tenant rebuilds it first.');
  else {
    const remedy = 'New tenants run all migrations. Let one role own new databases: history.owners.';
    add(about, 'warning', template.why, remedy);
  }
}

/** The database that new ones are copies of, where the configuration names one. */
async function judgeBeginning(config: Config, server: string, add: Add): Promise<void> {
  const { template } = config.databases;
  if (template === undefined) return;
  const [there] = await withServer(config, server, (connection) => findDatabases(connection, [template]));
  const what = `databases.template: "${template}"`;
  const about = `server ${server}`;
  const remedy =
    'New databases are copies of it: create it, or remove databases.template from the configuration.';
  if (!there) add(about, 'error', `${what} doesn't exist`, remedy);
  else if (there.unfit !== null) {
    const sql = `reindex database ${identifier(template)}; alter database ${identifier(template)} refresh collation version;`;
    add(about, 'error', `${what} is not copied: ${there.unfit}`, there.valid ? `In it: ${sql}` : remedy);
  }
}
