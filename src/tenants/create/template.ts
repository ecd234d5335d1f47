import { createHash } from 'node:crypto';
import { rightsOf } from '../../central/make.ts';
import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { tableName } from '../../engine/history/history.ts';
import { volatileOnes } from '../../engine/sql/volatile.ts';
import { describeUrl } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
import { createDatabase, dropDatabase, endOwnSessions, renameDatabase } from '../../postgres/database.ts';
import { type DatabaseSettings, readDatabaseSettings } from '../../postgres/database-settings.ts';
import { identifier, literal } from '../../postgres/quote.ts';
import { waitForDatabases } from '../../postgres/active-databases.ts';
import { SQLSTATE, sqlstateOf } from '../../postgres/sqlstate.ts';
import { type TenantSources, sharesNothing } from './tenant-sources.ts';
import { migrateAndSeed, type MigrateAndSeedOptions } from './migrate-and-seed.ts';
import { withServerLock } from '../lock.ts';
import { withNewDatabase, withServer } from '../server.ts';

/** A template to clone, or why there is none; `unfit`: it can be built anew. `notices`: what all its copies have the same. */
export type Template = (
  { name: string; settings: DatabaseSettings } | { name?: never; why: string; unfit?: true }
) & { notices?: string[] };

/**
 * In front of a template's comment: when it was made, and whether its copies have the same where each may need its own
 * (fleet 45); behind it stands what its copies get.
 */
const MARK = /^\[mpm-template:1:([^\] ]*)( alike)?\] ?/;

/** How many are kept: while a release is rolled out, the old one still makes tenants. */
const KEPT = 2;

/**
 * The beginning of the names of all templates of a fleet; another one on the same server has another (fleet 55).
 * @param config that of an open central database, by which the fleet is known
 */
export function templatePrefix({ central }: Config): string {
  const { identity } = central;
  if (identity === undefined) throw new Error('the central database was not opened');
  const { database } = describeUrl(central.url);
  const hash = createHash('sha256').update(`${database}\n${identity}`).digest('hex');
  return `mpm_template_${hash.slice(0, 8)}_`;
}

/** The template for these files, if the server has it. */
export function findTemplate(
  connection: Connection,
  config: Config,
  sources: TenantSources,
): Promise<Template | undefined> {
  return readTemplate(connection, `${templatePrefix(config)}${sources.key}`, sources);
}

/**
 * The server's template for these files, built if it is missing. Its name says what is in it, and it gets its name
 * when it is finished: so who finds it may clone it.
 * @param connection to the server
 * @param found by {@link findTemplate}, a moment ago
 * @throws MpmError of a migration that fails, as it would in the tenant
 */
export async function ensureTemplate(
  config: Config,
  server: string,
  {
    connection,
    sources,
    found,
  }: { connection: Connection; sources: TenantSources; found?: Template | undefined },
  options: MigrateAndSeedOptions,
): Promise<Template> {
  if (!config.templates) return { why: 'templates are off in the configuration' };
  if (sharesNothing(sources)) return { why: 'there is nothing to share' };
  const name = `${templatePrefix(config)}${sources.key}`;
  const there = found ?? (await readTemplate(connection, name, sources));
  if (there && !isUnfit(there)) return there;
  try {
    const lock = { what: 'template', server, wait: config.pace.lockWait } as const;
    await withServerLock(config, lock, async () => {
      const now = await readTemplate(connection, name, sources);
      if (now && !isUnfit(now)) return;
      if (now) await dropDatabase(connection, name);
      await withServer(config, server, (own) =>
        buildTemplate(config, { server, name, sources }, own, options),
      );
    });
  } catch (error) {
    const why = whyNot(error);
    if (why === undefined) throw error;
    return { why };
  }
  const template = await readTemplate(connection, name, sources);
  return template ?? { why: `the template ${name} was dropped by another` };
}

async function readTemplate(
  connection: Connection,
  name: string,
  sources: TenantSources,
): Promise<Template | undefined> {
  const settings = await readDatabaseSettings(connection, name);
  if (!settings) return undefined;
  if (!settings.owned) return { why: `the template ${name} belongs to "${settings.owner}"` };
  if (settings.unfit !== null) {
    return { why: `the server does not copy the template ${name}: ${settings.unfit}`, unfit: true };
  }
  const comment = settings.comment?.replace(MARK, '') ?? '';
  // Told to each new tenant: the first one's warning is not seen by who makes the second.
  const alike = MARK.exec(settings.comment ?? '')?.[2] ? whatIsAlike(sources) : undefined;
  const notices = alike ? { notices: [`${alike.message}. ${alike.remedy}`] } : {};
  return { name, settings: { ...settings, comment: comment || null }, ...notices };
}

function isUnfit(template: Template): boolean {
  return template.name === undefined && template.unfit === true;
}

