import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { schemas } from '../../.build/schemas.ts';
import { cli } from '../helpers/cli.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();
const ajv = new Ajv({ allErrors: true });
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mpm-schemas-'));
  // Strict: what the commands say beyond their types would be undocumented.
  await schemas(join(import.meta.dirname, '../..'), folder, { strict: true });
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

async function validator(name: string): Promise<(document: unknown) => ValidateFunction['errors']> {
  const text = await readFile(join(folder, `${name}.schema.json`), 'utf8');
  const validate = ajv.compile(JSON.parse(text) as object);
  return (document) => (validate(document) ? null : validate.errors);
}

test('what commands print with --json, and write with --events and --report, is as the published schemas say', async () => {
  const files = {
    'core/1_meters.sql': 'create table meters (id int primary key);',
    'core/2_note.sql': 'alter table meters add note text;',
  };
  const fleet = await makeFleet(databases, { count: 3, files });
  const migrations = { core: 'core', tenants: 'tenants' };
  const content = { central: fleet.config.central, migrations };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(content) });
  const json = async (...args: string[]): Promise<unknown> => {
    const { stdout } = await cli([...args, '--json'], { cwd: fleet.config.root });
    return JSON.parse(stdout);
  };
  const [run, status, plan, exec, verify, gate, adopt, rehearse, linted, checked, event] = await Promise.all(
    [
      'run-report',
      'status-report',
      'plan-report',
      'exec-report',
      'verify-report',
      'gate-report',
      'adopt-report',
      'rehearse-report',
      'lint-report',
      'check-report',
      'run-event',
    ].map(validator),
  );
  await json('up', '--tenant', '1', '--to', '1');
  await fleet.of(fleet.tenants[0], 'alter table meters add note text');
  await fleet.central("update company_databases set status = 'hold', reason = 'audit' where company_id = 3");

  expect(plan?.(await json('plan', '--all', '--impact'))).toBeNull();
  const lint = await json('lint', '1', '2');
  expect(lint).toMatchObject({ counts: { linted: 2 } });
  expect(linted?.(lint)).toBeNull();
  expect(checked?.(await json('check'))).toBeNull();
  const rehearsed = await json('up', '--all', '--rehearse', '--lock-limit', '5s');
  expect(rehearsed).toMatchObject({ verb: 'rehearse', counts: { rehearsed: 1, failed: 1, skipped: 1 } });
  expect(rehearse?.(rehearsed)).toBeNull();
  expect(status?.(await json('status', '--all'))).toBeNull();
  const outputs = ['--report', 'json=report.json', '--events', 'events.ndjson'];
  const up = await json('up', '--all', ...outputs);
  expect(up).toMatchObject({ counts: { migrated: 1, failed: 1, skipped: 1 } });
  expect(run?.(up)).toBeNull();
  const written = await readFile(join(fleet.config.root, 'report.json'), 'utf8');
  expect(run?.(JSON.parse(written))).toBeNull();
  const events = await readFile(join(fleet.config.root, 'events.ndjson'), 'utf8');
  for (const [index, line] of events.trimEnd().split('\n').entries()) {
    const { schema, ...said } = JSON.parse(line) as { schema?: number };
    expect(schema).toBe(index === 0 ? 1 : undefined);
    expect(event?.(said)).toBeNull();
  }
  expect(status?.(await json('status', '--tenant', '2'))).toBeNull();
  await fleet.of(fleet.tenants[1], 'alter table meters drop note');
  expect(gate?.(await json('gate', '--at-least', '2'))).toBeNull();
  expect(verify?.(await json('verify', '--all'))).toBeNull();
  await fleet.of(fleet.tenants[1], 'alter table meters add note text');
  expect(status?.(await json('status', '--all'))).toBeNull();
  const list = ['--databases', `${databases.prefix}*`, '--also', 'empty'];
  expect(adopt?.(await json('tenant', 'adopt', ...list))).toBeNull();
  expect(run?.(await json('down', '--tenant', '2'))).toBeNull();
  expect(exec?.(await json('exec', '--all', '--sql', 'select id, note from meters'))).toBeNull();
});
