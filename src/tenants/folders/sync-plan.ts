import { arrange } from '../../engine/source/layout.ts';
import { type Naming, versionKey } from '../../engine/source/name.ts';
import { clashesOf } from '../../engine/source/name-rules.ts';
import type { Copy, Manifest } from './manifest.ts';

/** A file of the core folder, or of a plugin's. */
export interface CoreFile extends Copy {
  /** Relative to its folder, with `/`. */
  file: string;
  folder: string;
  /** The migration that it is, or is a part of; absent: what one imports. */
  name?: string;
}

/** What `sync` would do to one tenant's folder. File names without the folder. */
export interface FolderPlan {
  /** Core files that are not there. */
  copy: string[];
  /** Copies of what core has since changed, or with `overwrite`, that were edited by hand. */
  update: string[];
  unchanged: string[];
  /** Untouched copies whose core file is gone: to be removed. */
  prune: string[];
  /** The same, left alone because pruning was not asked for. */
  stale: string[];
  /** Copies that were edited by hand, and are left as they are. */
  edited: string[];
  /** The tenant's own files that stand where core files should: nothing is done to the folder. */
  clashes: { own: string; core: string; remedy: string }[];
  /** What the manifest holds afterwards. */
  copies: Record<string, Copy>;
}

export interface SyncFlags {
  /** Remove untouched copies whose core file is gone. */
  prune?: boolean;
  /** Replace copies that were edited by hand. */
  overwrite?: boolean;
}

/**
 * Decides what becomes of a tenant's folder.
 * @param folder the tenant's
 * @param present the files in the folder
 * @param contentOf what a file holds now; asked only for copies and for what has a core file's name
 */
export function planFolder(
  { files: core, naming }: { files: ReadonlyMap<string, CoreFile>; naming: Naming },
  { copies: known }: Manifest,
  folder: string,
  present: ReadonlySet<string>,
  contentOf: (file: string) => Copy,
  { prune, overwrite }: SyncFlags,
): FolderPlan {
  const plan: FolderPlan = {
    copy: [],
    update: [],
    unchanged: [],
    prune: [],
    stale: [],
    edited: [],
    clashes: [],
    copies: {},
  };
  const copyOf = (file: string) => (Object.hasOwn(known, file) ? known[file] : undefined);

  for (const { file, checksum, size, plugin } of core.values()) {
    const copy = copyOf(file);
    const origin = plugin === undefined ? {} : { plugin };
    const fresh = { checksum, size, ...origin };
    if (!present.has(file)) {
      plan.copy.push(file);
      plan.copies[file] = fresh;
      continue;
    }
    const now = contentOf(file);
    if (now.checksum === checksum) {
      plan.unchanged.push(file);
      const { size: its } = copy?.checksum === checksum ? copy : now;
      plan.copies[file] = { checksum, size: its, ...origin };
    } else if (copy && (now.checksum === copy.checksum || overwrite)) {
      plan.update.push(file);
      plan.copies[file] = fresh;
    } else if (copy) {
      plan.edited.push(file);
      plan.copies[file] = copy;
    } else {
      const remedy = `rename ${file}: it is the tenant's own, and core has a file of that name`;
      plan.clashes.push({ own: file, core: file, remedy });
    }
  }

  for (const [file, copy] of Object.entries(known)) {
    if (core.has(file) || !present.has(file)) continue;
    // Edited, it has become the tenant's own.
    if (contentOf(file).checksum !== copy.checksum) continue;
    if (prune) {
      plan.prune.push(file);
    } else {
      plan.stale.push(file);
      plan.copies[file] = copy;
    }
  }
  plan.clashes.push(...clashesWith(core, naming, folder, present, plan));
  return plan;
}

/** The tenant's own migrations that have the name, or take the number, of one of core: the folder would be refused. */
function clashesWith(
  core: ReadonlyMap<string, CoreFile>,
  naming: Naming,
  folder: string,
  present: ReadonlySet<string>,
  plan: FolderPlan,
): FolderPlan['clashes'] {
  const pruned = new Set(plan.prune);
  const others = [...present].filter((file) => !core.has(file) && !pruned.has(file));
  if (!others.length) return [];
  const ofCore = new Map<string, { name: string; file: string }[]>();
  const coreNames = new Set<string>();
  for (const { name, file } of core.values()) {
    if (name === undefined || coreNames.has(name)) continue;
    coreNames.add(name);
    const same = ofCore.get(keyOf(name));
    if (same) same.push({ name, file });
    else ofCore.set(keyOf(name), [{ name, file }]);
  }
  const own = arrange(folder, others, naming, () => true).migrations;
  return own.flatMap(({ name, file }) => {
    const clash = (ofCore.get(keyOf(name)) ?? []).flatMap((each) =>
      clashesOf([each, { name, file }], naming, (item) => item.file).map(({ hint }) => ({
        core: each.file,
        hint,
      })),
    )[0];
    if (!clash) return [];
    const remedy = plan.stale.includes(file)
      ? `its core file is gone: mpm-migrate sync --prune removes it`
      : clash.hint;
    return [{ own: file, core: clash.core, remedy }];
  });
}

function keyOf(name: string): string {
  return versionKey(name) || name;
}
