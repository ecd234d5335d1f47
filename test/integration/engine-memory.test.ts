import { expect, test } from 'vitest';
import { withDatabases } from '../helpers/database.ts';
import { folderOf, startRunner, withFolders } from '../helpers/engine.ts';

const databases = withDatabases();
withFolders();

const OUTSIDE = '-- migrate:up transaction:false\n';
const MB = 2 ** 20;

/** The most memory that a process ever held that applied this (bytes). */
async function peakOf(sql: string): Promise<number> {
  const { url } = await databases.create();
  const folder = await folderOf({ '1_t.sql': 'create table t (id int, note text);', '2_m.sql': sql });
  const { output } = await (await startRunner(url, folder)).finished;
  const { error, outcome, peak } = JSON.parse(output) as { error?: string; outcome: string; peak: number };
  expect({ error, outcome }).toEqual({ outcome: 'migrated' });
  return peak;
}

test.each([
  ['in a transaction', ''],
  ['outside', OUTSIDE],
])(
  'engine 45: rows of a migration are dropped as they come: %s',
  async (_, marker) => {
    const rows = (count: number) => peakOf(`${marker}select generate_series(1, ${count});`);
    const few = await rows(300_000);
    expect((await rows(5_000_000)) - few).toBeLessThan(30 * MB);
  },
  120_000,
);

test('engine 45: and so are notices', async () => {
  const notices = (count: number) =>
    peakOf(`do $$ begin for i in 1..${count} loop raise notice 'number %', i; end loop; end $$;`);
  const few = await notices(100_000);
  expect((await notices(1_000_000)) - few).toBeLessThan(30 * MB);
}, 120_000);

test.each([
  ['in a transaction', ''],
  ['outside', OUTSIDE],
])(
  'engine 45: a big file costs few times its size: %s',
  async (_, marker) => {
    const row = "(1, 'some text that makes a row of about sixty characters')";
    const insert = `insert into t values ${Array.from({ length: 10_000 }, () => row).join(',\n')};\n`;
    const base = await peakOf(`${marker}insert into t values ${row};`);
    const file = marker + insert.repeat(40);
    expect((await peakOf(file)) - base).toBeLessThan(4 * file.length + 30 * MB);
  },
  180_000,
);

test('engine 45: a single value costs few times its size, because pg holds a row whole', async () => {
  const value = (size: number) => peakOf(`select repeat('x', ${size});`);
  const base = await value(1);
  expect((await value(60 * MB)) - base).toBeLessThan(3 * 60 * MB + 30 * MB);
}, 120_000);
