import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import {
  type Attempt,
  attemptDown,
  attemptUp,
  type MigrateOptions,
  withRetries,
} from '../../engine/apply/migrate.ts';
import { followingModules } from '../../engine/module/module-process.ts';
import { describeUrl } from '../../postgres/connect.ts';
import { TOOL_VERSION } from '../../version.ts';
import { centralTarget, ensureDatabase } from '../make.ts';
import { type CentralSet, centralMigrationSets } from './migration-sets.ts';

export interface CentralSetResult {
  set: CentralSet['set'];
  outcome: 'migrated' | 'reverted' | 'current';
  from: string | null;
  to: string | null;
  applied: Attempt['applied'];
  pending: string[];
  notices: string[];
}

/** What `central up` and `central down` did: what `--json` prints. */
export interface CentralReport {
  verb: 'central up' | 'central down';
  database: string;
  host: string;
  port: number;
  /** The database was missing, and made. */
  created: boolean;
  durationMs: number;
  sets: CentralSetResult[];
}

export interface CentralOptions {
  to?: string;
  /** Resume what was left half-done, apply what is out of order; the central form of `up --force`. */
  force?: boolean;
  signal?: AbortSignal;
  /** Once aborted, the statements that run are cancelled, too. */
  cancel?: AbortSignal;
  onMigration?(step: { set: CentralSet['set']; name: string; index: number; count: number }): void;
  onWaiting?(reason: string): void;
}

/**
 * Brings the central database to what this version and the product need; creates it when it is missing.
 * @throws MpmError CENTRAL_FAILED for a migration, BUSY, INTERRUPTED; errors of files before anything is touched
 */
export async function centralUp(config: Config, options: CentralOptions = {}): Promise<CentralReport> {
  const started = Date.now();
  const sets = await centralMigrationSets(config);
  const created = await ensureDatabase(config);
  const results: CentralSetResult[] = [];
  await followingModules(async (modules) => {
    for (const set of sets) {
      const { to, ...rest } = options;
      const own = set.set === 'central' && to !== undefined ? { to } : {};
      const migrate = { ...migrateOptions(config, set, { ...rest, ...own }), modules };
      const attempt = await withRetries(migrate, () => attemptUp(centralTarget(config), set, migrate));
      results.push(setResult(config, set, attempt));
    }
  });
  return reportOf(config, { verb: 'central up', created, started, sets: results });
}

/** Takes back the product's own central migrations; ours stay. */
export async function centralDown(
  config: Config,
  options: CentralOptions & { steps?: number } = {},
): Promise<CentralReport> {
  const started = Date.now();
  const set = (await centralMigrationSets(config)).find((each) => each.set === 'central');
  if (!set) throw noFolder(config);
  const { steps } = options;
  const migrate = { ...migrateOptions(config, set, options), ...(steps === undefined ? {} : { steps }) };
  const attempt = await followingModules((modules) =>
    withRetries(migrate, () => attemptDown(centralTarget(config), set, { ...migrate, modules })),
  );
  return reportOf(config, {
    verb: 'central down',
    created: false,
    started,
    sets: [setResult(config, set, attempt)],
  });
}

export function migrateOptions(
  config: Config,
  { set, history, order }: CentralSet,
  options: CentralOptions,
): MigrateOptions {
  const { to, force, signal, cancel, onMigration, onWaiting } = options;
  return {
    history,
    order,
    pace: config.pace,
    run: 'central',
    actor: config.actor,
    toolVersion: TOOL_VERSION,
    central: true,
    // It is the product's database as well: its tables were there before us, or come from elsewhere.
    allowNonEmpty: true,
    // Several histories are there, and nobody asks for their stamps.
    stamp: false,
    signal,
    cancel,
    onMigration: onMigration && ((step) => onMigration({ set, ...step })),
    onWaiting,
    ...(to === undefined ? {} : { to }),
    // There is no `resolve` for it: who says --force has looked.
    ...(force ? { force, resume: 'retry' as const } : {}),
  };
}

function setResult(config: Config, { set }: CentralSet, attempt: Attempt): CentralSetResult {
  const { outcome, error, from, to, applied, pending, notices } = attempt;
  if (error) throw failure(config, set, error);
  if (outcome !== 'migrated' && outcome !== 'reverted' && outcome !== 'current') {
    throw failure(config, set, new MpmError('BUG', `the central database ended as ${outcome}`));
  }
  return { set, outcome, from, to, applied, pending, notices };
}

/** Of the central database a failure ends the command, and remedies for tenants do not fit. */
function failure(config: Config, set: CentralSet['set'], error: MpmError): MpmError {
  const keeps = ['BUSY', 'INTERRUPTED', 'PASSWORD', 'CONNECTION', 'USAGE', 'BUG'].includes(error.code);
  // Of what was changed, or is gone, the way on is the same.
  const hint = error.hint?.replace(/(mpm-migrate repair [^\n]*)--tenant \{tenant\}/g, '$1--central');
  const fits = hint !== undefined && !/\{tenant\}|--tenant/.test(hint);
  const {
    subject = describeUrl(config.central.url).database,
    cause,
    excerpt,
    database,
    aftermath,
    migration,
  } = error;
  const all = { subject, cause, excerpt, database, aftermath, migration };
  const known = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  const mend =
    set === 'central'
      ? 'Fix it, and then: mpm-migrate central up. With --force it applies out-of-order migrations and resumes half-done ones.'
      : 'Fix what the server reports, and then: mpm-migrate central up';
  return new MpmError(keeps ? error.code : 'CENTRAL_FAILED', error.message, {
    ...known,
    hint: fits ? hint : mend,
  });
}

export function noFolder(config: Config): MpmError {
  return new MpmError(
    'FOLDER_MISSING',
    `there are no central migrations of your own: ${config.migrations.central}`,
    {
      subject: config.migrations.central,
      hint: 'To create the first one: mpm-migrate create <name> --central',
    },
  );
}

function reportOf(
  config: Config,
  { started, ...report }: Pick<CentralReport, 'verb' | 'created' | 'sets'> & { started: number },
): CentralReport {
  const { database, host, port } = describeUrl(config.central.url);
  return { ...report, database, host, port, durationMs: Date.now() - started };
}
