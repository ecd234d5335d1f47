import { expect, test } from 'vitest';
import { withDatabases } from '../helpers/database.ts';
import {
  backendDoing,
  historyOf,
  migrations,
  OPTIONS,
  rowsIn,
  SELECT_FINGERPRINT,
  up,
  withFolders,
} from '../helpers/engine.ts';
import { startProxy } from '../helpers/proxy.ts';

const databases = withDatabases();
withFolders();

const OUTSIDE = '-- migrate:up transaction:false\n';
const TABLE = { '1_t.sql': 'create table t (id int, note text);' };

const idsOf = async (url: string) => {
  const rows = await rowsIn<{ id: number }>(url, 'select id from t order by id');
  return rows.map(({ id }) => id);
};

/** Migrations in and outside transactions in turn, each with inserts that a second run would repeat. */
function mixedFrom(number: number): Record<string, string> {
  const version = (index: number) => String(number * 10 + index).padStart(5, '0');
  const insert = (index: number) => `insert into t values (${number * 10 + index});`;
  return {
    [`${version(1)}_a.sql`]: `${OUTSIDE}create index concurrently a${number} on t (id);`,
    [`${version(2)}_b.sql`]: `${OUTSIDE}${insert(2)}\ndrop index concurrently a${number};\n${insert(3)}`,
    [`${version(4)}_c.sql`]: insert(4),
    [`${version(5)}_d.sql`]: insert(5),
    [`${version(6)}_e.sql`]: `${OUTSIDE}create index concurrently e${number} on t (id);\ndrop index concurrently e${number};`,
    [`${version(7)}_f.sql`]: insert(7),
  };
}

test('engine 40, 47: the wire cut at each round trip of what travels together, and resumed: each statement once', async () => {
  const { url } = await databases.create();
  await using proxy = await startProxy(url);
  let files: Record<string, string> = TABLE;
  const expected: number[] = [];
  await up(url, await migrations(files));
  let cut = true;
  let number = 0;
  while (cut) {
    number += 1;
    files = { ...files, ...mixedFrom(number) };
    for (const index of [2, 3, 4, 5, 7]) expected.push(number * 10 + index);
    const set = await migrations(files);
    cut = false;
    const before = proxy.counts.roundTrips;
    proxy.options = {
      onRoundTrip(trip) {
        if (trip - before !== number) return undefined;
        cut = true;
        return 'cut';
      },
    };
    await up(proxy.through(url), set);
    proxy.options = {};
    const pace = { ...OPTIONS.pace, lockWait: 60_000 };
    expect((await up(url, set, { force: true, pace })).error).toBeUndefined();
    expect(await idsOf(url)).toEqual(expected);
    expect(await historyOf(url)).toEqual(
      Object.keys(files)
        .toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
        .map((file) => `${file.replace('.sql', '')} applied`),
    );
    const [stamp] = await rowsIn(url, SELECT_FINGERPRINT);
    const [said] = await rowsIn<{ comment: string }>(
      url,
      "select shobj_description(oid, 'pg_database') as comment from pg_database where datname = current_database()",
    );
    expect(said?.comment).toBe(`[mpm-migrate:2:${stamp?.['count']}:${stamp?.['fingerprint']}]`);
  }
  expect(number).toBeGreaterThan(12);
  expect(await rowsIn(url, "select from pg_indexes where tablename = 't'")).toEqual([]);
}, 120_000);

test('engine 11, 47: an index that turns out to be invalid fails its own migration, and nothing behind it is applied', async () => {
  const { url } = await databases.create();
  const set = await migrations({
    ...TABLE,
    '2_i.sql': `${OUTSIDE}create index concurrently on t (note);`,
    '3_t.sql': 'insert into t values (3);',
  });
  await up(url, await migrations(TABLE));
  await rowsIn(url, 'insert into t values (1), (1)');
  await rowsIn(url, 'create unique index concurrently left_over on t (id)').catch(() => undefined);
  const result = await up(url, set);
  expect(result).toMatchObject({
    outcome: 'failed',
    to: '1_t',
    error: {
      migration: '2_i',
      message: 'index public.left_over is invalid: an earlier CREATE INDEX CONCURRENTLY failed',
      aftermath: 'it stopped at statement 1 of 1; earlier work was kept',
    },
  });
  expect(await historyOf(url)).toEqual(['1_t applied', '2_i failed']);
  expect(await idsOf(url)).toEqual([1, 1]);
});

