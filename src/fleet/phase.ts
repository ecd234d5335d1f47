import { withCentral } from '../central/central.ts';
import { recordReleased } from '../central/released.ts';
import type { Config } from '../config/define.ts';
import { isDeferred } from '../engine/plan.ts';
import { listNames } from '../engine/remedy.ts';
import { MpmError } from '../errors.ts';
import type { FleetFiles } from './files.ts';
import type { GateReport } from './report/gate-report.ts';
import type { RunReport, TenantRef } from './report/report.ts';
import type { Selection } from './select.ts';
import { checkBefore } from './verbs/gate.ts';

/** So many tenants are named in a refusal. */
const NAMED = 5;

/**
 * Migrations of the contract phase are applied once every tenant that `up` takes has all that comes before them,
 * whoever is selected (confidence 9).
 * @returns what is to be said: who was not asked
 * @throws MpmError CONTRACT_REFUSED with the stragglers, CONTRACT_UNCHECKED for who could not be looked at; as `gate`
 */
export async function requireExpanded(
  config: Config,
  files: FleetFiles,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const released = await withCentral(config, ({ config: { released: names } }) => Promise.resolve(names));
  const deferred = files.contract.filter((migration) => isDeferred(migration, { released }));
  const last = deferred.at(-1);
  if (!last) return ['--phase contract: nothing is deferred'];
  const report = await checkBefore(config, last.name, files, signal);
  if (report.error) throw new MpmError(report.error.code, report.error.message, report.error);
  if (report.interrupted) throw new MpmError('INTERRUPTED', 'interrupted before the first migration');
  const names = listNames(deferred.map(({ name }) => name));
  if (report.unreachable.length) throw unchecked(names, report);
  if (report.stragglers.length) throw refused(names, last.name, report);
  const { passed, counts } = report;
  if (!passed.length) return [];
  const whom = named(
    passed.map(({ tenant, reason }) => `${nameOf(tenant)} (${reason})`),
    counts.passed,
  );
  return [`--phase contract: not asked whether they have what comes before ${names}: ${whom}`];
}

/** Once `up --all --phase contract` has ended with 0, what it applied is as any other migration to everybody. */
export async function releaseContract(
  config: Config,
  files: FleetFiles,
  selection: Selection,
  report: RunReport,
): Promise<void> {
  const { all, ...narrower } = selection;
  const isWhole =
    all === true && Object.values(narrower).every((value) => value === undefined || isEmpty(value));
  const { failed, refused: held, busy } = report.counts;
  const isDone =
    failed + held + busy === 0 &&
    report.foldersBehind === 0 &&
    report.error === undefined &&
    report.unmet === undefined &&
    !report.interrupted &&
    (report.waves ?? []).every(({ outcome }) => outcome === 'done');
  if (!isWhole || !isDone || files.contract.length === 0) return;
  const names = files.contract.map(({ name }) => name);
  await withCentral(config, (central) => recordReleased(central, names, report.run));
}

function isEmpty(value: unknown): boolean {
  return value === false || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
}

function refused(names: string, last: string, { stragglers, counts }: GateReport): MpmError {
  const whom = named(
    stragglers.map(({ tenant, lacks }) => `${nameOf(tenant)} (lacks ${lacks})`),
    counts.behind,
  );
  const lack = counts.behind === 1 ? '1 tenant lacks' : `${counts.behind} tenants lack`;
  return new MpmError('CONTRACT_REFUSED', `${lack} what comes before ${names}: ${whom}`, {
    subject: last,
    aftermath: 'nothing was changed anywhere',
    hint: `Bring them forward first: mpm-migrate up --all
To see who is behind: mpm-migrate status`,
  });
}

function unchecked(names: string, { unreachable, counts }: GateReport): MpmError {
  const [first] = unreachable;
  const whom = named(
    unreachable.map(({ tenant }) => nameOf(tenant)),
    counts.unreachable,
  );
  return new MpmError(
    'CONTRACT_UNCHECKED',
    `it is not known whether every tenant has what comes before ${names}: ${whom} can't be looked at: ${first?.error.message}`,
    {
      aftermath: 'nothing was changed anywhere',
      hint: `See what is wrong there: mpm-migrate status
To go on without a tenant: mpm-migrate tenant hold ID --reason TEXT`,
    },
  );
}

function nameOf({ id, name }: TenantRef): string {
  return name || id;
}

function named(names: readonly string[], count: number): string {
  const shown = names.slice(0, NAMED).join(', ');
  return count > NAMED ? `${shown}, and ${count - NAMED} more` : shown;
}
