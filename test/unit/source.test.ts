import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Kysely } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseDuration } from '../../src/pace.ts';
import { MpmError } from '../../src/errors.ts';
import { checksumOf, checksumOfSections } from '../../src/engine/source/checksum.ts';
import { USUAL_NAMING } from '../../src/engine/source/name.ts';
import { readTenantSources } from '../../src/tenants/create/tenant-sources.ts';
import { configOf } from '../helpers/central.ts';
import { readMigrations } from '../../src/engine/source/source.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mpm-source-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(files: Record<string, string | Uint8Array>): void {
  for (const [file, content] of Object.entries(files)) writeFileSync(join(folder, file), content);
}

async function refused(): Promise<MpmError> {
  const error: unknown = await readMigrations(folder, 'core').catch((thrown: unknown) => thrown);
  if (!(error instanceof MpmError)) throw new Error('it was read');
  return error;
}

describe('a folder', () => {
  test('holds migrations in the order of their numbers, whatever else lies there', async () => {
    mkdirSync(join(folder, 'helpers'));
    write({
      '10_c.sql': 'select 1;',
      '9_b.up.sql': 'select 1;',
      '9_b.down.sql': 'select 2;',
      '0001_a.ts': 'export async function up() {}\nexport const down = async () => {};\n',
      '2_z.mjs': 'export async function up() {}\n',
      '3_y.cjs': 'exports.up = async () => {};\n',
      '4_x.js': 'export default { async up() {}, async down() {} };\n',
      'README.md': '# x',
      '.5_hidden.sql': 'select 1;',
      'types.d.ts': 'export {};',
      '10_c.sql.orig': 'x',
      'notes.txt': 'x',
      'helpers/tool.ts': 'export const a = 1;',
    });
    symlinkSync(join(folder, '10_c.sql'), join(folder, '11_link.sql'));
    const { migrations } = await readMigrations(folder, 'core');
    expect(migrations.map(({ name, down }) => [name, Boolean(down)])).toEqual([
      ['0001_a', true],
      ['2_z', false],
      ['3_y', false],
      ['4_x', true],
      ['9_b', true],
      ['10_c', false],
      ['11_link', false],
    ]);
    expect(migrations[4]).toMatchObject({ version: '9', source: 'core', path: join(folder, '9_b.up.sql') });
  });

  test('fleet 47: a link to nowhere, and a folder that is called like a migration, are named', async () => {
    write({ '1_a.sql': 'select 1;' });
    mkdirSync(join(folder, '4_d.sql'));
    symlinkSync('/nowhere/2_b.sql', join(folder, '2_b.sql'));
    symlinkSync('3_c.sql', join(folder, '3_c.sql'));
    const error = await readMigrations(folder, 'core').catch((thrown: unknown) => thrown);
    expect(String(error)).toContain('2_b.sql is a broken link');
    expect(String(error)).toContain('3_c.sql is a broken link');
    expect(String(error)).toContain('4_d.sql is a folder, not a file');
  });

  test('fleet 47: a link that leads to itself is named where a tenant is made as well', async () => {
    write({ '1_a.sql': 'select 1;' });
    symlinkSync('2_b.sql', join(folder, '2_b.sql'));
    const config = configOf('postgres://localhost/central');
    config.migrations.core = folder;
    await expect(readTenantSources(config, { recall: true })).rejects.toMatchObject({
      code: 'MIGRATION_INVALID',
      message: '2_b.sql is a broken link',
    });
  });

  test('that is missing names the remedy', async () => {
    const error = await readMigrations(join(folder, 'nope'), 'core').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'FOLDER_MISSING',
      hint: expect.stringMatching(/mpm-migrate init.*create/),
    });
  });

  test('with problems names all of them at once', async () => {
    write({
      '1_a.sql': 'select 1; commit;',
      '01_b.ts': 'export const up = async () => {};',
      '2_c.down.sql': 'select 1;',
      '3_d.sql': 'select 1;',
      '3_d.down.sql': 'select 1;',
      'noprefix.sql': 'select 1;',
      '4_e.SQL': 'select 1;',
      '5_f.sql': Buffer.from("select 'caf\xe9';", 'latin1'),
      '6_g.ts': 'export async function up() {\n  const x = ;\n}\n',
      '7_h.ts': 'export const down = 1;',
    });
    const { code, message } = await refused();
    expect(code).toBe('MIGRATION_INVALID');
    for (const said of [
      '1_a.sql:1:11: commit',
      '1_a.sql and 01_b.ts have the same version, 1',
      '2_c.down.sql has no 2_c.up.sql',
      'rename 3_d.sql to 3_d.up.sql',
      'noprefix.sql has no number, and other files here have one',
      'rename it to 4_e.sql',
      '5_f.sql is not UTF-8',
      '6_g.ts:2:13: Unexpected token',
      '7_h.ts: exports no function up',
    ]) {
      expect(message).toContain(said);
    }
  });

  test('histories 13: with 98 problems has them all, and shows the first screen of each kind', async () => {
    const broken = Array.from({ length: 90 }, (_, index) => [`${index + 1}_a.sql`, 'select 1;\ncommit;\n']);
    const others = ['x', 'y', 'z'].map((name) => [`${name}.sql`, 'select 1;']);
    const moreSql = Array.from({ length: 5 }, (_, index) => [`${index + 200}_b.sql`, '\\i y']);
    write(Object.fromEntries([...broken, ...others, ...moreSql]));
    const { code, message, problems = [], hint } = await refused();
    expect(code).toBe('MIGRATION_INVALID');
    expect(problems).toHaveLength(98);
    expect(problems.filter(({ file }) => file === join(folder, '42_a.sql'))).toEqual([
      {
        code: 'MIGRATION_INVALID',
        file: join(folder, '42_a.sql'),
        line: 2,
        column: 1,
        message: 'commit would end or start a transaction in the middle of the migration',
        hint: expect.stringContaining('remove it'),
      },
    ]);
    const lines = message.split('\n');
    expect(lines[0]).toBe(`98 problems in ${folder}`);
    expect(lines.length).toBeLessThanOrEqual(25);
    expect(lines.at(-1)).toMatch(/^  \d+ of 98 are shown; for all, add --json$/);
    expect(message).toMatch(
      / {2}\d+_a.sql:2:1: commit .*\n {4}→ remove it.*\n {4}… and \d+ more like this\n/,
    );
    for (const said of [
      'x.sql has no number, and other files here have one',
      '200_b.sql:1:1: a psql command: \\i y',
    ])
      expect(message).toContain(said);
    expect(hint).toBe('Fix them all. No database was touched.');
  });

  test('histories 13: with a file of 30,000 mistakes shows those of the others as well', async () => {
    write({ '1_a.sql': 'commit;'.repeat(30_000), '2_b.sql': 'commit;', '3_c.sql': 'rollback;commit;' });
    const { message, problems = [] } = await refused();
    expect(problems).toHaveLength(1003);
    expect(problems[999]?.message).toMatch(/^commit .* \(and 29000 more in this file\)$/);
    expect(message.split('\n').slice(1, 5)).toEqual([
      expect.stringMatching(/^ {2}1_a.sql:1:1: /),
      expect.stringMatching(/^ {2}2_b.sql:1:1: /),
      expect.stringMatching(/^ {2}3_c.sql:1:1: /),
      expect.stringMatching(/^ {2}1_a.sql:1:8: /),
    ]);
  });

  test('histories 13: with one problem has it as a list as well', async () => {
    write({ '1_a.sql': 'select 1;\n commit;' });
    const { message, problems, hint } = await refused();
    expect(message).toMatch(/^1_a.sql:2:2: commit/);
    const [problem, ...none] = problems ?? [];
    expect(none).toEqual([]);
    expect(problem).toMatchObject({ file: join(folder, '1_a.sql'), line: 2, column: 2, hint });
  });

  test.each([
    ['UTF-16', Buffer.from('\ufeffselect 1;', 'utf16le')],
    ['UTF-16LE', Buffer.from('select 1;', 'utf16le')],
    ['UTF-16BE', Buffer.from('select 1; ', 'utf16le').swap16()],
    ['LATIN1', Buffer.from("select 'caf\xe9';", 'latin1')],
  ])('engine 46: a file in %s is told how to become UTF-8', async (encoding, content) => {
    write({ '1_a.sql': content });
    const { message, hint } = await refused();
    expect(message).toContain('1_a.sql is not UTF-8');
    expect(hint).toMatch(new RegExp(`iconv -f ${encoding} -t UTF-8 /\\S+/1_a.sql > new.sql$`));
  });

  test('engine 41, 57 and histories 5: what makes a file run outside a transaction changes its checksum only as an option of ours', async () => {
    write({
      '1_a.sql': 'vacuum;',
      '2_b.sql': '-- no-transaction\nvacuum;',
      '3_c.sql': '-- atlas:txmode none\n\nvacuum;',
      '4_d.sql': '-- migrate:up transaction:false\nvacuum;',
    });
    const { migrations } = await readMigrations(folder, 'core');
    expect(migrations.map(({ up }) => up.options.transaction)).toEqual([false, false, false, false]);
    const [first, ...others] = migrations.map(({ checksum }) => checksum);
    expect(others).toEqual([first, first, expect.not.stringContaining(first ?? '')]);
  });

  test.each([
    '1_a.up.sql',
    '1_a/migration.sql',
    '1_a/up.sql',
    '1_a/down.sql',
    '1_a.down.sql',
    '2/01_a.up.sql',
    'V1__a.sql',
    'V1_2__a.sql',
  ])('histories 2 and 5: so is %s, whatever tool wrote it', async (file) => {
    for (const content of [
      Buffer.from('\ufeff-- +goose Up\n', 'utf16le'),
      Buffer.from("select 'caf\xe9';", 'latin1'),
    ]) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      write({ [file.replace('down', 'up')]: 'select 1;', [file]: content });
      const { message, hint } = await refused();
      expect(message).toContain(`${file} is not UTF-8`);
      expect(hint).toMatch(/^Save it as UTF-8: iconv -f (?:UTF-16|LATIN1) /);
    }
  });

  test('with the same name twice names both files', async () => {
    write({ '1_a.sql': '', '1_a.ts': 'export const up = async () => {};' });
    expect((await refused()).message).toBe('1_a.sql and 1_a.ts have the same name');
  });
});