/** What keeps a template from being made, and a tenant's own creation not. */
function whyNot(error: unknown): string | undefined {
  const code = sqlstateOf(error);
  const known = error instanceof MpmError ? error.code : undefined;
  const passes = known === 'BUSY' || known === 'DATABASE_IN_USE' || known === 'DATABASE_EXISTS';
  const ours = known !== 'MIGRATION_FAILED';
  if (passes || (ours && (code === SQLSTATE.insufficientPrivilege || code === SQLSTATE.objectInUse)))
    return (error as Error).message;
  return undefined;
}

/** Under the lock: what an earlier one left half-built is nobody's. */
async function buildTemplate(
  config: Config,
  { server, name, sources }: { server: string; name: string; sources: TenantSources },
  connection: Connection,
  options: MigrateAndSeedOptions,
): Promise<void> {
  const half = `${templatePrefix(config)}new`;
  await waitForDatabases(connection, [half]);
  await dropDatabase(connection, half, { disconnect: true });
  await createDatabase(connection, half, rightsOf(config));
  try {
    const newDatabase = { server, database: half, purpose: 'template' };
    await migrateAndSeed(config, newDatabase, sources.shared, options);
    await markRows(config, server, half);
    await endOwnSessions(connection, half);
    const settings = await readDatabaseSettings(connection, half);
    await renameDatabase(connection, half, name, [
      `alter database ${identifier(name)} with allow_connections false`,
      `comment on database ${identifier(name)} is ${literal(`[mpm-template:1:${new Date().toISOString()}${whatIsAlike(sources) ? ' alike' : ''}] ${settings?.comment ?? ''}`)}`,
    ]);
  } catch (error) {
    if (!connection.lost) await dropDatabase(connection, half, { disconnect: true }).catch(() => undefined);
    throw error;
  }
  await dropOutdated(connection, config, name);
}

/** A copy's history says where it comes from. */
async function markRows(config: Config, server: string, database: string): Promise<void> {
  await withNewDatabase(config, { server, database, purpose: 'template' }, async (own) => {
    const [found] = await own.query<{ there: boolean }>(
      `select pg_catalog.to_regclass(${literal(tableName(config.history))}) is not null as there`,
    );
    if (found?.there) await own.query(`update ${tableName(config.history)} set source = 'template'`);
  });
}

/** A template of a server, as `doctor` and `tenant pool status` show it. */
export interface TemplateFacts {
  name: string;
  /** ISO 8601. */
  madeAt: string;
  bytes: number;
}

/** The newest first. */
export async function listTemplates(connection: Connection, config: Config): Promise<TemplateFacts[]> {
  const rows = await connection.query<{ name: string; comment: string | null; bytes: string }>(
    `select datname::text as name, pg_catalog.shobj_description(oid, 'pg_database') as comment,
  (case when pg_catalog.pg_has_role(datdba, 'usage') then pg_catalog.pg_database_size(oid) else 0 end)::text as bytes
from pg_catalog.pg_database where pg_catalog.starts_with(datname::text, ${literal(templatePrefix(config))}) and datname::text <> ${literal(`${templatePrefix(config)}new`)}`,
  );
  return rows
    .map(({ name, comment, bytes }) => ({
      name,
      madeAt: MARK.exec(comment ?? '')?.[1] ?? '',
      bytes: Number(bytes),
    }))
    .toSorted((a, b) => (a.madeAt < b.madeAt ? 1 : -1));
}

async function dropOutdated(connection: Connection, config: Config, current: string): Promise<void> {
  const others = (await listTemplates(connection, config)).filter(({ name }) => name !== current);
  for (const { name } of others.slice(KEPT - 1)) {
    // One that is being cloned goes another time.
    await dropDatabase(connection, name).catch(() => undefined);
  }
}

/** What all new tenants get the same of, though it looks as if each should have its own; undefined when there is none. */
export function whatIsAlike({
  shared,
}: TenantSources): { message: string; remedy: string; names: string[] } | undefined {
  const found = volatileOnes([...shared.migrations, ...shared.seeds]);
  const [first] = found;
  if (!first) return undefined;
  const shown = found.slice(0, SHOWN).map(({ file, calls }) => `${file} (${calls.join(', ')})`);
  const more = found.length > SHOWN ? ` and ${found.length - SHOWN} more` : '';
  const except = found.map(({ migration }) => `'${migration.name}'`);
  return {
    message: `new tenants are copies, and have the same values of ${shown.join(', ')}${more}`,
    remedy: `Where each needs its own: templates: { except: [${except.join(', ')}] } in the configuration, or -- mpm:per-tenant as the first line of the file; where not: -- mpm:shared.`,
    names: found.map(({ file }) => file),
  };
}

/** So many are named in a line. */
const SHOWN = 5;
