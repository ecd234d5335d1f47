import type { Config } from '../../config/define.ts';
import type { ErrorReport } from '../../errors.ts';
import { compareNames } from '../../engine/source/name.ts';
import { idWord } from '../../shell-word.ts';
import { hintForAll, hintTemplate } from './group-hint.ts';
import {
  compareIds,
  isFailure,
  type FailureGroup,
  type GrownTool,
  type RunCounts,
  type RunReport,
  type TenantRef,
  type TenantResult,
  type WaveReport,
} from './report.ts';

/** What a report says that is known before the first tenant. */
export type ReportHead = Pick<RunReport, 'run' | 'verb' | 'selection' | 'toolVersion' | 'startedAt'>;

/** So many different failures are told apart; beyond, only by code and migration: a message that names something
 * else for every tenant must not cost memory per tenant. */
const MOST_GROUPS = 100;
/** So many results of a selection by name are kept. */
const MOST_RESULTS = 1000;

/** Builds the report while the tenants end; keeps counts, groups of equal failures and who failed. */
export class ReportBuilder {
  readonly #head: ReportHead;
  readonly #results: TenantResult[] | undefined;
  readonly #counts: RunCounts = emptyCounts();
  readonly #groups = new Map<string, FailureGroup>();
  readonly #skipped = new Map<string, number>();
  readonly #notices = new Map<string, number>();
  readonly behind = new BehindCore();
  unmet: string | undefined;
  grown: readonly GrownTool[] = [];
  waves: WaveReport[] | undefined;
  /** Somebody said that nothing more is to be started. */
  stopped = false;
  error: ErrorReport | undefined;

  constructor(head: ReportHead, options: { keepResults: boolean }) {
    this.#head = head;
    this.#results = options.keepResults ? [] : undefined;
  }

  get counts(): Readonly<RunCounts> {
    return this.#counts;
  }

