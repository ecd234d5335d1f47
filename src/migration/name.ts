const EXTENSIONS = /\.(?:up\.sql|down\.sql|sql|d\.ts|ts|mts|cts|js|mjs|cjs)$/;

/** A migration's file name taken apart. */
export interface FileName {
  /** Name without extension: the identity of a migration. */
  name: string;
  version: string;
  slug: string;
  extension: 'sql' | 'up.sql' | 'down.sql' | 'ts' | 'mts' | 'cts' | 'js' | 'mjs' | 'cjs' | 'd.ts';
}

/** Takes a file name apart; undefined when it is no migration's (no numeric prefix, another extension). */
export function parseFileName(file: string): FileName | undefined {
  const extension = EXTENSIONS.exec(file)?.[0];
  if (!extension) return undefined;
  const name = file.slice(0, -extension.length);
  const prefix = /^\d+/.exec(name)?.[0];
  if (!prefix) return undefined;
  const slug = name.slice(prefix.length).replace(/^[_-]+/, '');
  return { name, version: prefix, slug, extension: extension.slice(1) as FileName['extension'] };
}

/** The order of migrations: the numeric prefix as a number, then code units; never a locale. */
export function compareNames(a: string, b: string): number {
  return compareVersions(versionOf(a), versionOf(b)) || (a < b ? -1 : a > b ? 1 : 0);
}

/** Numeric prefixes compared as numbers of any length: `9` < `10`, `007` = `7`. */
export function compareVersions(a: string, b: string): number {
  const x = a.replace(/^0+/, '');
  const y = b.replace(/^0+/, '');
  return x.length - y.length || (x < y ? -1 : x > y ? 1 : 0);
}

export function versionOf(name: string): string {
  return /^\d+/.exec(name)?.[0] ?? '';
}
