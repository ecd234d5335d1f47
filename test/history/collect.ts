import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { downMarked, goUpAndDown, type Halves, type Script } from './sections.ts';

/** A migration of somebody else's, as the tool that it was written for sees it. */
export interface Step {
  /** The name without extension and direction, with its folder where it has one. */
  name: string;
  file: string;
  up?: Script;
  down?: Script;
  /** Why psql can't run it: it isn't SQL. */
  foreign?: string;
}

export interface Collected {
  steps: Step[];
  /** Files that the tool itself passes by. */
  passedBy: string[];
}

type Read = (file: string) => string;
type Reader = (files: readonly string[], read: Read, passBy: (file: string) => void) => Step[];

/**
 * The files of a folder as the tool named reads them: which, in which order, in which transaction. This is the other
 * side of a comparison, so it uses nothing of mpm-migrate's own reading.
 */
export function collect(folder: string, tool: ToolName): Collected {
  const files = listFiles(folder);
  const passedBy: string[] = [];
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8');
  const steps = READERS[tool](files, read, (file) => passedBy.push(file));
  return { steps, passedBy };
}

/** Relative paths, at most one folder deep, by code unit. */
function listFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) =>
      entry.isDirectory()
        ? readdirSync(join(folder, entry.name)).map((file) => `${entry.name}/${file}`)
        : [entry.name],
    )
    .toSorted();
}

/**
 * `1_x.sql`, or a pair `1_x.up.sql` and `1_x.down.sql`, by the number in front. A way down whose slug is another belongs
 * to the only way up of its number.
 */
const numbered =
  (pattern: RegExp, noTransaction: (sql: string) => boolean = () => false): Reader =>
  (files, read, passBy) => {
    const steps = new Map<string, Step>();
    for (const file of files) {
      const [, stem = '', direction = 'up', extension = ''] = pattern.exec(file) ?? [];
      if (!stem) {
        passBy(file);
        continue;
      }
      const step = steps.get(stem) ?? { name: stem, file };
      steps.set(stem, step);
      if (extension !== 'sql') step.foreign = extension;
      const sql = read(file);
      step[direction as 'up' | 'down'] = { sql, transaction: !noTransaction(sql) };
      if (direction === 'up') step.file = file;
    }
    for (const stray of [...steps.values()].filter(({ up }) => !up)) {
      const ups = [...steps.values()].filter((step) => step.up && byNumber(step, stray) === 0);
      if (ups.length !== 1 || ups[0]!.down) continue;
      ups[0]!.down = stray.down!;
      steps.delete(stray.name);
    }
    return sorted([...steps.values()], byNumber);
  };

/** `NAME.sql` with a way up and one down in it. */
const halved =
  (pattern: RegExp, halves: (sql: string) => Halves, compare: (a: Step, b: Step) => number): Reader =>
  (files, read, passBy) => {
    const steps = files.flatMap((file): Step[] => {
      const [, name = '', extension = ''] = pattern.exec(file) ?? [];
      if (!name) passBy(file);
      if (!name) return [];
      return [{ name, file, ...(extension === 'sql' ? halves(read(file)) : { foreign: extension }) }];
    });
    return sorted(steps, compare);
  };

