import { parse } from 'node:path';
import { MpmError } from '../../errors.ts';
import { explain, importModule } from '../../module.ts';
import { DURATION_FORM, parseDuration } from '../../pace.ts';
import { fileLabel } from './files.ts';
import type { MigrationOptions, ModuleScript } from '../migration.ts';
import { type FollowText, kyselyModule } from '../module/kysely-module.ts';
import { currentModule, ModuleCall } from '../module/module-process.ts';
import { stateOf } from '../module/module-state.ts';

type ModuleFunction = ModuleScript['run'];
const KEYS = ['transaction', 'serial', 'lockTimeout', 'statementTimeout', 'phase'];

/**
 * Loads a Kysely migration: a module that exports `up`, perhaps `down` and `config`, or a default export that
 * has them, as Kysely's own FileMigrationProvider takes them.
 * @throws MpmError MIGRATION_INVALID
 */
export async function loadModule(path: string): Promise<{ up: ModuleScript; down?: ModuleScript }> {
  const provide = (provided ??= { kysely: await kyselyModule(followText) });
  const name = parse(path).name;
  const call = new ModuleCall({ name, path });
  const exports = await call.run(() =>
    importModule(path, { provide, code: 'MIGRATION_INVALID', keep: true }),
  );
  const [fault] = call.faults;
  if (fault) throw explain(path, 'MIGRATION_INVALID', fault.error);
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
    throw invalid(path, 'its down is not a function', 'export a function down, or remove it');
  }
  const stray = KEYS.find((key) => isPlain(exports[key]) || isPlain(migration[key]));
  if (stray !== undefined) {
    const value = JSON.stringify(exports[stray] ?? migration[stray]);
    throw invalid(
      path,
      `its export ${stray} would be ignored`,
      `write export const config = { ${stray}: ${value} };`,
    );
  }
  const options = optionsOf(path, migration['config'] ?? exports['config']);
  const config = migration['config'] ?? exports['config'];
  const said = (config as { serial?: boolean } | undefined)?.serial ?? false;
  const state = said ? undefined : await stateOf(path);
  const notices = [...call.notices];
  if (state) {
    notices.push(
      `${name} runs for one tenant at a time: it keeps "${state.variable}" between calls (${fileLabel(state.path)})`,
    );
  }
  const serial = said || state !== undefined;
  const script = (run: ModuleFunction): ModuleScript => ({
    kind: 'module',
    path,
    run,
    options,
    notices,
    serial,
  });
  return {
    up: script((db) => up.call(migration, db)),
    ...(down && { down: script((db) => (down as ModuleFunction).call(migration, db)) }),
  };
}

/** The same for all: what was imported with it knows no other. */
let provided: { kysely: unknown } | undefined;

/** A text belongs to the module that made it while it ran; one that was made at its import may serve any function. */
const followText: FollowText = (text, what, below) =>
  currentModule()?.statements?.begin(what.length > MOST ? `${what.slice(0, MOST)}…` : what, below, text);

/** Of a text, so many characters are shown. */
const MOST = 60;

function isMigration(value: unknown): value is { up: ModuleFunction; [key: string]: unknown } {
  return typeof value === 'object' && value !== null && 'up' in value && typeof value.up === 'function';
}

/** What an option's value may be. */
function isPlain(value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

function optionsOf(path: string, config: unknown): MigrationOptions {
  const options: MigrationOptions = { transaction: true };
  if (config === undefined) return options;
  if (typeof config !== 'object' || config === null) {
    throw invalid(path, 'its config is not an object', 'export const config = { transaction: false };');
  }
  for (const [key, value] of Object.entries(config)) {
    if (key === 'transaction') {
      if (typeof value !== 'boolean')
        throw invalid(path, 'config.transaction must be true or false', 'write transaction: false');
      options.transaction = value;
    } else if (key === 'phase') {
      if (value !== 'contract')
        throw invalid(path, "config.phase can only be 'contract'", "write phase: 'contract', or remove it");
      options.phase = value;
    } else if (key === 'serial') {
      if (typeof value !== 'boolean')
        throw invalid(path, 'config.serial must be true or false', 'write serial: true');
    } else if (key === 'lockTimeout' || key === 'statementTimeout') {
      const ms = typeof value === 'number' || typeof value === 'string' ? parseDuration(value) : undefined;
      if (ms === undefined) throw invalid(path, `config.${key} is not a duration`, `use ${DURATION_FORM}`);
      options[key] = ms;
    } else {
      throw invalid(path, `config.${key}: unknown option`, `known options: ${KEYS.join(', ')}`);
    }
  }
  return options;
}

function invalid(path: string, message: string, hint: string): MpmError {
  return new MpmError('MIGRATION_INVALID', `${fileLabel(path)}: ${message}`, { subject: path, hint });
}
