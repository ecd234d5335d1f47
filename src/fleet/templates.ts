import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';

/** The package's own templates, from src/ as from dist/. */
export function packageTemplates(): string {
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
      hint: 'Make it, with migration.ts and migration.sql in it, or take migrations.templates out of the configuration.',
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
