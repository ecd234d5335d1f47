import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

// Every import statement that is left at run time, with what it names.
const STATIC_IMPORT = /^(?:import|export)\s+(?!type\b)(?:[^'";]*?\bfrom\s+)?'([^']+)'/gm;

const known = new Map<string, Set<string>>();

/** The packages that a source file loads, itself or through others, before its first line runs. */
function packagesOf(file: string): Set<string> {
  const found = known.get(file);
  if (found) return found;
  const packages = new Set<string>();
  known.set(file, packages);
  for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(STATIC_IMPORT)) {
    const own = specifier.startsWith('.') && specifier.endsWith('.ts');
    if (own) for (const name of packagesOf(join(dirname(file), specifier))) packages.add(name);
    else if (!/^(node:|\.)/.test(specifier)) packages.add(specifier);
  }
  return packages;
}

/**
 * The chunk of one of our modules: that of all which load the same packages. Each file costs Node a
 * millisecond to load, and our own code is small; a package is what nobody should load without need.
 */
export function chunkOf(id: string): string | null {
  // Entries, and what the help needs beside oclif, stay by themselves.
  if (
    !/\/src\/.*\.ts$/.test(id) ||
    /\/src\/(commands\/|cli\/(main|help|did-you-mean)|index|errors)/.test(id)
  ) {
    return null;
  }
  const packages = [...packagesOf(id)].map((name) => basename(name)).toSorted();
  return ['app', ...packages].join('-');
}
