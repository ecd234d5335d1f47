import { chmod, cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { withConnection } from '../../postgres/connect.ts';
import { type EmbeddedServer, startEmbedded } from '../../postgres/embedded/embedded.ts';

/** Where the demo plays: what it says and types, and who shows it, is the caller's. */
export interface DemoTerminal {
  /** The folder that holds the demo's migrations. */
  template: string;
  /** Keep the server and the folder when it is over. */
  keep: boolean;
  /** Ends the demo before its next step. */
  signal: AbortSignal;
  /** The heading of a step and a line or two about it. */
  tell(heading: string, text: string): void;
  /** Something to look at that no command printed: SQL, a file. */
  show(text: string): void;
  /** Types a command line of ours in a folder, shows what it prints, and gives what it printed on stdout. */
  type(folder: string, ...args: string[]): Promise<string>;
}

/** What is left running after `keep`. */
export interface Kept {
  folder: string;
  server: Pick<EmbeddedServer, 'host' | 'port' | 'dir'>;
  database: string;
}

const COMPANIES = [
  'Lumen Togo',
  'Kivu Grid',
  'Abuja Solar',
  'Sahel Énergie',
  'Mwanza Mini-Grid',
  'Nuru Comoros',
  'Rift Valley Light',
  'Kalahari Power',
] as const;

const ODD_ONE = 'Kivu Grid';
const BY_HAND = 'alter table meters add column status text;';
const MENDED = 'alter table meters rename column status to status_by_hand;';

const MIGRATION = `-- migrate:up
alter table meters
  add column status text not null default 'active'
  check (status in ('active', 'disconnected', 'stolen'));

create index meters_not_active on meters (status) where status <> 'active';

-- migrate:down
alter table meters drop column status;
`;

/** Plays the whole main job on a PostgreSQL of its own, and leaves nothing behind unless it is told to. */
export async function demo(stage: DemoTerminal): Promise<Kept | undefined> {
  const server = await startEmbedded();
  try {
    return await play(stage, server);
  } finally {
    await server.stop();
  }
}

async function play(stage: DemoTerminal, server: EmbeddedServer): Promise<Kept | undefined> {
  // Within the server's folder, so that whatever ends this process, one removal takes all.
  const folder = join(server.dir, 'mini-grid');
  const migrations = await writeDemoFiles(folder, stage.template, server);
  stage.tell(
    `PostgreSQL ${server.version}, started for this demo`,
    `A project with ${migrations} core migrations, and a server with nothing on it.`,
  );
  for (const step of [addCompanies, writeMigration, migrateAll, repairTenant]) {
    stage.signal.throwIfAborted();
    await step(stage, folder, server);
  }
  stage.signal.throwIfAborted();
  if (!stage.keep) return undefined;
  const database = await databaseOf(COMPANIES[0], server);
  server.release();
  return { folder, server, database };
}

/** Makes the project's folder; returns how many migrations it begins with. */
async function writeDemoFiles(folder: string, template: string, server: EmbeddedServer): Promise<number> {
  await cp(template, folder, { recursive: true });
  // A package's files may be read-only.
  await Promise.all(['.', 'migrations', 'migrations/core'].map((path) => chmod(join(folder, path), 0o755)));
  await mkdir(join(folder, 'migrations', 'central'), { recursive: true });
  const url = Object.assign(new URL(server.url), { pathname: '/micro_power_manager' });
  const configuration = `export default {\n  central: { url: '${url.href}' },\n};\n`;
  await writeFile(join(folder, 'mpm-migrate.config.ts'), configuration, { mode: 0o600 });
  // So that psql connects without a password on any command line.
  const password = decodeURIComponent(url.password);
  const entry = `${server.host}:${server.port}:*:postgres:${password}\n`;
  await writeFile(join(folder, '.pgpass'), entry, { mode: 0o600 });
  const files = await readdir(join(folder, 'migrations', 'core'));
  return files.filter((file) => !file.endsWith('.down.sql')).length;
}

async function addCompanies(stage: DemoTerminal, folder: string): Promise<void> {
  stage.tell('The central database', 'It lists the tenants, and records what each run did.');
  await stage.type(folder, 'central', 'up');
  stage.tell('Eight tenants', 'Each gets its own database, with all core migrations.');
  for (const name of COMPANIES) await stage.type(folder, 'tenant', 'create', name);
}

async function writeMigration(stage: DemoTerminal, folder: string): Promise<void> {
  stage.tell(
    'A change to the schema',
    'create makes the file and prints its path; what is in it, you write.',
  );
  const path = await stage.type(folder, 'create', 'add_meter_status', '--sql');
  await writeFile(resolve(folder, path.trim()), MIGRATION);
  stage.show(MIGRATION);
  stage.tell('Copied to every tenant', 'sync never overwrites what a tenant changed in its own folder.');
  await stage.type(folder, 'sync');
}

async function migrateAll(stage: DemoTerminal, folder: string, server: EmbeddedServer): Promise<void> {
  stage.tell('Applied to all of them', `But someone at ${ODD_ONE} already added this column by hand:`);
  await runByHand(stage, server, BY_HAND);
  await stage.type(folder, 'up', '--all');
  stage.tell('Status of all tenants', 'One failed and was rolled back. The others went on.');
  await stage.type(folder, 'status');
}

async function repairTenant(stage: DemoTerminal, folder: string, server: EmbeddedServer): Promise<void> {
  stage.tell(
    'Fixed and retried',
    'The column is renamed, and up --failed takes only the tenant that failed.',
  );
  await runByHand(stage, server, MENDED);
  await stage.type(folder, 'up', '--failed');
  stage.tell('All done', 'Nothing is left to do.');
  await stage.type(folder, 'status');
}

async function runByHand(stage: DemoTerminal, server: EmbeddedServer, sql: string): Promise<void> {
  const database = await databaseOf(ODD_ONE, server);
  stage.show(`${database}=# ${sql}`);
  const target = { url: server.url, database, applicationName: 'psql', connectTimeout: 5000 };
  await withConnection(target, (connection) => connection.raw(sql));
}

/** The database that `tenant create` named for a company. */
async function databaseOf(company: string, server: EmbeddedServer): Promise<string> {
  const word = `${company.split(' ')[0]?.toLowerCase() ?? ''}%`;
  const target = { url: server.url, applicationName: 'mpm-migrate/demo', connectTimeout: 5000 };
  const [row] = await withConnection(target, (connection) =>
    connection.prepared<{ datname: string }>('select datname from pg_database where datname like $1', [word]),
  );
  return row?.datname ?? company;
}
