import { dirname } from 'node:path';
import { loaderFor, type Loader } from './module.ts';
import { importsOf, sourceOf } from './module-imports.ts';

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
