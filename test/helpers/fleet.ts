import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { centralUp } from '../../src/central/schema/up.ts';
import type { Config } from '../../src/config/define.ts';
import { USUAL_NAMING } from '../../src/engine/source/name.ts';
import { writeOwner } from '../../src/tenants/folders/own-folder.ts';
import { configOf, type TestConfig } from './central.ts';
import type { TestDatabases } from './database.ts';
import { OPTIONS } from './options.ts';

export interface TestTenant {
  id: string;
  name: string;
  database: string;
}

/** A central database with companies, their databases, and a folder of migrations. */
export interface TestFleet {
  config: TestConfig;
  /** In the order of ids. */
  tenants: TestTenant[];
  /** Rows of the central database. */
  central<Row extends object = Record<string, unknown>>(text: string): Promise<Row[]>;
  /** Rows of a tenant's database. */
  of<Row extends object = Record<string, unknown>>(
    tenant: TestTenant | undefined,
    text: string,
  ): Promise<Row[]>;
  /** Names in a tenant's history, in order of application. */
  historyOf(tenant: TestTenant | undefined): Promise<string[]>;
  /** Writes files below the project's folder: `core/1_a.sql`, `tenants/<database>/2_b.sql`, with its manifest. */
  write(files: Record<string, string>): Promise<void>;
  /** Removes a file below the project's folder. */
  remove(file: string): Promise<void>;
}

export const CORE = {
  'core/1_meters.sql':
    '-- migrate:up\ncreate table meters (id int primary key);\n-- migrate:down\ndrop table meters;\n',
  'core/2_note.sql':
    '-- migrate:up\nalter table meters add note text;\n-- migrate:down\nalter table meters drop note;\n',
};

/** Makes a fleet for one test; its folder goes when the test ends, its databases with the file's others. */
export async function makeFleet(
  databases: TestDatabases,
  {
    count = 3,
    files = CORE,
    more = {},
  }: { count?: number; files?: Record<string, string>; more?: Partial<Config> } = {},
): Promise<TestFleet> {
  const root = await mkdtemp(join(tmpdir(), 'mpm-fleet-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const central = await databases.create('central');
  const folder = (name: string): string => join(root, name);
  const config = configOf(central.url, {
    root,
    migrations: {
      core: folder('core'),
      central: folder('central'),
      tenants: folder('tenants'),
      plugins: folder('plugins'),
      seeds: folder('seeds'),
      ...USUAL_NAMING,
    },
    pace: { ...OPTIONS.pace, retries: 10 },
    ...more,
  });
  await centralUp(config);
  const tenants: TestTenant[] = [];
  for (let id = 1; id <= count; id++) {
    const { name: database } = await databases.create(`c${id}`);
    tenants.push({ id: String(id), name: `company-${id}`, database });
  }
  const fleet: TestFleet = {
    config,
    tenants,
    central: (text) => databases.query(text, central.name),
    of: (tenant, text) => databases.query(text, tenant?.database),
    historyOf: async (tenant) => {
      const rows = await databases.query<{ name: string }>(
        "select name from mpm_migrate.history where state = 'applied' order by position",
        tenant?.database,
      );
      return rows.map(({ name }) => name);
    },
    write: async (written) => {
      for (const file of Object.keys(written)) {
        const owner = tenants.find(({ database }) => file.startsWith(`tenants/${database}/`));
        if (owner) writeOwner(join(root, 'tenants', owner.database), { ...owner, server: 'default' });
      }
      await writeFiles(root, written);
    },
    remove: (file) => rm(join(root, file)),
  };
  await fleet.write(files);
  await addTenants(fleet, tenants);
  return fleet;
}

/** Adds rows of companies; the databases need not exist. */
export async function addTenants(
  fleet: Pick<TestFleet, 'central'>,
  tenants: readonly TestTenant[],
): Promise<void> {
  if (tenants.length === 0) return;
  const values = tenants.map(({ id, name }) => `(${id}, '${name}')`);
  const links = tenants.map(({ id, database }) => `(${id}, '${database}')`);
  await fleet.central(`insert into companies (id, name) values ${values.join(', ')}`);
  await fleet.central(`insert into company_databases (company_id, database_name) values ${links.join(', ')}`);
  await fleet.central("select setval(pg_get_serial_sequence('companies', 'id'), max(id)) from companies");
}

async function writeFiles(root: string, files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const path = join(root, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
}
