import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

// Which way our own imports point is the linter's to say: .oxlintrc.json.

/** Where each outside package comes in: files, or folders with a slash. */
const DOORS: Record<string, string[]> = {
  '@oclif/core': ['cli/'],
  listr2: ['ui/progress/tty.ts'],
  chalk: ['ui/theme.ts'],
  cosmiconfig: ['config/load.ts'],
  zod: ['config/'],
  umzug: ['engine/apply/attempt.ts'],
  'libpg-query': ['engine/sql/parse.ts'],
  pg: ['postgres/', 'sessions/'],
  'pg-connection-string': ['postgres/'],
  kysely: ['postgres/', 'engine/module/'],
  jiti: ['module.ts'],
};

/** Packages whose types may be named anywhere, because they are part of our own interface. */
const TYPES_ANYWHERE = new Set(['kysely']);

const src = join(import.meta.dirname, '../../src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));

interface Import {
  /** As it is written. */
  name: string;
  typeOnly: boolean;
  dynamic: boolean;
}

function importsOf(file: string, text: string): Import[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  const found: Import[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      const clause = ts.isImportDeclaration(node) ? node.importClause : node;
      add(node.moduleSpecifier, { typeOnly: clause !== undefined && isTypeOnly(clause), dynamic: false });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], { typeOnly: false, dynamic: true });
    }
    ts.forEachChild(node, visit);
  };
  const add = (specifier: ts.Expression | undefined, how: Omit<Import, 'name'>): void => {
    if (specifier && ts.isStringLiteralLike(specifier)) found.push({ name: specifier.text, ...how });
  };
  visit(source);
  return found;
}

function packageOf(name: string): string {
  return /^(@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? '';
}

function outsideImports(file: string): Import[] {
  return importsOf(file, readFileSync(join(src, file), 'utf8'))
    .filter(({ name }) => !/^(\.|node:)/.test(name))
    .map((each) => ({ ...each, name: packageOf(each.name) }));
}

function isTypeOnly(clause: ts.ImportClause | ts.ExportDeclaration): boolean {
  if (clause.isTypeOnly) return true;
  if (!ts.isImportClause(clause) || clause.name || !clause.namedBindings) return false;
  return (
    ts.isNamedImports(clause.namedBindings) && clause.namedBindings.elements.every((one) => one.isTypeOnly)
  );
}

test('each outside package comes in through its own door', () => {
  const strays = files.flatMap((file) =>
    outsideImports(file)
      .filter(({ name, typeOnly }) => !(typeOnly && TYPES_ANYWHERE.has(name)))
      .filter(({ name }) => {
        const doors = DOORS[name] ?? [];
        const path = relative('.', file);
        return !doors.some((door) => (door.endsWith('/') ? path.startsWith(door) : path === door));
      })
      .map(({ name }) => `${file} imports ${name}; its door is ${DOORS[name]?.join(' or ') ?? 'nowhere'}`),
  );
  expect(strays).toEqual([]);
});

/** The packages that a file loads, itself or through others, before its first line runs. */
function loadedBy(start: string): string[] {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const follow = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(join(src, file), 'utf8');
    for (const { name, typeOnly, dynamic } of importsOf(file, text)) {
      if (typeOnly || dynamic) continue;
      if (name.startsWith('.')) follow(join(dirname(file), name));
      else if (!name.startsWith('node:')) packages.add(packageOf(name));
    }
  };
  follow(start);
  return [...packages];
}

test.each([
  ['a command, which may only be asked for its help', /^cli\/commands\//, ['@oclif/core']],
  ['a verb over a fleet of SQL migrations', /^fleet\/verbs\/(?!demo)/, ['pg', 'pg-connection-string']],
  ['what reads folders alone', /^fleet\/verbs\/(?:sync|create|init)\.ts$/, []],
])('%s loads no package that it does not need', (_, which, needed) => {
  const chosen = files.filter((file) => which.test(file));
  expect(chosen.length).toBeGreaterThan(0);
  const more = chosen.map((file) => [file, loadedBy(file).filter((name) => !needed.includes(name))] as const);
  expect(more.filter(([, names]) => names.length)).toEqual([]);
});
