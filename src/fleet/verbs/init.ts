import { mkdirSync, readFileSync, writeFileSync, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../../config/define.ts';
import { existingConfig } from '../../config/find.ts';
import { MpmError } from '../../errors.ts';
import { listFolder } from '../../engine/source/layout.ts';
import { nextVersion } from '../../engine/source/name.ts';

/** What `init` wrote: absolute paths. */
export interface InitReport {
  config: string;
  files: string[];
}

const CONFIG = 'mpm-migrate.config.ts';

/**
 * Writes a configuration, the folders and a first migration; nothing that is there is touched.
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
  const core = join(root, 'migrations/core');
  const files = new Map([[join(root, CONFIG), readFileSync(join(templates, CONFIG), 'utf8')]]);
  if (isEmpty(core)) {
    files.set(
      join(core, `${nextVersion([], now)}_customers.sql`),
      readFileSync(join(templates, 'first.sql'), 'utf8'),
    );
  }
  // Git keeps no empty folders.
  for (const folder of ['central', 'tenants']) {
    const path = join(root, 'migrations', folder);
    if (isEmpty(path)) files.set(join(path, '.gitkeep'), '');
  }
  const written: string[] = [];
  for (const [path, text] of files) if (write(path, text)) written.push(path);
  return { config: join(root, CONFIG), files: written };
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