describe('modules', () => {
  test('import the Kysely that runs, whatever lies around them', async () => {
    write({
      '1_a.ts': `import { Kysely, sql } from 'kysely';\nexport async function up(db: Kysely<unknown>): Promise<unknown> { return [db, Kysely, typeof sql]; }\n`,
      '2_b.cjs': `const { Kysely, sql } = require('kysely');\nexports.up = async (db) => [db, Kysely, typeof sql];\n`,
    });
    const { migrations } = await readMigrations(folder, 'core');
    const db = {} as Kysely<unknown>;
    for (const { up } of migrations) {
      expect(up.kind === 'module' && (await up.run(db))).toEqual([db, Kysely, 'function']);
    }
  });

  test('engine 22: a syntax error has file, line, column and lines', async () => {
    write({ '1_a.ts': `export async function up(): Promise<void> {\n  const é = '🚀' +;\n}\n` });
    const error = await refused();
    expect(error).toMatchObject({
      code: 'MIGRATION_INVALID',
      migration: '1_a',
      excerpt: { line: 2, column: 18 },
    });
    expect(error.excerpt?.lines.map((line) => line.number)).toEqual([1, 2, 3]);
  });

  test('what fails while it is imported says where, and what is missing', async () => {
    write({
      '1_a.ts': `interface A {\n  a: string;\n}\nthrow new Error('broken ' + (1 as number));\nexport const up = () => {};`,
    });
    expect(await refused()).toMatchObject({ message: '1_a.ts:4:1: broken 1', excerpt: { line: 4 } });
    write({ '1_a.ts': `import x from 'no-such-package';\nexport const up = () => x;` });
    expect((await refused()).hint).toContain('Install no-such-package');
  });

  test('config is checked', async () => {
    write({
      '1_a.ts': `export const up = () => {};\nexport const config = { transaction: false, lockTimeout: '5s', statementTimeout: 10 };`,
    });
    const { migrations } = await readMigrations(folder, 'core');
    expect(migrations[0]?.up.options).toEqual({
      transaction: false,
      lockTimeout: 5000,
      statementTimeout: 10,
    });
    for (const config of ['{ transactional: false }', `{ transaction: 'no' }`, `{ lockTimeout: 'x' }`, '1']) {
      write({ '1_a.ts': `export const up = () => {};\nexport const config = ${config};` });
      expect((await refused()).message).toMatch(/^1_a\.ts: (its )?config/);
    }
  });

  test('an edited file is read anew', async () => {
    write({ '1_a.ts': 'export const up = async () => 1;' });
    await readMigrations(folder, 'core');
    write({ '1_a.ts': 'export const up = async () => 2;' });
    const { up } = (await readMigrations(folder, 'core')).migrations[0] ?? {};
    expect(up?.kind === 'module' && (await up.run({} as Kysely<unknown>))).toBe(2);
  });
});

