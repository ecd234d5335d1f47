import type { Migration } from '../../engine/migration.ts';
import { textOf } from './modules.ts';

const SEGMENTS = 3;

/** The last parts of a path, the longest first: where a changelog is taken from, its table doesn't say. */
function endsOf(path: string): string[] {
  const parts = path.split(/[/\\:]/).filter(Boolean);
  const most = Math.min(SEGMENTS, parts.length);
  return Array.from({ length: most }, (_, at) => parts.slice(at - most).join('/'));
}

/** @param count how many changesets of it have run: a file of which some have not is none that was applied */
export function changesetKeys(path: string, count: number): string[] {
  return endsOf(path).map((end) => `${end} ${count}`);
}

export function changesetKeysOf({ path, up }: Migration): string[] {
  // Of formatted SQL, a file with more than one is refused when it's read.
  const count = up.kind === 'foreign' ? changesetsIn(textOf(path)) : 1;
  return changesetKeys(path, count);
}

function changesetsIn(text: string): number {
  return text.match(/<changeSet\b|["']?\bchangeSet["']?\s*:/g)?.length ?? 0;
}
