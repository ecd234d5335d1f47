import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
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
  'libpg-query': ['engine/sql/split.ts'],
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
  name: string;
  typeOnly: boolean;
}

function outsideImports(file: string): Import[] {
  const source = ts.createSourceFile(file, readFileSync(join(src, file), 'utf8'), ts.ScriptTarget.Latest);
  const found: Import[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      const clause = ts.isImportDeclaration(node) ? node.importClause : node;
      add(node.moduleSpecifier, clause !== undefined && isTypeOnly(clause));
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], false);
    }
    ts.forEachChild(node, visit);
  };
  const add = (specifier: ts.Expression | undefined, typeOnly: boolean): void => {
    if (!specifier || !ts.isStringLiteralLike(specifier) || /^(\.|node:)/.test(specifier.text)) return;
    const name = /^(@[^/]+\/)?[^/]+/.exec(specifier.text)?.[0] ?? '';
    found.push({ name, typeOnly });
  };
  visit(source);
  return found;
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
