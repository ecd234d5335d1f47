import type { Config } from '../../config/define.ts';
import { MpmError, stopIfAborted } from '../../errors.ts';
import type { LintResult, Severities } from '../../lint/lint.ts';
import { TOOL_VERSION } from '../../version.ts';
import { chooseMigrations, readShared } from '../chosen.ts';
import { readFleetFiles } from '../files.ts';
import type { LintReport } from '../report/lint-report.ts';
import { findSentSql } from '../sent.ts';

export interface LintOptions {
  /** Migrations to lint: paths, relative to the working directory, names, or versions. */
  files?: readonly string[];
  /** A branch or commit: lint what changed since the merge base with it. */
  since?: string;
  signal?: AbortSignal;
}

/**
 * Judges migrations by rules, without running them: by default those that no tenant has applied; where the central
 * database can't be asked, those that this branch changes; else all of them. Writes nothing.
 * @throws MpmError MIGRATION_INVALID for files that can't be read; GIT; USAGE for a file that is no migration;
 *   CONFIG_INVALID for a rule that isn't there
 */
export async function lint(config: Config, options: LintOptions = {}): Promise<LintReport> {
  const started = Date.now();
  stopIfAborted(options.signal);
  const { RULES } = await import('../../lint/registry.ts');
  const severities = severitiesOf(config, RULES);
  const files = await readFleetFiles(config);
  const shared = await readShared(config, files);
  const { sets, ...how } = await chooseMigrations(config, { files, shared }, options);
  const { lintMigrations } = await import('../../lint/lint.ts');
  const results: LintResult[] = [];
  for (const set of sets) {
    stopIfAborted(options.signal);
    const sent = await findSentSql(config, set.migrations, set.chosen, options);
    results.push(await lintMigrations({ ...set, severities, sent: (migration) => sent.get(migration) }));
  }
  const findings = results.flatMap((result) => result.findings);
  const allowed = results.flatMap((result) => result.allowed);
  const ofSeverity = (severity: string) => findings.filter((each) => each.severity === severity).length;
  return {
    verb: 'lint',
    toolVersion: TOOL_VERSION,
    startedAt: new Date(started).toISOString(),
    durationMs: Date.now() - started,
    ...how,
    counts: {
      migrations: shared.length,
      linted: results.reduce((sum, { linted }) => sum + linted, 0),
      errors: ofSeverity('error'),
      warnings: ofSeverity('warn'),
      allowed: allowed.length,
    },
    findings,
    allowed,
    notLinted: results.flatMap((result) => result.notLinted),
  };
}

/** @throws MpmError CONFIG_INVALID for rules that are not there */
function severitiesOf(
  { lint: { rules = {} } = {}, file }: Config,
  known: readonly { id: string }[],
): Severities {
  const ids = known.map(({ id }) => id);
  const unknown = Object.keys(rules).filter((id) => !ids.includes(id));
  if (unknown.length === 0) return rules;
  throw new MpmError(
    'CONFIG_INVALID',
    unknown.map((id) => `lint.rules.${id}: no rule has this name`).join('\n'),
    {
      ...(file !== undefined && { subject: file }),
      hint: `The rules: ${ids.join(', ')}`,
    },
  );
}