const READERS = {
  /** By the name of the folder; the whole file is one message, so a transaction unless it says otherwise. */
  prisma: (files, read, passBy) =>
    sorted(
      files.flatMap((file): Step[] => {
        const [name = '', inner] = file.split('/');
        if (inner === 'migration.sql') return [{ name, file, up: { sql: read(file), transaction: true } }];
        if (/^migration\.[jt]s$/.test(inner ?? '')) return [{ name, file, foreign: 'ts' }];
        passBy(file);
        return [];
      }),
      byName,
    ),

  /** What the journal lists, in its order. */
  drizzle: (files, read, passBy) => {
    const { entries } = JSON.parse(read('meta/_journal.json')) as { entries: { tag: string }[] };
    const listed = new Set(entries.map(({ tag }) => `${tag}.sql`));
    for (const file of files) if (!listed.has(file)) passBy(file);
    return entries.map(({ tag }) => ({
      name: tag,
      file: `${tag}.sql`,
      // It sends what is between two breakpoints by itself, so the semicolon may be missing.
      up: { sql: read(`${tag}.sql`).replaceAll('--> statement-breakpoint', ';'), transaction: true },
    }));
  },

  goose: halved(/^((?:\d+)_.*)\.(sql|go)$/, (sql) => goUpAndDown(sql, 'goose'), byNumber),
  'sql-migrate': halved(
    /^(.*)\.(sql)$/,
    (sql) => goUpAndDown(sql, 'migrate'),
    (a, b) => byNumber(a, b),
  ),
  dbmate: halved(
    /^(\d+.*)\.(sql)$/,
    (sql) => downMarked(sql, /^--\s*migrate:up\b.*$/m, /^--\s*migrate:down\b.*$/m, /transaction:false/),
    byName,
  ),
  tern: halved(
    /^(\d+_.+)\.(sql)$/,
    (sql) =>
      downMarked(sql, undefined, /^---- create above \/ drop below ----$/m, /^---- tern: disable-tx ----$/m),
    byNumber,
  ),
  'node-pg-migrate': halved(
    /^(\d+.*)\.(sql|[cm]?[jt]s)$/,
    (sql) => downMarked(sql, /^\s*--[\s-]*up\s+migration.*$/im, /^\s*--[\s-]*down\s+migration.*$/im),
    byNumber,
  ),

  'golang-migrate': numbered(/^(\d+_.*)\.(up|down)\.(.*)$/),
  sqlx: numbered(/^(\d+_.*?)(?:\.(up|down))?\.(sql)$/, (sql) => sql.startsWith('-- no-transaction')),
  plain: numbered(/^(\d+.*?)(?:\.(up|down))?\.(sql)$/),

  atlas: halved(
    /^(.*)\.(sql)$/,
    (sql) => ({ up: { sql, transaction: !/^-- atlas:txmode none$/m.test(sql.split(/\n\s*\n/)[0]!) } }),
    byName,
  ),

  /** `NAME/up.sql`; the version is what stands before the first underscore, without its dashes. */
  diesel: (files, read, passBy) => {
    const has = new Set(files);
    const steps: Step[] = [];
    for (const file of files) {
      const [name = '', inner] = file.split('/');
      if (inner === 'up.sql') {
        const metadata = `${name}/metadata.toml`;
        const transaction = !(has.has(metadata) && /run_in_transaction\s*=\s*false/.test(read(metadata)));
        const down = has.has(`${name}/down.sql`) && { sql: read(`${name}/down.sql`), transaction };
        steps.push({ name, file, up: { sql: read(file), transaction }, ...(down && { down }) });
      } else if (inner !== 'down.sql' && inner !== 'metadata.toml') passBy(file);
    }
    const version = ({ name }: Step): string => name.split('_')[0]!.replaceAll('-', '');
    return sorted(steps, (a, b) => compareText(version(a), version(b)));
  },

  /** The file for PostgreSQL, else the one for every database. */
  ory: (files, read, passBy) => {
    const pattern = /^(\d+)_([^.]+)(?:\.(?!autocommit)([a-z0-9]+))?(\.autocommit)?\.(up|down)\.sql$/;
    const steps = new Map<string, Step>();
    for (const pass of ['', 'postgres'])
      for (const file of files) {
        const [, version = '', slug = '', dialect = '', autocommit, direction = ''] =
          pattern.exec(file) ?? [];
        if (pass === '' && (!version || !['', 'postgres'].includes(dialect))) passBy(file);
        if (!version || dialect !== pass) continue;
        const step = steps.get(version) ?? { name: `${version}_${slug}`, file };
        steps.set(version, step);
        step[direction as 'up' | 'down'] = { sql: read(file), transaction: !autocommit };
        if (direction === 'up') step.file = file;
      }
    return sorted([...steps.values()], byName);
  },

  flyway: (files, read, passBy) => {
    const parts = ({ name }: Step): number[] => name.slice(1).split('__')[0]!.split(/[._]/).map(Number);
    const steps = files.flatMap((file): Step[] => {
      const [, name = '', extension = ''] = /^(V[0-9._]+__.*)\.(sql|java)$/.exec(file) ?? [];
      if (!name) passBy(file);
      if (!name) return [];
      return [
        {
          name,
          file,
          ...(extension === 'sql' ? { up: { sql: read(file), transaction: true } } : { foreign: 'java' }),
        },
      ];
    });
    return sorted(steps, (a, b) => compareParts(parts(a), parts(b)));
  },

  /** `2/01_x.up.sql`, by both numbers. */
  folders: (files, read, passBy) => {
    const steps = files.flatMap((file): Step[] => {
      const [, name = ''] = /^(\d+\/\d+_.*)\.up\.sql$/.exec(file) ?? [];
      if (!name) passBy(file);
      return name ? [{ name, file, up: { sql: read(file), transaction: true } }] : [];
    });
    const parts = ({ name }: Step): number[] => name.split('/').map((part) => Number.parseInt(part, 10));
    return sorted(steps, (a, b) => compareParts(parts(a), parts(b)));
  },

  /** Their own migrator runs them, not psql: see kysely.ts. */
  kysely: (files, _read, passBy) => {
    const steps = files.flatMap((file): Step[] => {
      const [, name = ''] = /^([^/]*)(?<!\.d)\.[cm]?[jt]s$/.exec(file) ?? [];
      if (!name) passBy(file);
      return name ? [{ name, file }] : [];
    });
    return sorted(steps, (a, b) => a.name.localeCompare(b.name));
  },
} satisfies Record<string, Reader>;