  add(result: TenantResult): void {
    this.#counts.total += 1;
    this.#counts[result.outcome] = (this.#counts[result.outcome] ?? 0) + 1;
    if (result.reason) increase(this.#skipped, result.reason);
    for (const notice of result.notices) increase(this.#notices, notice);
    if (isFailure(result.outcome)) this.#addFailure(result);
    if (this.#results && this.#results.length < MOST_RESULTS) this.#results.push(result);
  }

  /** Something about the run as a whole. */
  notice(message: string): void {
    increase(this.#notices, message);
  }

  finish(end: { durationMs: number; interrupted: boolean }): RunReport {
    return {
      ...this.#head,
      ...end,
      interrupted: end.interrupted || this.stopped,
      counts: { ...this.#counts },
      failures: [...this.#groups.values()]
        .map((group) => withHint({ ...group, tenants: group.tenants.toSorted(byTenantId) }, this.#head.run))
        .sort((a, b) => b.count - a.count),
      skipped: [...this.#skipped]
        .map(([reason, count]) => ({ reason, count }))
        .sort((a, b) => b.count - a.count),
      notices: [...this.#notices].map(([text, count]) => (count > 1 ? `${text} (${count} tenants)` : text)),
      ...this.behind.said,
      ...(this.grown.length ? { grown: this.grown } : {}),
      ...(this.unmet === undefined ? {} : { unmet: this.unmet }),
      ...(this.waves ? { waves: this.waves } : {}),
      ...(this.#results ? { tenants: this.#results.toSorted(byId) } : {}),
      ...(this.error ? { error: this.error } : {}),
    };
  }

  /** Where a tenant stands is known, and worth a line, when it is a migration that failed. */
  #headOf(error: ErrorReport, at: string | null): Pick<FailureGroup, 'at'> {
    return error.migration === undefined ? {} : { at };
  }

  #addFailure({ tenant, error, to }: TenantResult): void {
    if (!error) return;
    const exact = failureKey(error, tenant);
    const known = this.#groups.get(exact);
    const key = known || this.#groups.size < MOST_GROUPS ? exact : coarseKey(error);
    const group = known ?? this.#groups.get(key);
    if (group) {
      group.count += 1;
      group.tenants.push(tenant);
      if (group.at !== to) delete group.at;
    } else {
      const { hint } = error;
      const template = hint === undefined ? {} : { hint: hintTemplate(hint, idWord(tenant.id)) };
      this.#groups.set(key, {
        error: { ...error, ...template },
        count: 1,
        tenants: [tenant],
        ...this.#headOf(error, to),
      });
    }
  }
}

/** What two failures have in common when they are the same one: code, SQLSTATE, migration, message but for names. */
export function failureKey(error: ErrorReport, tenant: TenantRef): string {
  return `${coarseKey(error)}\n${normalised(error.message, tenant)}`;
}

function coarseKey(error: ErrorReport): string {
  return [error.code, error.database?.code ?? '', error.migration ?? ''].join('\n');
}

/** A message without what differs from tenant to tenant: its own names, and numbers. */
function normalised(message: string, { name, database, id }: TenantRef): string {
  const own = [database, name, id].filter((word) => /\D/.test(word)).sort((a, b) => b.length - a.length);
  return own.reduce(withoutWord, message).replaceAll(/\d+/g, '#');
}

/** A tenant called "a" must not take the letter out of every word. */
function withoutWord(text: string, word: string): string {
  let result = '';
  let behind = 0;
  let at = text.indexOf(word);
  while (at >= 0) {
    const end = at + word.length;
    const isWhole =
      !ENDS_IN_WORD.test(text.slice(Math.max(0, at - 2), at)) &&
      !BEGINS_IN_WORD.test(text.slice(end, end + 2));
    if (isWhole) {
      result += `${text.slice(behind, at)}…`;
      behind = end;
    }
    at = text.indexOf(word, isWhole ? end : at + 1);
  }
  return result + text.slice(behind);
}

const ENDS_IN_WORD = /[\p{L}\p{N}_]$/u;
const BEGINS_IN_WORD = /^[\p{L}\p{N}_]/u;

/** Counts a text; one that would be the 101st of its kind is counted with the rest. */
function increase(counts: Map<string, number>, text: string): void {
  const key = counts.has(text) || counts.size < MOST_GROUPS ? text : 'others';
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

export function emptyCounts(): RunCounts {
  return {
    total: 0,
    migrated: 0,
    reverted: 0,
    current: 0,
    pending: 0,
    refused: 0,
    failed: 0,
    busy: 0,
    skipped: 0,
    executed: 0,
  };
}

/** What to type, for all of the group. */
function withHint(group: FailureGroup, run: number | null): FailureGroup {
  const { error, tenants } = group;
  const [first] = tenants;
  if (error.hint === undefined || first === undefined) return group;
  const hint =
    tenants.length === 1
      ? error.hint.replaceAll('{tenant}', idWord(first.id))
      : hintForAll(
          error.hint,
          tenants.map(({ id }) => id),
          run === null ? {} : { where: `mpm-migrate run show ${run} --failed` },
        );
  return { ...group, error: { ...error, hint } };
}

function byId(a: TenantResult, b: TenantResult): number {
  return byTenantId(a.tenant, b.tenant);
}

function byTenantId(a: TenantRef, b: TenantRef): number {
  return compareIds(a.id, b.id);
}

/** So many are named. */
const NAMED = 5;

/**
 * How many core migrations a tenant's own folder lacks that it is not meant to lack, up to the one with which a run
 * ends.
 */
export function behindCore(
  { folders, migrations }: Pick<Config, 'folders' | 'migrations'>,
  lacksCore: readonly string[],
  to?: string,
): number {
  if (folders === 'pinned') return 0;
  if (to === undefined) return lacksCore.length;
  return lacksCore.filter((name) => compareNames(name, to, migrations.order) <= 0).length;
}

/** Who is behind core (fleet 32): how many, and the first of them. */
class BehindCore {
  #count = 0;
  readonly #first: TenantRef[] = [];

  add({ id, name, database, server }: TenantRef): void {
    this.#count += 1;
    if (this.#first.length < NAMED) this.#first.push({ id, name, database, server });
  }

  /** As reports say it. */
  get said(): { foldersBehind: number; behindCore?: TenantRef[] } {
    const behindCore = this.#first.toSorted((a, b) => compareIds(a.id, b.id));
    return { foldersBehind: this.#count, ...(this.#count ? { behindCore } : {}) };
  }
}
