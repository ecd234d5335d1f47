import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { scan } from '../sql/scan.ts';
import type { FolderListing } from './layout.ts';
import { leadOf } from './name.ts';
import { JOURNAL } from './neighbours.ts';
import type { MigrationFiles } from './pairs.ts';
import { divide } from './sections.ts';
import type { Tool } from './sign.ts';
import { OURS, SECTIONS, WRITE_DOWN, WRITE_UP } from './words.ts';

/** How a new migration lies in a folder: as the last one of its kind does. */
export interface NewFiles {
  kind: 'ts' | 'sql';
  /** Its files, `up` first, relative to the folder. */
  filesOf(name: string): { file: string; sections: Sections }[];
  /** Whose markers divide it; absent: nobody's, it is all up. */
  tool?: Tool;
  /** Of Liquibase's: whose changesets they are. */
  author?: string;
}

/** Which sections a file has. */
export type Sections = 'both' | 'up' | 'down';

/**
 * @param wanted the kind that was asked for; else it is the last one's, and TypeScript where all are named as
 * `create` names them
 */
export function newFilesIn(
  folder: string,
  { migrations }: FolderListing,
  wanted: NewFiles['kind'] | undefined,
): NewFiles {
  const kindOf = ({ kind }: MigrationFiles) => (kind === 'module' ? 'ts' : 'sql');
  const own = migrations.filter(({ kind }) => kind !== 'foreign');
  const last = own.at(-1);
  const kind = wanted ?? (!last || isUsual(folder, last) ? 'ts' : kindOf(last));
  const model = own.findLast((migration) => kindOf(migration) === kind);
  if (kind === 'ts') {
    const extension = /\.[mc]ts$/.exec(model?.file ?? '')?.[0] ?? '.ts';
    return { kind, filesOf: (name) => [{ file: name + extension, sections: 'both' }] };
  }
  const suffix = suffixOf(model, model?.file) ?? '.sql';
  const downSuffix = suffixOf(model, model?.downFile);
  const halved = downSuffix !== undefined || suffix.endsWith('.up.sql');
  const marked = halved ? undefined : lastMarked(folder, own);
  return {
    kind,
    filesOf: (name) => [
      { file: name + suffix, sections: halved ? 'up' : 'both' },
      ...(downSuffix === undefined ? [] : [{ file: name + downSuffix, sections: 'down' as const }]),
    ],
    ...(model ? marked : { tool: 'mpm-migrate' as const }),
  };
}

/** What comes behind the name in a file's path: `.up.sql`, `/migration.sql`. */
function suffixOf(model: MigrationFiles | undefined, file: string | undefined): string | undefined {
  if (!model || !file?.startsWith(model.name)) return undefined;
  return file.slice(model.name.length).replace('.autocommit', '');
}

/** Named as `create` names its own where nobody else does: `20260131120000_x.sql`, with our markers or none. */
function isUsual(folder: string, { name, file, kind }: MigrationFiles): boolean {
  const lead = leadOf(name);
  const named = /^\d{14}$/.test(lead?.text ?? '') && lead?.separator === '_';
  if (!named || kind !== 'sql' || file !== `${name}.sql` || existsSync(join(folder, JOURNAL))) return false;
  return [undefined, 'mpm-migrate'].includes(toolOf(join(folder, file)).tool);
}

/** So many of the last files are looked at for markers: some have none by chance. */
const LOOKED_AT = 10;

function lastMarked(
  folder: string,
  migrations: readonly MigrationFiles[],
): Pick<NewFiles, 'tool' | 'author'> {
  const files = migrations.filter(({ kind }) => kind === 'sql').slice(-LOOKED_AT);
  const found = files.toReversed().map(({ file }) => toolOf(join(folder, file)));
  return found.find(({ tool }) => tool !== undefined) ?? {};
}

/** Whose sections a file has. */
function toolOf(path: string): Pick<NewFiles, 'tool' | 'author'> {
  const text = readFileSync(path, 'utf8');
  const { tool, isMarked } = divide(text, scan(text), 'both', { transaction: true });
  if (!tool || !isMarked) return {};
  const author = /^--\s*changeset\s+([^\s:]+):/m.exec(text)?.[1];
  return { tool, ...(tool === 'liquibase' && author !== undefined && { author }) };
}

/** What stands in a new file of another tool's form. */
export function textFor({ tool, author = 'AUTHOR' }: NewFiles, sections: Sections, name: string): string {
  if (sections === 'down') return `${WRITE_DOWN}\n`;
  if (sections === 'up' || !tool) return `${WRITE_UP}\n`;
  if (tool === 'tern') return `${WRITE_UP}\n\n---- create above / drop below ----\n\n${WRITE_DOWN}\n`;
  if (tool === 'liquibase')
    return `--liquibase formatted sql\n\n--changeset ${author}:${name}\n${WRITE_UP}\n`;
  const { up, down } = SECTIONS[tool] ?? OURS;
  return `${up}\n${WRITE_UP}\n\n${down}\n${WRITE_DOWN}\n`;
}
