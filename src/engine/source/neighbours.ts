/** What a file that another tool put beside migrations says, and what to do. */
interface Complaint {
  message: string;
  hint: string;
}

const DECLARATION = /\.d\.[mc]?ts$/;
const INDEX = /^index\.[mc]?[jt]s$/;
/** What the repository or another tool puts beside migrations. */
export const KNOWN: readonly [pattern: RegExp, what: string][] = [
  [/^\./, 'hidden'],
  [DECLARATION, 'type declarations'],
  [INDEX, 'an index of modules'],
  [/^(?:readme|license|changelog|contributing|notice)\b/i, 'documentation'],
  [/\.(?:md|txt|adoc|rst)$/i, 'documentation'],
  [/\.map$/, 'a source map'],
  [/^migration_lock\.toml$/, "Prisma's lock file"],
  [/^atlas\.sum$/, "Atlas's checksums"],
  [/^flyway\.(?:conf|toml)$/, "Flyway's configuration"],
  [/(?:^|[.-])lock(?:\.(?:json|ya?ml))?$/, 'a lock file'],
  [/^(?:package|tsconfig)\b.*\.json$/, 'configuration'],
  [/^(?:Makefile|Dockerfile)$/, 'a build file'],
  [/^__init__\.py$/, 'a Python package'],
  [/_test\.go$/, 'a test'],
];

const MORE =
  /^(?:before|after)(?:Each)?(?:Migrate|Undo|Clean|Info|Validate|Baseline|Repair|Repeatables|Versioned|Connect|CreateSchema)\w*\.sql$|^createSchema(?:__\w*)?\.sql$/;

/** What Flyway runs besides versions, and what to do about it. */
export function flywayProblem(file: string): { what: string; hint: string } | undefined {
  if (/^R__.*\.sql$/.test(file)) {
    return {
      what: 'is a repeatable migration: Flyway runs it again whenever it changes',
      hint: 'move it out of the folder; where it changes, put its SQL into a new migration',
    };
  }
  if (/^B\d[\d._]*__.*\.sql$/.test(file)) {
    return {
      what: 'is a baseline migration, which Flyway runs in the place of older ones',
      hint: 'move it out of the folder: new tenants run the versioned migrations',
    };
  }
  if (file.endsWith('.sql.conf')) {
    return {
      what: "is Flyway's configuration of one migration",
      hint: 'move it out of the folder; in the place of executeInTransaction=false, write -- migrate:up transaction:false at the start of the migration',
    };
  }
  if (MORE.test(file)) {
    return {
      what: 'is a Flyway callback, and there are no callbacks',
      hint: 'move it out of the folder; put what must be done once into a migration',
    };
  }
  return undefined;
}

export const PRISMA_LOCK = 'migration_lock.toml';
const ELSEWHERE = 'only migrations for PostgreSQL can be run: point migrations.core at those';

/** What is wrong with Prisma's lock file. */
export function lockProblem(text: string): Complaint | undefined {
  const [, provider] = /^\s*provider\s*=\s*"([^"]*)"/m.exec(text) ?? [];
  if (provider === undefined || ['postgresql', 'postgres'].includes(provider)) return undefined;
  return { message: `${PRISMA_LOCK} says that these migrations are for ${provider}`, hint: ELSEWHERE };
}

export const JOURNAL = 'meta/_journal.json';

/** The names in Drizzle's journal, in its order; of one that is of no use, why. */
export function readJournal(text: string): string[] | Complaint {
  let journal: { dialect?: unknown; entries?: unknown } | null;
  try {
    journal = JSON.parse(text) as typeof journal;
  } catch {
    return { message: `${JOURNAL} is no journal of Drizzle: it isn't JSON`, hint: 'restore it' };
  }
  const { dialect, entries } = journal ?? {};
  if (typeof dialect === 'string' && !['postgresql', 'pg'].includes(dialect)) {
    return { message: `${JOURNAL} says that these migrations are for ${dialect}`, hint: ELSEWHERE };
  }
  const tags = Array.isArray(entries)
    ? entries.map((entry) => (entry as { tag?: unknown } | null)?.tag)
    : [undefined];
  if (tags.every((tag) => typeof tag === 'string')) return tags;
  return { message: `${JOURNAL} is no journal of Drizzle: it has no entries with tags`, hint: 'restore it' };
}

/** What a journal says otherwise than the files. @param names in their order */
export function journalProblems(journal: readonly string[], names: readonly string[]): Complaint[] {
  const places = new Map(names.map((name, index) => [name, index]));
  const missing = journal
    .filter((tag) => !places.has(tag))
    .map((tag) => ({
      message: `${JOURNAL} names ${tag}, and there is no ${tag}.sql`,
      hint: 'restore the file, or remove the entry',
    }));
  const known = journal.filter((tag) => places.has(tag));
  const late = known.findIndex(
    (tag, index) => (places.get(known[index - 1] ?? tag) ?? 0) > (places.get(tag) ?? 0),
  );
  if (late < 0) return missing;
  const message = `${JOURNAL} has ${known[late]} behind ${known[late - 1]}, and their names say the opposite`;
  const hint = /^\d/.test(known[late] ?? '')
    ? 'sort its entries by their tags'
    : 'number the files and their tags in the order of the journal';
  return [...missing, { message, hint }];
}