export type ToolName = keyof typeof READERS;
export const TOOLS = Object.keys(READERS) as ToolName[];

/** The tool that a folder seems to be for. */
export function guessTool(folder: string): ToolName {
  const files = listFiles(folder);
  const some = (pattern: RegExp): boolean => files.some((file) => pattern.test(file));
  if (existsSync(join(folder, 'meta/_journal.json'))) return 'drizzle';
  if (some(/\/migration\.sql$/)) return 'prisma';
  if (some(/\/up\.sql$/)) return 'diesel';
  if (some(/^\d+\/\d+_.*\.up\.sql$/)) return 'folders';
  if (some(/^V\d.*__.*\.sql$/)) return 'flyway';
  if (some(/^\d+_[^.]+\.(?:postgres|mysql|sqlite3|cockroach)(?:\.autocommit)?\.up\.sql$/)) return 'ory';
  if (some(/^\d+_.*\.up\.sql$/)) return 'golang-migrate';
  const texts = files
    .filter((file) => /^[^/]*\.sql$/.test(file))
    .map((file) => readFileSync(join(folder, file), 'utf8'));
  const marks: [ToolName, RegExp][] = [
    ['goose', /^-- \+goose Up/im],
    ['sql-migrate', /^-- \+migrate Up/m],
    ['dbmate', /^--\s*migrate:up/m],
    ['tern', /^---- create above/m],
    ['node-pg-migrate', /^-- Up Migration/im],
    ['atlas', /^-- atlas:/m],
    ['sqlx', /^-- no-transaction/],
  ];
  const marked = marks.find(([, mark]) => texts.some((text) => mark.test(text)));
  if (marked) return marked[0];
  return texts.length > 0 ? 'plain' : 'kysely';
}

function sorted<T extends Step>(steps: T[], compare: (a: T, b: T) => number): T[] {
  return steps.toSorted((a, b) => compare(a, b) || compareText(a.name, b.name));
}

function byName(a: Step, b: Step): number {
  return compareText(a.name, b.name);
}

/** Names that begin with a number first, by it. */
function byNumber(a: Step, b: Step): number {
  const [one, two] = [a, b].map(({ name }) => /^\d+/.exec(name)?.[0]);
  if (one === undefined || two === undefined) return Number(one === undefined) - Number(two === undefined);
  return compareBig(BigInt(one), BigInt(two));
}

function compareParts(a: readonly number[], b: readonly number[]): number {
  const at = Array.from({ length: Math.max(a.length, b.length) }).findIndex(
    (_, i) => (a[i] ?? 0) !== (b[i] ?? 0),
  );
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

function compareBig(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
