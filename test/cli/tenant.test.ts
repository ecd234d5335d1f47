import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cli, type CliResult } from '../helpers/cli.ts';
import { testServer, withDatabases } from '../helpers/database.ts';

const databases = withDatabases();
let cwd: string;
let env: Record<string, string>;
let central: string;

beforeAll(async () => {
  central = `${databases.prefix}central`;
  cwd = await mkdtemp(path.join(tmpdir(), 'mpm-cli-tenant-'));
  await mkdir(path.join(cwd, 'migrations/core'), { recursive: true });
  await writeFile(path.join(cwd, 'migrations/core/1_meters.sql'), 'create table meters (id int);');
  env = { MPM_CENTRAL_URL: testServer(central) };
  databases.adopt(central);
});

afterAll(() => rm(cwd, { recursive: true, force: true }));

const run = (...args: string[]): Promise<CliResult> => cli(args, { cwd, env });
/** Durations and the test's own prefix are different each time. */
const plain = (text: string) =>
  text
    .replaceAll(databases.prefix, '')
    .replace(/\d+\.\ds/g, '0.0s')
    .replace(/(PostgreSQL|on) [\d.:]+[^\n]*/g, '$1 …');

test('a central database from nothing, and a tenant in it', async () => {
  const before = await run('central', 'status', '--exit-code');
  expect({ ...before, stdout: plain(before.stdout) }).toMatchObject({
    code: 4,
    stdout: '✖ central on …\n\nTry:  mpm-migrate central up\n',
    stderr: '',
  });
  const early = await run('tenant', 'list');
  expect(early).toMatchObject({ code: 1, stdout: '' });
  expect(early.stderr).toContain('mpm-migrate central up');

  const up = await run('central', 'up');
  expect({ ...up, stdout: plain(up.stdout) }).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      /^  0001_runs  0\.0s\n(?:  \d{4}_\w+  0\.0s\n)+✔ central  created, \d+ migrations applied  0\.0s\n$/,
    ) as unknown,
    stderr: '',
  });
  expect(await run('central', 'status', '--exit-code')).toMatchObject({ code: 0, stderr: '' });
  expect((await run('tenant', 'list')).stdout).toBe(
    'No tenants yet:   mpm-migrate tenant create "Acme Ltd"\n',
  );

  databases.adopt(`${databases.prefix}acme_ltd`);
  const name = `${databases.prefix}Acme Ltd`;
  const created = await run('tenant', 'create', name, '--label', 'tier=gold');
  expect({ ...created, stdout: plain(created.stdout) }).toMatchObject({
    code: 0,
    stdout: '✔ Acme Ltd is tenant 1, database acme_ltd  at 1_meters  from the template in 0.0s\n',
    stderr: '',
  });
  const list = await run('tenant', 'list', '--label', 'tier=gold');
  expect(plain(list.stdout).replace(/ +/g, ' ')).toBe(
    'ID NAME DATABASE SERVER STATUS LABELS\n 1 Acme Ltd acme_ltd default active tier=gold\n\n1 tenant\n',
  );
  const shown = JSON.parse((await run('tenant', 'show', '1', '--json')).stdout) as object;
  expect(shown).toMatchObject({
    tenant: { id: '1', name, status: 'active', labels: { tier: 'gold' } },
    database: { exists: true },
    history: { head: '1_meters', applied: 1, pending: [], ownFolder: false },
  });
  const again = await run('tenant', 'create', name);
  expect(again).toMatchObject({ code: 1, stdout: '' });
  expect(again.stderr).toContain('is already called');
});

test.each([
  [['tenant', 'create'], 'No name was given'],
  [['tenant', 'create', 'x', '--resume', '1'], "can't be combined"],
  [['tenant', 'create', 'x', '--label', 'gold'], '--label gold: not a label'],
  [['tenant', 'create', 'x', '--database', 'a'.repeat(64)], 'it has 64 bytes'],
  [['tenant', 'show', 'nobody'], 'Unknown tenant "nobody"'],
  [['tenant', 'create', '--resume', '99'], 'Unknown tenant "99"'],
])('%j is a usage error that says why', async (args, why) => {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(why);
});

test('a tenant whose database is gone is shown, with the remedy', async () => {
  await databases.query(
    `insert into companies (id, name) values (7, 'Gone'); insert into company_databases (company_id, database_name) values (7, '${databases.prefix}gone')`,
    central,
  );
  const { code, stdout } = await run('tenant', 'show', '7');
  expect(code).toBe(0);
  expect(stdout).toContain('does not exist on server "default"');
  expect(stdout).toContain("mend the tenant's row");
});

test('fleet 16: the life of a tenant, as it is typed', async () => {
  const name = `${databases.prefix}Life`;
  databases.adopt(`${databases.prefix}life`);
  expect(plain((await run('tenant', 'pool', 'fill', '--size', '1')).stdout)).toBe(
    '✔ 1 database ready on default  1 made, 0.0s\n',
  );
  const created = await run('tenant', 'create', name, '--json');
  const { tenant, source } = JSON.parse(created.stdout) as { tenant: { id: string }; source: string };
  expect(source).toBe('pool');
  const { id } = tenant;
  const said = async (...args: string[]) => plain((await run('tenant', ...args)).stdout);
  expect(await said('hold', id, '--reason', 'unpaid')).toBe('✔ Life is on hold: unpaid\n');
  expect(await said('release', id)).toBe('✔ Life is active again\n');
  expect(await said('label', id, 'tier=gold', 'beta-')).toBe('✔ Life has the labels tier=gold\n');
  expect(await run('tenant', 'label', id, 'gold')).toMatchObject({ code: 2, stdout: '' });
  const refused = await run('tenant', 'drop', id);
  expect(refused).toMatchObject({ code: 2, stdout: '' });
  expect(refused.stderr).toContain(`--confirm ${name}`);
  expect(await said('drop', id, '--confirm', name)).toBe('✔ Life was dropped, with the database life\n');
  const { findings } = JSON.parse((await run('doctor', '--json')).stdout) as { findings: unknown[] };
  expect(findings.length).toBeGreaterThan(4);
});
