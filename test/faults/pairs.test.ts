import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { up as libraryUp } from '../../src/fleet/verbs/up.ts';
import { cli, type CliResult, type RunningCli, startCli } from '../helpers/cli.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { CORE, makeFleet, type TestFleet, type TestTenant } from '../helpers/fleet.ts';
import { holdHistoryLock } from '../helpers/history-lock.ts';

const databases = withDatabases();
const { prefix } = databases;

/** A role that the second migration alters: it stands still while somebody else has altered it. */
const gate = `${prefix}gate`;
beforeAll(() => databases.query(`create role ${gate}`));
afterAll(() => databases.query(`drop role ${gate}`));

interface Scene {
  fleet: TestFleet;
  mpm: (...args: string[]) => Promise<CliResult>;
  /** Beside which everything happens. */
  second: TestTenant;
}

async function scene(): Promise<Scene> {
  const files = {
    ...CORE,
    'core/2_note.sql': CORE['core/2_note.sql'].replace(
      'alter',
      `alter role ${gate} connection limit 5;\nalter`,
    ),
    'plugins/billing/3_bills.sql':
      '-- migrate:up\ncreate table bills ();\n-- migrate:down\ndrop table bills;\n',
  };
  const fleet = await makeFleet(databases, { count: 2, files });
  const { central, migrations } = fleet.config;
  const pace = { lockWait: '20s', lockTimeout: '1min' };
  const content = { central, migrations, pace, templates: false };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(content) });
  const mpm = (...args: string[]) => cli(args, { cwd: fleet.config.root });
  expect((await libraryUp(fleet.config, { all: true }, { to: '1' })).failures).toEqual([]);
  return { fleet, mpm, second: fleet.tenants[1]! };
}

/** `up` of both, one after the other; resolves once something of that kind has happened. */
async function startUp(
  { fleet }: Scene,
  happened: (event: { type: string }) => boolean,
): Promise<RunningCli> {
  const up = await startCli(['up', '--all', '--concurrency', '1', '--events', '-'], {
    cwd: fleet.config.root,
  });
  let seen = '';
  await new Promise<void>((resolve) => {
    up.child.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      const whole = seen.split('\n').slice(0, -1);
      if (whole.some((line) => happened(JSON.parse(line) as { type: string }))) resolve();
    });
    void up.result.then(() => resolve());
  });
  return up;
}

/** What `up` said of the second tenant. */
function outcomeOf({
  stdout,
}: CliResult): { outcome: string; reason?: string; tenant: TestTenant } | undefined {
  const events = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { type: string; result: ReturnType<typeof outcomeOf> });
  return events.findLast(({ type, result }) => type === 'tenant-finished' && result?.tenant.id === '2')
    ?.result;
}

/** Whatever has happened: stamps say what histories do, and the schema is what the history says. */
async function requireWhole({ mpm, fleet }: Scene): Promise<void> {
  const heads = async (...more: string[]) => {
    const { stdout } = await mpm('status', '--all', '--json', ...more);
    const { cohorts } = JSON.parse(stdout) as { cohorts: { head: string; count: number; pending: number }[] };
    return cohorts.map(({ head, count, pending }) => ({ head, count, pending }));
  };
  const [stamped, deep] = await Promise.all([heads(), heads('--deep')]);
  expect(stamped).toEqual(deep);
  const rows = await fleet.central<{ id: number; database: string }>(
    "select company_id as id, database_name as database from company_databases where status <> 'failed'",
  );
  for (const { id, database } of rows) {
    const tenant = { id: String(id), name: '', database };
    const history = await fleet.historyOf(tenant);
    const [made] = await fleet.of(
      tenant,
      "select to_regclass('bills') is not null as bills, (select count(*) = 2 from pg_attribute where attrelid = 'meters'::regclass and attnum > 0 and not attisdropped) as note",
    );
    expect(made).toEqual({ bills: history.includes('3_bills'), note: history.includes('2_note') });
  }
}

const MIGRATED = ['1_meters', '2_note'];
const at = (database: string): TestTenant => ({ id: '2', name: '', database });

interface Pair {
  beside: string;
  /** While `up` is at the first tenant. */
  act: (scene: Scene) => Promise<void>;
  /** What came of it, once `up` has ended. */
  after: (scene: Scene, said: ReturnType<typeof outcomeOf>) => Promise<void>;
}

const done = async (result: Promise<CliResult>): Promise<CliResult> => {
  const ended = await result;
  expect(ended).toMatchObject({ code: 0 });
  return ended;
};

