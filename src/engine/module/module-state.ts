import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loaderFor, type Loader } from '../../module.ts';

/** A variable that outlives a call of the module's functions. */
export interface ModuleState {
  variable: string;
  /** The file that declares it. */
  path: string;
}

/** Of Babel, what is asked here. */
interface Program {
  node: { body: Declaration[] };
  scope: { getBinding(name: string): { constant: boolean } | undefined };
}
interface Declaration {
  type: string;
  kind?: string;
  declare?: boolean;
  declaration?: Declaration | null;
  declarations?: { id: object; init?: { type: string } | null }[];
}
interface Babel {
  types: { getBindingIdentifiers(node: object): Record<string, unknown> };
}

/**
 * Where a module, or what it imports from the project, keeps something between two calls: a `let` or `var` outside
 * of its functions that is assigned to again, or holds an object (engine 58). Undefined: nowhere.
 */
export async function stateOf(path: string): Promise<ModuleState | undefined> {
  const loader = await loaderFor(dirname(path), { code: 'MIGRATION_INVALID' });
  const seen = new Set<string>();
  const left = [path];
  for (let file = left.pop(); file !== undefined; file = left.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const source = sourceOf(file);
    const variable = variableOf(loader, file, source);
    if (variable !== undefined) return { variable, path: file };
    left.push(...importsOf(loader, file, source).flatMap(({ path }) => (isOurs(path) ? [path] : [])));
  }
  return undefined;
}

/** A module of the project; packages are shared by everybody anyway. */
function isOurs(path: string): boolean {
  return /\.[cm]?[jt]s$/.test(path) && !/[\\/]node_modules[\\/]/.test(path);
}

function variableOf(loader: Loader, filename: string, source: string): string | undefined {
  if (!/\b(?:let|var)\b/.test(source)) return undefined;
  let found: string | undefined;
  const plugin = ({ types }: Babel) => ({
    visitor: {
      Program({ node, scope }: Program): void {
        for (const statement of node.body) {
          const own = statement.declaration ?? statement;
          if (own.type !== 'VariableDeclaration' || own.kind === 'const' || own.declare) continue;
          for (const { id, init } of own.declarations ?? []) {
            const keeps = ['ObjectExpression', 'ArrayExpression', 'NewExpression'].includes(init?.type ?? '');
            found ??= Object.keys(types.getBindingIdentifiers(id)).find(
              (name) => keeps || scope.getBinding(name)?.constant === false,
            );
          }
        }
      },
    },
  });
  loader.transform({ source, filename, ts: /\.[cm]?ts$/.test(filename), babel: { plugins: [plugin] } });
  return found;
}

const IMPORTED = /(?:\bfrom|\bimport|\brequire)\s*\(?\s*(['"])([^'"\n]+)\1/g;

/** The files that a module imports, by the words of its import; without what cannot be found, which an import tells. */
function importsOf(loader: Loader, file: string, source: string): { name: string; path: string }[] {
  return [...source.matchAll(IMPORTED)].flatMap(([, , name = '']) => {
    if (name === 'kysely' || name.startsWith('node:')) return [];
    try {
      const resolved = loader.esmResolve(name, file);
      const path = resolved.startsWith('file:') ? fileURLToPath(resolved) : resolved;
      return isAbsolute(path) ? [{ name, path }] : [];
    } catch {
      return [];
    }
  });
}

/** A module's text; empty when it cannot be read, which its import tells. */
function sourceOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** What modules of a folder import by relative paths. */
export interface Supports {
  /** Files in that folder, as paths from it with `/`, in order. */
  inside: string[];
  /** What lies outside of it: the importing file and the words of its import. */
  outside: { file: string; name: string }[];
}

/** Looks for what modules import by relative paths, themselves or through others: what a copy of them needs beside it. */
export async function supportsOf(folder: string, files: readonly string[]): Promise<Supports> {
  const seen = new Set(files);
  const outside: Supports['outside'] = [];
  const left = files.filter((file) => /\.[cm]?[jt]s$/.test(file));
  for (let file = left.pop(); file !== undefined; file = left.pop()) {
    const path = `${folder}/${file}`;
    const source = sourceOf(path);
    // The loader is only made where somebody imports something.
    if (!/['"]\.\.?\//.test(source)) continue;
    const loader = await loaderFor(dirname(path), { code: 'MIGRATION_INVALID' });
    for (const { name, path: imported } of importsOf(loader, path, source)) {
      if (!name.startsWith('.')) continue;
      const inside = relative(folder, imported).split(sep).join('/');
      if (inside.startsWith('../')) outside.push({ file, name });
      else if (!seen.has(inside)) {
        seen.add(inside);
        left.push(inside);
      }
    }
  }
  const own = new Set(files);
  return { inside: [...seen].filter((file) => !own.has(file)).toSorted(), outside };
}
