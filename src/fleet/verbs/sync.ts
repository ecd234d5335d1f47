import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Tenant } from '../../central/list/tenant.ts';
import type { Config } from '../../config/define.ts';
import { type ErrorReport, errorReport, MpmError } from '../../errors.ts';
import { idWord } from '../../shell-word.ts';
import { claimFolder, folderFor, folderNameOf, TenantFolders } from '../../tenants/folders/own-folder.ts';
import { pluginFolder } from '../../tenants/folders/plugins.ts';
import {
  type CoreFolder,
  readCoreFolder,
  syncFolder,
  withPluginFiles,
} from '../../tenants/folders/sync-folder.ts';
import type { FolderPlan, SyncFlags } from '../../tenants/folders/sync-plan.ts';
import type { OnEvent } from '../events.ts';
import type { TenantRef } from '../report/report.ts';
import {
  describeSelection,
  filterFor,
  refuseBehind,
  type Selection,
  selectsByName,
  selectsWholeFleet,
} from '../select.ts';

export interface SyncOptions extends SyncFlags {
  /** Change nothing; the report says what is out of date. */
  check?: boolean;
  /** Change nothing; the report says what would be done. */
  dryRun?: boolean;
  /** Aborted: begin no further folder. */
  signal?: AbortSignal;
  /**
   * Make a folder that does not say whose it is its tenant's own, by its name; of tenants that are selected by name
   * also one that says that it is another's.
   */
  claim?: boolean;
  onEvent?: OnEvent;
}

/** What was done, or would be, to one tenant's folder. */
export interface FolderChange {
  tenant: TenantRef;
  copied: number;
  updated: number;
  pruned: number;
}

/** A tenant whose folder is not as core wants it, and was left alone there. */
export interface HeldFolder {
  tenant: TenantRef;
  /** Files that are left as they are. */
  files: string[];
  error: ErrorReport;
}

/** The report of `sync`: what `--json` prints. Numbers of files, but for `tenants`. */
export interface SyncReport {
  verb: 'sync';
  core: string;
  /** Nothing was changed: `check` or `dryRun`. */
  dry: boolean;
  /** How many core files there are. */
  files: number;
  tenants: number;
  /** Of these, who follows core, without a folder to look at; only with `check`, which asks of no other. */
  following: number;
  copied: number;
  updated: number;
  unchanged: number;
  pruned: number;
  /** Copies whose core file is gone, left because pruning was not asked for. */
  stale: number;
  /** Paths of folders that are no tenant's of this fleet; looked for when no tenant is left out. */
  orphans?: string[];
  /** What core migrations import from outside of core, where a copy does not find it. */
  lacking?: { file: string; import: string }[];
  changes: FolderChange[];
  held: HeldFolder[];
  /** What is wrong with the selection: it names a label that nobody has, or only tenants that are on hold. */
  unmet?: string;
  interrupted: boolean;
  durationMs: number;
}

/**
 * Copies core, and what plugins it has, into the folder of every selected tenant, or of all of them.
 * @throws MpmError for the core folder, the configuration and the central database; a tenant's trouble is in the report
 */
export async function sync(
  config: Config,
  selection: Selection,
  options: SyncOptions = {},
): Promise<SyncReport> {
  refuseBehind(selection, 'sync');
  const core = await readCoreFolder(config.migrations.core, config.migrations);
  const [{ withCentral }, { countTenants, streamTenants }, { unmetBy }] = await Promise.all([
    import('../../central/central.ts'),
    import('../../central/list/tenants.ts'),
    import('../unmet.ts'),
  ]);
  return withCentral(config, async (central) => {
    const filter = await filterFor(central, selection);
    const counts = await countTenants(central, filter);
    const total = counts.reduce((sum, { count }) => sum + count, 0);
    options.onEvent?.({
      type: 'run-started',
      at: 0,
      run: null,
      verb: 'sync',
      total,
      selection: describeSelection(selection),
    });
    const unmet = total === 0 ? await unmetBy(central, selection, { none: true, held: false }) : undefined;
    const whole = selectsWholeFleet(selection);
    const scope = { whole, byName: selectsByName(selection) };
    const report = await syncFolders(streamTenants(central, filter), core, config, options, scope);
    return unmet === undefined ? report : { ...report, unmet };
  });
}

/** How much of the fleet is looked at: all of it; or tenants that somebody named. */
interface Scope {
  whole: boolean;
  byName: boolean;
}

