import type { AllowedFinding, Finding } from '../../lint/finding.ts';
import type { NotLinted } from '../../lint/lint.ts';

/** What `lint` found: what `--json` prints and the library returns. */
export interface LintReport {
  verb: 'lint';
  toolVersion: string;
  startedAt: string;
  durationMs: number;
  /**
   * Which migrations were chosen. `unapplied`: those that no tenant has applied. `changed`: those that a branch changes.
   * `named`: those that were asked for. `all`: nothing told which of them are new.
   */
  chosen: 'unapplied' | 'changed' | 'named' | 'all';
  /** Of `changed`: since which branch or commit, and its merge base with HEAD. */
  since?: { name: string; base: string };
  /** Why it was chosen like this, where something else would have been. */
  notices: string[];
  /** `migrations`: how many there are; `linted`: how many were judged. */
  counts: Record<'migrations' | 'linted' | 'errors' | 'warnings' | 'allowed', number>;
  /** By migration, in order, and then by line. */
  findings: Finding[];
  /** What a comment allows, with its reason. */
  allowed: AllowedFinding[];
  /** Chosen, and judged by no rule. */
  notLinted: NotLinted[];
}
