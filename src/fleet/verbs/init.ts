import { mkdirSync, readFileSync, writeFileSync, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../../config/define.ts';
import { existingConfig } from '../../config/find.ts';
import { TOOL_NAMES, type ToolName } from '../../dialects/tool-names.ts';
import { findMigrations, type FoundMigrations } from '../../dialects/projects.ts';
import { MpmError } from '../../errors.ts';
import { listFolder } from '../../engine/source/layout.ts';
import { nextName } from '../../engine/source/next-name.ts';

/** What `init` found and wrote. Absolute paths, but for the folders that were found. */
export interface InitReport {
  config: string;
  files: string[];
  /** The folder of migrations that was there, and is core now. */
  core?: FoundMigrations;
  /** Others that it could have been, and those that are for another database. */
  others: FoundMigrations[];
  /** The tool whose history `baseline --from` can read. */
  from?: ToolName;
}

const CONFIG = 'mpm-migrate.config.ts';

/**
 * Writes a configuration, the folders and a first migration; nothing that is there is touched. Migrations that are
 * there become core where they are, whatever tool they are of, and there is no first one.
 * @throws MpmError FILE_EXISTS naming the configuration that is there
 */
export function initProject(root: string, now = new Date()): InitReport {
  const found = existingConfig(root);
  if (found !== undefined) {
    throw new MpmError('FILE_EXISTS', `There is a configuration already: ${found}`, {
      subject: found,
      hint: 'Edit it, or remove it and run mpm-migrate init again. Next: mpm-migrate create <name>',
    });
  }
  const templates = join(packageTemplates(), 'init');
  const own = join(root, 'migrations/core');
  const hasOwn = !isEmpty(own);
  const all = hasOwn ? [] : findMigrations(root);
  const core = all.find(({ unusable }) => unusable === undefined);
  // Where core has that name, other tools would read what lies in it as well.
  const parent = core?.folder === 'migrations' ? 'mpm-migrate' : 'migrations';
  const template = readFileSync(join(templates, CONFIG), 'utf8');
  const files = new Map([[join(root, CONFIG), configFor(template, core, parent)]]);
  if (!core && !hasOwn) {
    files.set(
      join(own, `${nextName('customers', { names: [], order: 'version', now })}.sql`),
      readFileSync(join(templates, 'first.sql'), 'utf8'),
    );
  }
  // Git keeps no empty folders.
  for (const folder of ['central', 'tenants']) {
    const path = join(root, parent, folder);
    if (isEmpty(path)) files.set(join(path, '.gitkeep'), '');
  }
  const written: string[] = [];
  for (const [path, text] of files) if (write(path, text)) written.push(path);
  const from = toolNamed(core?.tool);
  return {
    config: join(root, CONFIG),
    files: written,
    ...(core && { core }),
    others: all.filter((each) => each !== core),
    ...(from && { from }),
  };
}

/** The template with the folders that a project has. */
function configFor(template: string, core: FoundMigrations | undefined, parent: string): string {
  if (!core) return template;
  const whose = core.tool === undefined ? 'your' : `${core.tool}'s`;
  const folder = core.folder.replace(/[\\']/g, String.raw`\$&`);
  const text = template.replace(
    /'migrations\/core', \/\/ .*/,
    () => `'${folder}', // ${whose} migrations, as they lie: the schema of every tenant`,
  );
  if (parent === 'migrations') return text;
  return text
    .replace(/\/\/ (?=(?:plugins|seeds): )/g, '')
    .replace(/(?<=(?:central|tenants|plugins|seeds|templates): ')migrations\//g, `${parent}/`);
}

function toolNamed(tool: string | undefined): ToolName | undefined {
  const plain = (name: string) => name.toLowerCase().replace(/[^a-z]/g, '');
  return TOOL_NAMES.find((name) => tool !== undefined && plain(name) === plain(tool));
}

function isEmpty(folder: string): boolean {
  try {
    const { migrations, problems } = listFolder(folder);
    return migrations.length + problems.length === 0;
  } catch (error) {
    if (error instanceof MpmError && error.code === 'FOLDER_MISSING') return true;
    throw error;
  }
}

/** False when the file is there. */
function write(path: string, text: string): boolean {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new MpmError('FILE_SYSTEM', `${path} cannot be written: ${(error as Error).message}`, {
      subject: path,
      hint: 'Check the folder and its permissions.',
      cause: error,
    });
  }
}

/** The package's own templates, from src/ as from dist/. */
function packageTemplates(): string {
  const here = fileURLToPath(import.meta.url);
  for (let folder = dirname(here); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest) && /"name":\s*"mpm-migrate"/.test(readFileSync(manifest, 'utf8'))) {
      return join(folder, 'templates');
    }
  }
  throw new MpmError('BUG', 'the templates of mpm-migrate are not installed with it');
}

/**
 * A template for `create`: the user's own where there is one, else the package's.
 * @throws MpmError FOLDER_MISSING when the configuration names a folder that is not there
 */
export function readTemplate(config: Config, file: string): string {
  const { templates } = config.migrations;
  if (templates !== undefined && !existsSync(templates)) {
    throw new MpmError('FOLDER_MISSING', `There is no folder ${templates}`, {
      subject: templates,
      hint: 'Create it with migration.ts and migration.sql, or remove migrations.templates from the configuration.',
    });
  }
  const own = templates === undefined ? undefined : join(templates, file);
  const path = own !== undefined && existsSync(own) ? own : join(packageTemplates(), 'create', file);
  return readFileSync(path, 'utf8');
}

/** Puts values in the places of `{{words}}`. */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{\{(\w+)\}\}/g, (whole, word: string) => values[word] ?? whole);
}
