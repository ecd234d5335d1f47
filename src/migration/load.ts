import { basename } from 'node:path';
import { DURATION_FORM, parseDuration } from '../config/duration.ts';
import { MpmError } from '../errors.ts';
import { importModule } from '../module.ts';
import { kyselyModule } from '../postgres/kysely-module.ts';
import type { MigrationOptions, ModuleScript } from './migration.ts';

type Run = ModuleScript['run'];
const KEYS = ['transaction', 'lockTimeout', 'statementTimeout'];

/**
 * Loads a Kysely migration: a module that exports `up`, perhaps `down` and `config`, or a default export that
 * has them, as Kysely's own FileMigrationProvider takes them.
 * @throws MpmError MIGRATION_INVALID
 */
export async function loadModule(path: string): Promise<{ up: ModuleScript; down?: ModuleScript }> {
  const provide = { kysely: await kyselyModule() };
  const exports = await importModule(path, { provide, code: 'MIGRATION_INVALID', keep: true });
  const migration = [exports['default'], exports].find(isMigration);
  if (!migration) {
    throw invalid(
      path,
      'exports no function up',
      'export async function up(db: Kysely<any>): Promise<void> { … }',
    );
  }
  const { up, down } = migration;
  if (down !== undefined && typeof down !== 'function') {
    throw invalid(path, 'its down is no function', 'export a function down, or none');
  }
  const options = optionsOf(path, migration['config'] ?? exports['config']);
  const script = (run: Run): ModuleScript => ({ kind: 'module', path, run, options });
  return {
    up: script((db) => up.call(migration, db)),
    ...(down && { down: script((db) => (down as Run).call(migration, db)) }),
  };
}

function isMigration(value: unknown): value is { up: Run; [key: string]: unknown } {
  return typeof value === 'object' && value !== null && 'up' in value && typeof value.up === 'function';
}

function optionsOf(path: string, config: unknown): MigrationOptions {
  const options: MigrationOptions = { transaction: true };
  if (config === undefined) return options;
  if (typeof config !== 'object' || config === null) {
    throw invalid(path, 'its config is no object', 'export const config = { transaction: false };');
  }
  for (const [key, value] of Object.entries(config)) {
    if (key === 'transaction') {
      if (typeof value !== 'boolean')
        throw invalid(path, 'config.transaction is neither true nor false', 'write transaction: false');
      options.transaction = value;
    } else if (key === 'lockTimeout' || key === 'statementTimeout') {
      const ms = typeof value === 'number' || typeof value === 'string' ? parseDuration(value) : undefined;
      if (ms === undefined) throw invalid(path, `config.${key} is no time`, `give it ${DURATION_FORM}`);
      options[key] = ms;
    } else {
      throw invalid(path, `config.${key} is no option`, `known are ${KEYS.join(', ')}`);
    }
  }
  return options;
}

function invalid(path: string, message: string, hint: string): MpmError {
  return new MpmError('MIGRATION_INVALID', `${basename(path)}: ${message}`, { subject: path, hint });
}