test('engine 20: the checksum does not see BOM and line ends, and sees everything else', () => {
  const sum = (text: string) => checksumOf(Buffer.from(text));
  expect(sum('\ufeffselect 1;\r\nselect 2;\r')).toBe(sum('select 1;\nselect 2;\n'));
  expect(sum('é\r\n🚀')).toBe(sum('é\n🚀'));
  expect(sum('select 1; \n')).not.toBe(sum('select 1;\n'));
  expect(sum('')).toBe('v1:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

describe('engine 56: checksums by section', () => {
  const UP = 'create table t (\n  id int\n);';
  const sumsOf = async (files: Record<string, string>) => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    write(files);
    const [migration] = (await readMigrations(folder, 'core')).migrations;
    const [version, up, down] = migration?.checksum.split(':') ?? [];
    return { version, up, down, file: migration?.fileChecksum };
  };

  test('a down section, its marker and the space and comments around it change no up', async () => {
    const plain = await sumsOf({ '1_a.sql': UP });
    expect(plain).toMatchObject({ version: 'v2', down: undefined, file: checksumOf(Buffer.from(UP)) });
    for (const text of [
      `-- migrate:up\n${UP}\n-- migrate:down\ndrop table t;\n`,
      `-- About it\n\n-- migrate:up\n\n${UP}\n\n-- takes it back\n-- migrate:down\n`,
      `-- migrate:up\r\n${UP.replaceAll('\n', '\r\n')}\r\n`,
      `-- About it\n${UP}`,
    ]) {
      expect((await sumsOf({ '1_a.sql': text })).up).toBe(plain.up);
    }
    const pair = await sumsOf({ '1_a.up.sql': UP, '1_a.down.sql': 'drop table t;' });
    expect(pair.up).toBe(plain.up);
    expect(pair.down).toMatch(/^[0-9a-f]{64}$/);
  });

  test('everything else of up changes it, its options with it', async () => {
    const seen = new Set<string | undefined>();
    const texts = [
      UP,
      `${UP} `.replace('int', 'bigint'),
      UP.replace('\n  id', '\n   id'),
      UP.replace('id int', '-- why\n id int'),
      `-- migrate:up transaction:false\n${UP}`,
      `-- migrate:up lock_timeout:5s\n${UP}`,
      `-- migrate:up lock_timeout:6s\n${UP}`,
      `${UP}\nselect '\n-- a';`,
      `${UP}\nselect '\n-- b';`,
    ];
    for (const text of texts) seen.add((await sumsOf({ '1_a.sql': text })).up);
    expect(seen.size).toBe(texts.length);
  });

  test('a module is one for both', async () => {
    const text = 'export const up = async () => {};\n';
    const one = await sumsOf({ '1_a.ts': text });
    expect(one).toMatchObject({ down: undefined, file: `v1:${one.up}` });
    const two = await sumsOf({ '1_a.ts': `${text}export const down = async () => {};\n` });
    expect(two.up).not.toBe(one.up);
  });

  test('a long text is hashed in pieces, none of which ends within a character or a line end', () => {
    for (let short = 0; short < 8; short += 1) {
      const text = `${'x'.repeat(2 ** 20 - short)}${'🚀\r\n'.repeat(3)}.`;
      const whole = createHash('sha256')
        .update(`\n${text.replaceAll('\r\n', '\n')}`)
        .digest('hex');
      expect(checksumOfSections({ text, options: { transaction: true } }, undefined)).toBe(`v2:${whole}`);
    }
  });
});

test('a BOM is not sent, and CRLF stays where it is', async () => {
  write({ '1_a.sql': '\ufeffselect 1;\r\nselect 2;\r\n' });
  const { up } = (await readMigrations(folder, 'core')).migrations[0] ?? {};
  expect(up).toMatchObject({ sql: 'select 1;\r\nselect 2;\r\n', start: 0 });
});

test('engine 22: folders of equal content share their migrations', async () => {
  write({ '1_a.sql': 'select 1;', '2_b.ts': 'export const up = () => {};' });
  const cache = new Map();
  const first = await readMigrations(folder, 'core', USUAL_NAMING, cache);
  const second = await readMigrations(folder, 'core', USUAL_NAMING, cache);
  expect(second.migrations[0]).toBe(first.migrations[0]);
  expect(second.migrations[1]).toBe(first.migrations[1]);
  write({ '1_a.sql': 'select 2;' });
  expect((await readMigrations(folder, 'core', USUAL_NAMING, cache)).migrations[0]).not.toBe(
    first.migrations[0],
  );
});

test('durations', () => {
  expect(['500ms', '5s', '2min', '1h', '1.5s', '0', 250, '250'].map((value) => parseDuration(value))).toEqual(
    [500, 5000, 120_000, 3_600_000, 1500, 0, 250, 250],
  );
  expect(
    ['', '5 parsecs', '-1s', 's', Number.NaN, -1, '1000h', '1e3', 'constructor'].map((value) =>
      parseDuration(value),
    ),
  ).toEqual(Array.from({ length: 9 }).fill(undefined));
});