const PAIRS: Pair[] = [
  {
    beside: 'hold',
    act: async ({ mpm }) => void (await done(mpm('tenant', 'hold', '2', '--reason', 'a copy'))),
    after: async ({ fleet, second }, said) => {
      expect(said).toMatchObject({ outcome: 'skipped', reason: 'on hold: a copy' });
      expect(await fleet.historyOf(second)).toEqual(['1_meters']);
    },
  },
  {
    beside: 'move',
    act: async ({ mpm, second }) => {
      await done(mpm('tenant', 'hold', '2', '--reason', 'moving'));
      const { name } = await databases.clone(second.database, 'moved');
      await done(mpm('tenant', 'move', '2', '--database', name));
      await done(mpm('tenant', 'release', '2'));
    },
    after: async ({ fleet, second }, said) => {
      expect(said).toMatchObject({ outcome: 'migrated' });
      const { database } = said?.tenant ?? {};
      expect(database).toMatch(/_moved$/);
      expect(await fleet.historyOf(at(database!))).toEqual(MIGRATED);
      await databases.query(`alter database "${second.database}" allow_connections true`);
      expect(await fleet.historyOf(second)).toEqual(['1_meters']);
    },
  },
  {
    beside: 'clone',
    act: async ({ mpm }) => {
      databases.adopt(`${prefix}copy`);
      await done(mpm('tenant', 'clone', '2', `${prefix}Copy`, '--database', `${prefix}copy`));
    },
    after: async ({ fleet, second, mpm }, said) => {
      expect(said).toMatchObject({ outcome: 'migrated' });
      expect(await fleet.historyOf(second)).toEqual(MIGRATED);
      // Whether the run meets whom it did not select is its own affair; the next one has no hole to fill.
      await done(mpm('up', '--all'));
      expect(await fleet.historyOf(at(`${prefix}copy`))).toEqual(MIGRATED);
    },
  },
  {
    beside: 'drop',
    act: async ({ mpm }) => void (await done(mpm('tenant', 'drop', '2', '--confirm', 'company-2'))),
    after: async ({ second }, said) => {
      expect(said).toMatchObject({ outcome: 'skipped', reason: 'dropped since the run started' });
      expect(await databases.query(`select from pg_database where datname = '${second.database}'`)).toEqual(
        [],
      );
    },
  },
  {
    beside: 'fresh',
    act: async ({ mpm, second, fleet }) => {
      await fleet.of(second, 'insert into meters values (7)');
      await done(mpm('fresh', '--tenant', '2', '--confirm', second.database));
    },
    after: async ({ fleet, second }, said) => {
      expect(said).toMatchObject({ outcome: 'current' });
      expect(await fleet.historyOf(second)).toEqual(MIGRATED);
      expect(await fleet.of(second, 'select from meters')).toEqual([]);
    },
  },
  {
    beside: 'rename',
    act: async ({ mpm }) => void (await done(mpm('tenant', 'rename', '2', `${prefix}Other`))),
    after: async ({ fleet, second }, said) => {
      expect(said).toMatchObject({ outcome: 'migrated' });
      expect(await fleet.historyOf(second)).toEqual(MIGRATED);
    },
  },
  {
    beside: 'plugin install',
    act: async ({ mpm }) => {
      await done(mpm('plugin', 'add', 'billing'));
      await done(mpm('plugin', 'install', 'billing', '--tenant', '2'));
    },
    after: async ({ fleet, second }, said) => {
      expect(said).toMatchObject({ outcome: 'current' });
      expect(await fleet.historyOf(second)).toEqual([...MIGRATED, '3_bills']);
    },
  },
];

interface Beside {
  beside: string;
  before?: (scene: Scene) => Promise<unknown>;
  args: (second: TestTenant) => string[];
  /** It waits until `up` is done with the migration. */
  waits?: boolean;
  code: number;
  after: (scene: Scene, said: ReturnType<typeof outcomeOf>) => Promise<void>;
}

/** It was refused, and `up` is none the wiser. */
const undisturbed: Beside['after'] = async ({ fleet, second, mpm }, said) => {
  expect(said).toMatchObject({ outcome: 'migrated' });
  expect(await fleet.historyOf(second)).toEqual(MIGRATED);
  const { stdout } = await mpm('tenant', 'list', '--json');
  expect((JSON.parse(stdout) as { tenants: unknown[] }).tenants).toMatchObject([
    { id: '1', status: 'active' },
    { id: '2', status: 'active', database: second.database },
  ]);
};

