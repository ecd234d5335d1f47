import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

interface Manifest {
  name?: string;
  version?: string;
  license?: string;
  repository?: string | { url?: string };
}

const LICENCE_FILE = /^(licen[cs]e|copying|notice)([.-]|$)/i;

/** The licences of every package that has a module among `moduleIds`, as one text. */
export function notices(moduleIds: Iterable<string>): string {
  const folders = new Set<string>();
  for (const id of moduleIds) {
    const folder = id.startsWith('\0') ? undefined : packageFolder(id);
    if (folder) folders.add(folder);
  }
  const sections = [...folders].map(section).toSorted();
  return [
    'mpm-migrate contains code of the packages below, each under its own licence.\n',
    ...new Set(sections),
  ].join(`\n${'-'.repeat(80)}\n\n`);
}

function packageFolder(id: string): string | undefined {
  if (!id.includes('/node_modules/')) return undefined;
  for (let folder = dirname(id.replace(/\?.*$/, '')); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) && read(folder).name) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}

function read(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}

function section(folder: string): string {
  const { name, version, license, repository } = read(folder);
  const home = typeof repository === 'string' ? repository : repository?.url;
  const texts = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && LICENCE_FILE.test(entry.name))
    .map((entry) => readFileSync(join(folder, entry.name), 'utf8').trim());
  // Some packages have theirs at the end of the README.
  if (texts.length === 0) texts.push(...inReadme(folder));
  if (!license && texts.length === 0) throw new Error(`${name} names no licence`);
  const about = [`${name} ${version}`, `License: ${license ?? 'see below'}`, ...(home ? [home] : [])];
  return `${[about.join('\n'), ...texts].join('\n\n')}\n`;
}

function inReadme(folder: string): string[] {
  const readme = readdirSync(folder).find((file) => /^readme(\.|$)/i.test(file));
  if (!readme) return [];
  const text = /^#+ *licen[cs]e\b.*\n([\s\S]*)/im
    .exec(readFileSync(join(folder, readme), 'utf8'))?.[1]
    ?.trim();
  return text ? [text] : [];
}
