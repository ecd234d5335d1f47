import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openStatements } from '../../src/cli/exec.ts';
import { exec } from '../../src/fleet/verbs/exec.ts';
import { readSeeds } from '../../src/tenants/create/seeds.ts';
import { rowsAsNdjson } from '../../src/ui/views/rows.ts';
import type { Config } from '../../src/config/define.ts';
import { configOf } from '../helpers/central.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

test('a syntax error is sent to one tenant; what a server must decide goes to all', async () => {
  const { config } = await makeFleet(databases, { count: 4, files: {} });
  const wrong = await exec(config, { all: true }, 'select 1;\nselec 2');
  expect(wrong).toMatchObject({
    counts: { total: 4, failed: 1, skipped: 3 },
    failures: [
      { error: { code: 'EXEC_FAILED', database: { code: '42601' }, excerpt: { line: 2, column: 1 } } },
    ],
    skipped: [{ count: 3, reason: 'not sent: another server calls it a syntax error' }],
  });
  expect(await exec(config, { all: true }, 'select * from nowhere')).toMatchObject({ counts: { failed: 4 } });
  // Our parser is PostgreSQL 18's; up to 15 a server takes a comment between the parts of a string.
  const text = "select 'a' -- b\n'c' as v";
  const report = await exec(config, { all: true }, text);
  expect(report.counts.executed === 4 || report.counts.failed === 1).toBe(true);
});

test('fleet 44: values are in NDJSON as PostgreSQL writes them, and equal column names are told apart', async () => {
  const { config } = await makeFleet(databases, { count: 1, files: {} });
  const row = async (select: string): Promise<string> => {
    const { rows = [] } = await exec(config, { all: true }, `select ${select}`);
    const line = rowsAsNdjson().take(
      rows[0] ?? { tenant: { id: '', name: '', database: '', server: '' }, tables: [] },
    );
    expect(() => JSON.parse(line) as unknown).not.toThrow();
    expect(line.trimEnd()).not.toContain('\n');
    return line.slice(line.indexOf('"row":') + 6, -2);
  };
  const documents = [
    '12345678901234567890',
    '1e400',
    '{"a":1.0}',
    '{"b":1,  "a":-0.0, "a":2}',
    '"\\u00e9\\/"',
  ];
  for (const document of documents) {
    expect(await row(`'${document}'::json as v`)).toBe(`{"v":${document}}`);
  }
  expect(await row(`'12345678901234567890'::jsonb as v`)).toBe('{"v":12345678901234567890}');
  expect(await row(`'1e400'::jsonb as v`)).toBe(`{"v":1${'0'.repeat(400)}}`);
  expect(await row(`'{"a":1.0}'::jsonb as v`)).toBe('{"v":{"a": 1.0}}');
  expect(await row(`e'{\r\n"a":\n1}'::json as v`)).toBe('{"v":{  "a": 1}}');
  expect(await row(`'-0'::float8 as a, '-0'::float4 as b, 1e20::float8 as c, 'NaN'::float8 as d`)).toBe(
    '{"a":-0,"b":-0,"c":1e+20,"d":"NaN"}',
  );
  expect(await row(`9007199254740993 as a, 1.50 as b, null as c, true as d, e'x\n' as e`)).toBe(
    String.raw`{"a":"9007199254740993","b":"1.50","c":null,"d":true,"e":"x\n"}`,
  );
  expect(await row('1 as a, 2 as a, 3 as a_2, 4 as a, 5 as "1"')).toBe(
    '{"a":1,"a_3":2,"a_2":3,"a_4":4,"1":5}',
  );
});

const FOREIGN: [string, Buffer][] = [
  ['LATIN1', Buffer.from("select 'caf\xe9';", 'latin1')],
  ['UTF-16', Buffer.from("\ufeffselect 'a';", 'utf16le')],
  ['UTF-16LE', Buffer.from("select 'a';", 'utf16le')],
  ['UTF-16BE', Buffer.from("select 'a'; ", 'utf16le').swap16()],
];

test.each(FOREIGN)(
  'fleet 44: exec --file and seeds in %s are refused as migrations are',
  async (encoding, content) => {
    const folder = await mkdtemp(join(tmpdir(), 'mpm-test-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, 'a.sql');
    await writeFile(file, content);
    const hint = `Save it as UTF-8: iconv -f ${encoding} -t UTF-8 ${file} > new.sql`;
    await expect(openStatements({ file })).rejects.toMatchObject({
      code: 'USAGE',
      message: `--file ${file} is not UTF-8`,
      hint,
    });
    const seeds = configOf(testServer(), {
      migrations: { core: folder, seeds: folder } as Config['migrations'],
    });
    await expect(readSeeds(seeds, new Map())).rejects.toMatchObject({
      code: 'MIGRATION_INVALID',
      message: 'a.sql is not UTF-8',
      hint,
    });
  },
);

test('fleet 44: a seed in TypeScript that is not UTF-8 is refused; UTF-8 with a mark at its start is taken', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mpm-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'a.sql');
  await writeFile(file, '\ufeffselect 1');
  expect(await openStatements({ file })).toEqual({ sql: 'select 1', source: file });
  await writeFile(join(folder, 'b.ts'), Buffer.from("export const up = () => 'caf\xe9';", 'latin1'));
  const seeds = configOf(testServer(), {
    migrations: { core: folder, seeds: folder } as Config['migrations'],
  });
  await expect(readSeeds(seeds, new Map())).rejects.toMatchObject({ message: 'b.ts is not UTF-8' });
});
