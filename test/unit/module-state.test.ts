import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { stateOf } from '../../src/engine/module/module-state.ts';

const project = await mkdtemp(join(tmpdir(), 'mpm-state-'));
afterAll(() => rm(project, { recursive: true }));

let count = 0;
async function stateIn(files: Record<string, string>, first: string): Promise<string | undefined> {
  const folder = join(project, String((count += 1)));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const state = await stateOf(join(folder, first));
  return state && `${state.variable} in ${state.path.slice(folder.length + 1)}`;
}

test.each([
  ["let name = '';\nexport const up = async () => { name = 'x'; };", 'name'],
  ['let a: number, b: number;\nexport const up = async () => { b++; };', 'b'],
  ['export let total = 0;\nexport async function up() { total += 1; }', 'total'],
  ['let { db } = { db: 1 };\nexport const up = () => { [db] = [2]; };', 'db'],
  ['var seen = {};\nexport const up = () => seen;', 'seen'],
  ['let seen = new Set<string>();\nexport const up = () => seen;', 'seen'],
])('engine 58: keeps something: %s', async (text, variable) => {
  expect(await stateIn({ '1_a.ts': text }, '1_a.ts')).toBe(`${variable} in 1_a.ts`);
});

test.each([
  "const name = '';\nexport const up = async () => { let name = ''; name = 'x'; return name; };",
  "let name = 'constant';\nexport const up = () => name;",
  'declare let somewhere: string;\nexport const up = () => somewhere;',
  'enum Kind { a, b }\nexport const up = () => Kind.a;',
  '// let it be\nexport const up = () => { for (let i = 0; i < 2; i++); };',
  '{ let inner = 1; inner = 2; }\nexport const up = () => 1;',
])('engine 58: keeps nothing: %s', async (text) => {
  expect(await stateIn({ '1_a.ts': text }, '1_a.ts')).toBeUndefined();
});

test('engine 58: what tsc makes of a module keeps nothing', async () => {
  const helper = 'var __awaiter = (this && this.__awaiter) || function () {};\n';
  const text = `"use strict";\n${helper}Object.defineProperty(exports, "__esModule", { value: true });\nexports.up = () => 1;`;
  expect(await stateIn({ '1_a.cjs': text, '1_b.js': text }, '1_a.cjs')).toBeUndefined();
});

test('engine 58: sees what is imported from the project, also by an alias and in a circle', async () => {
  const files = {
    'tsconfig.json': '{ "compilerOptions": { "paths": { "@/*": ["./lib/*"] } } }',
    '1_a.ts': "import { use } from '@/one';\nexport const up = use;",
    '2_b.ts': "import { fine } from '@/fine';\nexport const up = fine;",
    '3_c.cjs': "const { use } = require('./lib/two');\nexports.up = use;",
    'lib/one.ts': "export { use } from './two';\nimport '../1_a';",
    'lib/two.ts': 'let db: unknown;\nexport const use = (d: unknown) => { db = d; return db; };',
    'lib/fine.ts': 'export const fine = () => 1;',
  };
  expect(await stateIn(files, '1_a.ts')).toBe('db in lib/two.ts');
  expect(await stateIn(files, '2_b.ts')).toBeUndefined();
  expect(await stateIn(files, '3_c.cjs')).toBe('db in lib/two.ts');
});