const IN_WORK: Beside[] = [
  {
    beside: 'hold',
    args: () => ['tenant', 'hold', '2', '--reason', 'a copy'],
    waits: true,
    code: 0,
    after: async ({ fleet, second }, said) => {
      expect(said).toMatchObject({ outcome: 'migrated' });
      expect(await fleet.historyOf(second)).toEqual(MIGRATED);
    },
  },
  {
    beside: 'hold that does not wait',
    args: () => ['tenant', 'hold', '2', '--reason', 'a copy', '--lock-wait', '0s'],
    code: 5,
    after: async ({ fleet, second, mpm }, said) => {
      expect(said).toMatchObject({ outcome: 'migrated' });
      expect(await fleet.historyOf(second)).toEqual(MIGRATED);
      await done(mpm('tenant', 'hold', '2', '--reason', 'a copy'));
    },
  },
  {
    beside: 'move',
    before: ({ second }) => databases.clone(second.database, 'elsewhere'),
    args: ({ database }) => ['tenant', 'move', '2', '--database', database.replace(/\d+_c2$/, 'no')],
    code: 1,
    after: undisturbed,
  },
  {
    beside: 'clone',
    args: () => ['tenant', 'clone', '2', `${prefix}Copy`, '--database', `${prefix}not_copied`],
    code: 5,
    after: undisturbed,
  },
  {
    beside: 'drop',
    args: () => ['tenant', 'drop', '2', '--confirm', 'company-2'],
    code: 5,
    after: undisturbed,
  },
  {
    beside: 'drop that disconnects it',
    args: () => ['tenant', 'drop', '2', '--confirm', 'company-2', '--disconnect'],
    code: 0,
    after: async ({ second }, said) => {
      expect(said).toMatchObject({ outcome: 'skipped', reason: 'dropped since the run started' });
      expect(await databases.query(`select from pg_database where datname = '${second.database}'`)).toEqual(
        [],
      );
    },
  },
  {
    beside: 'fresh',
    args: ({ database }) => ['fresh', '--tenant', '2', '--confirm', database],
    code: 5,
    after: undisturbed,
  },
  {
    beside: 'rename',
    args: () => ['tenant', 'rename', '2', `${prefix}Other`],
    code: 0,
    after: undisturbed,
  },
  {
    beside: 'plugin install',
    before: ({ mpm }) => done(mpm('plugin', 'add', 'billing')),
    args: () => ['plugin', 'install', 'billing', '--tenant', '2'],
    waits: true,
    code: 0,
    after: async ({ fleet, second }, said) => {
      expect(said).toMatchObject({ outcome: 'migrated' });
      expect(await fleet.historyOf(second)).toEqual([...MIGRATED, '3_bills']);
    },
  },
];

describe('fleet 34: up and another process', () => {
  test.each(PAIRS)('beside $beside, which comes between two tenants', async ({ act, after }) => {
    const stage = await scene();
    const lock = await holdHistoryLock(testServer(stage.fleet.tenants[0]?.database));
    const up = await startUp(stage, ({ type }) => type === 'tenant-waiting');
    try {
      await act(stage);
    } finally {
      await lock.letGo();
    }
    const ended = await done(up.result);
    await after(stage, outcomeOf(ended));
    expect(await stage.fleet.historyOf(stage.fleet.tenants[0])).toEqual(MIGRATED);
    await requireWhole(stage);
  });

  test.each(IN_WORK)(
    'beside $beside, while it is at work there',
    async ({ before, args, waits, code, after }) => {
      const stage = await scene();
      const { fleet, mpm, second } = stage;
      await before?.(stage);
      const holder = new pg.Client({
        connectionString: testServer('postgres'),
        application_name: 'test-helper',
      });
      await holder.connect();
      await holder.query(`begin; alter role ${gate} connection limit 4`);
      let result: Promise<CliResult>;
      const up = await startCli(['up', '--tenant', '2', '--events', '-'], { cwd: fleet.config.root });
      try {
        const there = `datname = '${second.database}' and application_name like 'mpm-migrate/%'`;
        await databases.waitFor(`${there} and wait_event_type = 'Lock'`);
        result = mpm(...args(second));
        if (waits)
          await databases.waitFor(`${there} and (select count(*) from pg_stat_activity where ${there}) > 1`);
        else await result;
      } finally {
        await holder.query('rollback');
        await holder.end();
      }
      expect(await result).toMatchObject({ code });
      const ended = await up.result;
      await after(stage, outcomeOf(ended));
      await requireWhole(stage);
    },
  );
});