/** The same for tenants from anywhere. */
export async function syncFolders(
  tenants: AsyncIterable<Tenant>,
  core: CoreFolder,
  config: Config,
  options: SyncOptions = {},
  { whole, byName }: Scope = { whole: false, byName: false },
): Promise<SyncReport> {
  const started = performance.now();
  const dryRun = options.check === true || options.dryRun === true;
  const report: SyncReport = {
    verb: 'sync',
    core: core.folder,
    dry: dryRun,
    files: core.files.size,
    tenants: 0,
    following: 0,
    copied: 0,
    updated: 0,
    unchanged: 0,
    pruned: 0,
    stale: 0,
    changes: [],
    held: [],
    interrupted: false,
    durationMs: 0,
  };
  if (core.outside.length) report.lacking = core.outside.map(({ file, name }) => ({ file, import: name }));
  const wanted = wantedFolders(core, config);
  let folders = new TenantFolders(config);
  const owned = new Set<string>();
  for await (const { id, name, database, server, plugins } of tenants) {
    if (options.signal?.aborted) {
      report.interrupted = true;
      break;
    }
    const tenant: TenantRef = { id, name, database, server };
    const heldBefore = report.held.length;
    const at = performance.now() - started;
    options.onEvent?.({ type: 'tenant-started', at, tenant });
    try {
      if (options.claim && !dryRun && claimFolder(tenant, config, { folders, others: byName }))
        folders = new TenantFolders(config);
      const folder = folderFor(tenant, config, folders);
      owned.add(basename(folder));
      if (options.check && !existsSync(folder)) report.following += 1;
      else record(report, tenant, syncFolder(await wanted(plugins), folder, tenant, { ...options, dryRun }));
    } catch (error) {
      owned.add(folderNameOf(database));
      report.held.push({ tenant, files: [], error: errorReport(error) });
    }
    report.tenants += 1;
    tell(options.onEvent, tenant, report.held[heldBefore], at, performance.now() - started);
    // The work is synchronous: signals and timers have their turn between two folders.
    await setImmediate();
  }
  if (whole && !report.interrupted) {
    const orphans = [...folders.names].filter((name) => !owned.has(name)).toSorted();
    report.orphans = orphans.map((name) => join(config.migrations.tenants, name));
  }
  report.durationMs = Math.round(performance.now() - started);
  return report;
}

/** What a tenant's folder is to hold: read and put together once for all that have the same plugins. */
function wantedFolders(
  core: CoreFolder,
  config: Config,
): (plugins?: readonly string[]) => Promise<CoreFolder> {
  const read = new Map<string, CoreFolder>();
  const combined = new Map<string, CoreFolder>();
  const readOnce = async (plugin: string): Promise<CoreFolder> => {
    const folder =
      read.get(plugin) ?? (await readCoreFolder(pluginFolder(config, plugin), config.migrations, plugin));
    read.set(plugin, folder);
    return folder;
  };
  return async (plugins = []) => {
    if (plugins.length === 0) return core;
    const key = plugins.join('\n');
    const known = combined.get(key) ?? withPluginFiles(core, await Promise.all(plugins.map(readOnce)));
    combined.set(key, known);
    return known;
  };
}

/** For the progress: held back is what it shows as failed. */
function tell(
  onEvent: OnEvent | undefined,
  tenant: TenantRef,
  held: HeldFolder | undefined,
  from: number,
  at: number,
): void {
  const nothing = { from: null, to: null, applied: [], pending: [], notices: [], attempts: 1 };
  const outcome = held
    ? ({ outcome: 'failed', error: held.error } as const)
    : ({ outcome: 'current' } as const);
  onEvent?.({
    type: 'tenant-finished',
    at,
    result: { tenant, ...nothing, ...outcome, durationMs: at - from },
  });
}

function record(report: SyncReport, tenant: TenantRef, plan: FolderPlan): void {
  const error = problemOf(tenant, plan);
  const clashes = plan.clashes.map(({ own }) => own);
  if (error) report.held.push({ tenant, files: [...clashes, ...plan.edited], error: errorReport(error) });
  if (clashes.length) return;
  const [copied, updated, pruned] = [plan.copy.length, plan.update.length, plan.prune.length];
  report.copied += copied;
  report.updated += updated;
  report.pruned += pruned;
  report.unchanged += plan.unchanged.length;
  report.stale += plan.stale.length;
  if (copied + updated + pruned) report.changes.push({ tenant, copied, updated, pruned });
}

function problemOf(tenant: TenantRef, { clashes, edited }: FolderPlan): MpmError | undefined {
  const subject = tenant.name || tenant.id;
  const [clash] = clashes;
  if (clash) {
    const more = clashes.length > 1 ? `, and ${clashes.length - 1} more like it` : '';
    const message =
      clash.own === clash.core
        ? `${clash.own} is this tenant's own file, and core has another of that name${more}`
        : `${clash.own} has the number of core's ${clash.core}${more}`;
    return new MpmError('TENANT_FOLDER', message, {
      subject,
      hint: `Nothing was copied to this folder. ${capital(clash.remedy)}.`,
    });
  }
  if (!edited.length) return undefined;
  const more = edited.length > 1 ? ` and ${edited.length - 1} more` : '';
  return new MpmError('TENANT_FOLDER', `${edited[0]}${more}: edited after it was copied from core`, {
    subject,
    hint: `It wasn't changed. To replace it with core: mpm-migrate sync --overwrite --tenant ${idWord(tenant.id)}`,
  });
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