test.each([
  ['cannot be read', 'insert into t values (3);\ninsert info t;', { line: 2, column: 8 }],
  ['fails', 'insert into t values (3);\ninsert into u values (4);', { line: 2, column: 13 }],
])(
  'engine 31, 47: what comes behind one outside a transaction and %s is named with its place',
  async (_, sql, excerpt) => {
    const { url } = await databases.create();
    const set = await migrations({
      ...TABLE,
      '2_i.sql': `${OUTSIDE}create index concurrently i on t (id);`,
      '3_t.sql': sql,
      '4_t.sql': 'insert into t values (5);',
    });
    const result = await up(url, set);
    expect(result).toMatchObject({
      outcome: 'failed',
      to: '2_i',
      applied: [{ name: '1_t' }, { name: '2_i' }],
      error: { migration: '3_t', excerpt },
    });
    expect(await historyOf(url)).toEqual(['1_t applied', '2_i applied']);
    expect(await idsOf(url)).toEqual([]);
  },
);

test('fleet 6, engine 47: told to stop, the one in work is recorded, and the next is not begun; what begins is told in order', async () => {
  const { url } = await databases.create();
  const set = await migrations({
    ...TABLE,
    '2_i.sql': `${OUTSIDE}create index concurrently i on t (id);`,
    '3_slow.sql': `${OUTSIDE}do $$ begin perform pg_sleep(1); commit; end $$;`,
    '4_t.sql': 'insert into t values (4);',
    '5_i.sql': `${OUTSIDE}create index concurrently j on t (id);`,
  });
  const stop = new AbortController();
  const told: string[] = [];
  const onMigration = ({ name }: { name: string }) => void told.push(name);
  const running = up(url, set, { signal: stop.signal, onMigration });
  await backendDoing(url, "wait_event = 'PgSleep'");
  expect(told).toEqual(['1_t', '2_i', '3_slow']);
  expect(await historyOf(url)).toEqual(['1_t applied', '2_i applied', '3_slow running']);
  stop.abort();
  expect(await running).toMatchObject({ to: '3_slow', error: { code: 'INTERRUPTED' } });
  expect(await historyOf(url)).toEqual(['1_t applied', '2_i applied', '3_slow applied']);
  expect((await up(url, set, { onMigration })).outcome).toBe('migrated');
  expect(told.slice(3)).toEqual(['4_t', '5_i']);
});

test('engine 60, 47: the lock is taken again for what comes behind in a transaction', async () => {
  const { url } = await databases.create();
  const set = await migrations({
    ...TABLE,
    '2_slow.sql': `${OUTSIDE}do $$ begin perform pg_sleep(1); commit; end $$;`,
    '3_t.sql': 'insert into t values (3); select pg_sleep(1);',
    '4_t.sql': 'insert into t values (4);',
    '5_i.sql': `${OUTSIDE}create index concurrently j on t (id);`,
  });
  const running = up(url, set);
  for (const at of ["query like 'do %'", "query like '%values (3)%'"]) {
    await backendDoing(url, `wait_event = 'PgSleep' and ${at}`);
    const pid = await backendDoing(url, "application_name like '%/lock' and state = 'idle in transaction'");
    await rowsIn(url, `select pg_terminate_backend(${pid})`);
  }
  expect(await running).toMatchObject({ outcome: 'migrated', to: '5_i' });
  expect(await idsOf(url)).toEqual([3, 4]);
});

test('engine 11, 47: an invalid index of another name is left alone, and one of the same name is made anew', async () => {
  const { url } = await databases.create();
  await up(url, await migrations(TABLE));
  await rowsIn(url, 'insert into t values (1), (1)');
  for (const name of ['left_over', 'i'])
    await rowsIn(url, `create unique index concurrently ${name} on t (id)`).catch(() => undefined);
  const set = await migrations({
    ...TABLE,
    '2_i.sql': `${OUTSIDE}create index concurrently i on t (note);\ninsert into t values (2);\ncreate index concurrently j on t (note);`,
    '3_k.sql': `${OUTSIDE}create index concurrently k on t (note);`,
    '4_t.sql': 'insert into t values (4);',
  });
  expect(await up(url, set)).toMatchObject({ outcome: 'migrated', to: '4_t' });
  expect(await idsOf(url)).toEqual([1, 1, 2, 4]);
  const indexes = await rowsIn<{ name: string; valid: boolean }>(
    url,
    "select indexrelid::regclass::text as name, indisvalid as valid from pg_index where indrelid = 't'::regclass order by 1",
  );
  expect(indexes.map(({ name, valid }) => `${name} ${valid}`)).toEqual([
    'i true',
    'j true',
    'k true',
    'left_over false',
  ]);
});
