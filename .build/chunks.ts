import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

// Every import statement that is left at run time, with what it names.
const STATIC_IMPORT = /^(?:import|export)\s+(?!type\b)(?:[^'";]*?\bfrom\s+)?'([^']+)'/gm;

const known = new Map<string, Set<string>>();

/** Parts of Node that take as long to load as a small package. */
const SLOW_BUILTINS = new Set(['node:child_process', 'node:readline', 'node:readline/promises']);

/** The packages that a source file loads, itself or through others, before its first line runs. */
function packagesOf(file: string): Set<string> {
  const found = known.get(file);
  if (found) return found;
  const packages = new Set<string>();
  known.set(file, packages);
  for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(STATIC_IMPORT)) {
    const own = specifier.startsWith('.') && specifier.endsWith('.ts');
    if (own) for (const name of packagesOf(join(dirname(file), specifier))) packages.add(name);
    else if (SLOW_BUILTINS.has(specifier) || !/^(node:|\.)/.test(specifier)) packages.add(nameOf(specifier));
  }
  return packages;
}

/** `pg` of `pg/lib/client.js`, `core` of `@oclif/core`, `readline` of `node:readline/promises`. */
function nameOf(specifier: string): string {
  return specifier.replace(/^(?:@[^/]+\/|node:)/, '').split('/')[0] ?? specifier;
}

/** The chunk of one of our modules: that of all which load the same packages. */
function chunkOf(id: string): string | null {
  // Entries, and what the help needs beside oclif, stay by themselves.
  if (
    !/\/src\/.*\.ts$/.test(id) ||
    /\/src\/(cli\/(commands\/|main|help|did-you-mean)|index|errors)/.test(id)
  ) {
    return null;
  }
  const packages = [...packagesOf(id)].toSorted();
  return ['app', ...packages].join('-');
}

/**
 * Each file costs Node a millisecond to load, and our own code is small; a package is what nobody should load
 * without need. A chunk takes what its modules import along: those that load fewest packages come first, or pg
 * would end in a chunk with Kysely.
 */
export const groups = [0, 1, 2, 3, 4].map((packages) => ({
  name: (id: string): string | null => {
    const chunk = chunkOf(id);
    return chunk !== null && Math.min(packagesOf(id).size, 4) === packages ? chunk : null;
  },
  priority: 10 - packages,
  // What one command alone needs stays by itself.
  minShareCount: 2,
  debugName: `own code with ${packages} packages`,
}));
