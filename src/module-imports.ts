import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loaderFor, type Loader } from './module.ts';

const IMPORTED = /(?:\bfrom|\bimport|\brequire)\s*\(?\s*(['"])([^'"\n]+)\1/g;

/** The files that a module imports, by the words of its import; without what cannot be found, which an import tells. */
export function importsOf(loader: Loader, file: string, source: string): { name: string; path: string }[] {
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
export function sourceOf(file: string): string {
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
