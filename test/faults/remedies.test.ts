import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { withDatabases } from '../helpers/database.ts';
import { CORE, makeFleet, type TestFleet, type TestTenant } from '../helpers/fleet.ts';
import { commandsIn } from '../helpers/remedies.ts';
import { up } from '../../src/fleet/verbs/up.ts';

const databases = withDatabases();
const BIN = join(import.meta.dirname, '../../bin/run.js');
const CACHE = join(import.meta.dirname, '../../node_modules/.cache');

interface Scene {
  fleet: TestFleet;
  first: TestTenant;
  /** Types a line as it is printed, in a shell. */
  type: (line: string) => Promise<{ code: number; said: string }>;
}

async function scene(files: Record<string, string> = CORE): Promise<Scene> {
  const fleet = await makeFleet(databases, { count: 2, files, more: { templates: false } });
  const { central, migrations, root } = fleet.config;
  const content = { central, migrations, pace: { lockWait: '5s', retries: 0 }, templates: false };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(content) });
  const home = await mkdtemp(join(tmpdir(), 'mpm-typed-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const env = { PATH: process.env['PATH'], HOME: home, XDG_CACHE_HOME: CACHE };
  const type: Scene['type'] = (line) =>
    new Promise((resolve) => {
      const shell = `mpm_migrate() { "${process.execPath}" "${BIN}" "$@"; }; ${line.replace('mpm-migrate', 'mpm_migrate')}`;
      execFile('sh', ['-c', shell], { cwd: root, env, timeout: 20_000 }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code ?? -1) : 0, said: `${stdout}${stderr}` }),
      );
    });
  return { fleet, first: fleet.tenants[0]!, type };
}

type Act = (scene: Scene) => Promise<unknown>;

/** A command that is printed, and what comes of typing it. */
interface Way {
  line: string;
  /** What the user does first, as the text says. */
  mend?: Act;
  /** What stands for a name in it. */
  name?: string;
  /** What the command that had failed ends with afterwards; by default 0. */
  again?: number;
}

interface Fault {
  what: string;
  files?: Record<string, string>;
  /** Up to which migration both tenants are; by default none was applied. */
  at?: string;
  make?: Act;
  typed: string;
  code: number;
  /** All that it prints, in order. */
  ways: Way[];
}

const HALF = {
  ...CORE,
  'core/3_half.sql':
    '-- migrate:up transaction:false\ncreate index concurrently i on meters (id);\ncreate index concurrently j on nowhere (id);',
};
const inFirst =
  (sql: string): Act =>
  ({ fleet, first }) =>
    fleet.of(first, sql);
const makeNowhere = inFirst('create table nowhere (id int)');

const FAULTS: Fault[] = [
  {
    what: 'a central database without its schema',
    make: ({ fleet }) => fleet.central('drop schema mpm_migrate cascade'),
    typed: 'status --all',
    code: 1,
    ways: [{ line: 'central up' }],
  },
  {
    what: 'a failed migration',
    at: '1',
    make: inFirst('alter table meters add note text'),
    typed: 'up --all',
    code: 3,
    ways: [
      { line: 'status --tenant 1', again: 3 },
      { line: 'up --failed=2', mend: inFirst('alter table meters drop note') },
    ],
  },
  {
    what: 'an unknown tenant',
    typed: 'up --tenant nobody',
    code: 2,
    ways: [{ line: 'tenant list', again: 2 }],
  },
  {
    what: 'objects without a history',
    make: inFirst('create table meters (id int primary key)'),
    typed: 'up --tenant 1',
    code: 3,
    ways: [
      { line: 'baseline --tenant 1 --to NAME --write', name: '1_meters' },
      {
        line: 'baseline --tenant 1 --to 0 --write',
        mend: inFirst('drop table meters; create table other ()'),
      },
      {
        line: 'baseline --tenant 1 --from knex',
        mend: inFirst(
          "create table knex_migrations (id serial, name varchar(255), batch int, migration_time timestamptz); insert into knex_migrations (name, batch) values ('1_meters.sql', 1)",
        ),
        again: 3,
      },
      { line: 'baseline --help', again: 3 },
    ],
  },
  {
    what: 'a history that holds less than its stamp says',
    at: '2',
    make: inFirst("delete from mpm_migrate.history where name = '2_note'"),
    typed: 'up --tenant 1',
    code: 3,
    ways: [
      { line: 'repair --tenant 1 --stamp --write', mend: inFirst('alter table meters drop note') },
      { line: 'baseline --tenant 1 --to NAME --write', name: '2_note' },
    ],
  },
  {
    what: 'a changed file',
    at: '2',
    make: ({ fleet }) => fleet.write({ 'core/1_meters.sql': 'create table meters (id int);' }),
    typed: 'up --tenant 1',
    code: 3,
    ways: [{ line: 'repair 1_meters --tenant 1 --checksums --write' }],
  },
  {
    what: 'a file that is gone',
    at: '2',
    make: ({ fleet }) => rm(join(fleet.config.root, 'core/1_meters.sql')),
    typed: 'up --tenant 1',
    code: 3,
    ways: [{ line: 'repair 1_meters --tenant 1 --missing --write' }],
  },
  {
    what: 'a file out of order',
    at: '2',
    make: ({ fleet }) => fleet.write({ 'core/0_early.sql': 'create table early ();' }),
    typed: 'up --tenant 1',
    code: 3,
    ways: [{ line: 'up --tenant 1 --out-of-order' }],
  },
  {
    what: 'one that stopped half-way',
    files: HALF,
    at: '2',
    typed: 'up --tenant 1',
    code: 3,
    ways: [{ line: 'resolve 3_half --tenant 1 --retry', mend: makeNowhere }],
  },
  {
    what: 'one that was left half-done',
    files: HALF,
    at: '2',
    make: ({ type }) => type('mpm-migrate up --tenant 1'),
    typed: 'up --tenant 1',
    code: 3,
    ways: [
      { line: 'up --tenant 1 --force', mend: makeNowhere },
      { line: 'resolve 3_half --tenant 1 --retry', mend: makeNowhere },
      { line: 'resolve 3_half --tenant 1 --applied' },
      {
        line: 'resolve 3_half --tenant 1 --rolled-back',
        mend: inFirst('drop index i; create table nowhere (id int)'),
      },
    ],
  },
  {
    what: 'nothing that is half-done',
    at: '1',
    typed: 'resolve 1_meters --tenant 1 --retry',
    code: 2,
    ways: [{ line: 'status --tenant 1', again: 2 }],
  },
  {
    what: 'a plugin that was not added',
    files: { ...CORE, 'plugins/billing/3_bills.sql': 'create table bills ();' },
    typed: 'plugin install billing --tenant 1',
    code: 2,
    ways: [{ line: 'plugin add billing' }, { line: 'plugin list', again: 2 }],
  },
  {
    what: 'a creation that is done',
    typed: 'tenant create --resume 1',
    code: 3,
    ways: [{ line: 'up --tenant 1', again: 3 }],
  },
  {
    what: 'a creation that did not end',
    make: async ({ fleet, first }) => {
      databases.adopt(`${databases.prefix}copy`);
      await databases.query(`drop database "${first.database}"`);
      await fleet.central("update company_databases set status = 'failed' where company_id = 1");
    },
    typed: `tenant clone 1 ${databases.prefix}copy`,
    code: 3,
    ways: [{ line: 'tenant create --resume 1' }],
  },
  {
    what: 'a database that is gone',
    make: ({ first }) => databases.query(`drop database "${first.database}"`),
    typed: 'up --tenant 1',
    code: 3,
    ways: [
      { line: 'tenant show 1', again: 3 },
      { line: 'up --failed=1', mend: ({ first }) => databases.query(`create database "${first.database}"`) },
    ],
  },
  {
    what: 'a move without a copy',
    typed: 'tenant move 1 --database nowhere',
    code: 1,
    ways: [{ line: 'tenant hold 1 --reason moving', again: 1 }],
  },
  {
    what: 'a fresh one of a tenant on hold',
    make: ({ type }) => type('mpm-migrate tenant hold 1 --reason x'),
    typed: 'fresh --tenant 1 --confirm x',
    code: 3,
    ways: [{ line: 'tenant release 1', again: 2 }],
  },
  {
    what: 'an unknown run',
    at: '1',
    typed: 'run show 99',
    code: 2,
    ways: [{ line: 'run list', again: 2 }],
  },
  {
    what: 'a missing argument',
    typed: 'create',
    code: 2,
    ways: [{ line: 'create --help', again: 2 }],
  },
];

const CASES = FAULTS.flatMap((fault) => fault.ways.map((way) => ({ ...fault, way, line: way.line })));
/** `this version of mpm-migrate needs`: no command. */
const isProse = (line: string) => line === 'needs';

describe('engine 46: what is printed works when it is typed', () => {
  test.each(CASES)('$what: $line', async ({ files, at, make, typed, code, ways, way }) => {
    const stage = await scene(files);
    if (at !== undefined) await up(stage.fleet.config, { all: true }, { to: at });
    await make?.(stage);
    const before = await stage.type(`mpm-migrate ${typed}`);
    expect(before).toMatchObject({ code });
    const printed = (await commandsIn(before.said)).map((words) => words.join(' '));
    expect(printed.filter((each) => !isProse(each))).toEqual(ways.map(({ line }) => line));
    await way.mend?.(stage);
    const line = way.line.replace('NAME', way.name ?? '');
    expect(await stage.type(`mpm-migrate ${line}`)).toMatchObject({ code: 0 });
    expect(await stage.type(`mpm-migrate ${typed}`)).toMatchObject({ code: way.again ?? 0 });
  });
});
