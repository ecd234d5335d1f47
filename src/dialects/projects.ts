import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative, resolve, sep } from 'node:path';
import { MpmError } from '../errors.ts';
import { type FolderListing, listFolder } from '../engine/source/layout.ts';
import type { MigrationFiles } from '../engine/source/pairs.ts';
import { divide } from '../engine/source/sections.ts';
import { scan } from '../engine/sql/scan.ts';

/** A folder of another tool's migrations, as it was found in a project. */
export interface FoundMigrations {
  /** Relative to the project, with `/`. */
  folder: string;
  /** Whose it seems to be, as its makers write it; absent: SQL files of nobody. */
  tool?: string;
  /** The file, relative to the project, that says where the folder is. */
  named?: string;
  /** How the files lie. */
  layout: string;
  migrations: number;
  /** Of these, written in what can't be run here. */
  foreign: number;
  /** Why the folder can't be used: it is for another database. */
  unusable?: string;
}

/** What a project's own files say: a tool, and where its migrations are. */
interface Clue {
  tool: string;
  /** The file that says so. */
  file: RegExp;
  /** Folders by the file's text; the first that is there counts. */
  folders(text: string): readonly (string | undefined)[];
  /** Its migrations need no numbers. */
  unnumbered?: true;
}

const FLYWAY = 'src/main/resources/db/migration';

/** In front: who says where the migrations are. */
const CLUES: readonly Clue[] = [
  {
    tool: 'Prisma',
    file: /^prisma\.config\.[mc]?[jt]s$/,
    folders: (text) => [
      valueOf(/\bmigrations\s*:[^]*/.exec(text)?.[0] ?? '', 'path'),
      ...besideSchema(valueOf(text, 'schema')),
    ],
  },
  {
    tool: 'Prisma',
    file: /^package\.json$/,
    folders: (text) => besideSchema(/"prisma"\s*:\s*\{[^}]*"schema"\s*:\s*"([^"]+)"/.exec(text)?.[1]),
  },
  { tool: 'Prisma', file: /^prisma\/schema\.prisma$/, folders: () => ['prisma/migrations'] },
  { tool: 'Prisma', file: /^schema\.prisma$/, folders: () => ['migrations'] },
  {
    tool: 'Drizzle',
    file: /^drizzle\.config\.(?:[mc]?[jt]s|json)$/,
    folders: (text) => [valueOf(text, 'out') ?? 'drizzle'],
  },
  {
    tool: 'diesel',
    file: /^diesel\.toml$/,
    folders: (text) => [
      /\[migrations_directory\][^[]*?\bdir\s*=\s*"([^"]+)"/.exec(text)?.[1] ?? 'migrations',
    ],
  },
  {
    tool: 'Knex',
    file: /^knexfile\.[mc]?[jt]s$/,
    folders: (text) => [valueOf(text, 'directory') ?? 'migrations'],
  },
  {
    tool: 'Kysely',
    unnumbered: true,
    file: /^kysely\.config\.[mc]?[jt]s$/,
    folders: (text) => [valueOf(text, 'migrationFolder') ?? 'migrations'],
  },
  {
    tool: 'Sequelize',
    file: /^\.sequelizerc$/,
    folders: (text) => [valueOf(text, 'migrations-path') ?? 'migrations'],
  },
  {
    tool: 'Flyway',
    file: /^flyway\.(?:conf|toml)$/,
    folders: (text) => [
      ...[...text.matchAll(/filesystem:([^\s,"'\]]+)/g)].map(([, folder]) => folder),
      'sql',
      FLYWAY,
    ],
  },
  {
    tool: 'Flyway',
    file: /^(?:pom\.xml|build\.gradle(?:\.kts)?)$/,
    folders: (text) => (/flyway/i.test(text) ? [FLYWAY] : []),
  },
  {
    tool: 'sql-migrate',
    file: /^dbconfig\.ya?ml$/,
    folders: (text) => [/^\s*dir:\s*["']?([^\s"']+)/m.exec(text)?.[1] ?? 'migrations'],
  },
  { tool: 'tern', file: /^tern\.conf$/, folders: () => ['migrations', 'db/migrations'] },
  {
    tool: 'Atlas',
    file: /^atlas\.hcl$/,
    folders: (text) => [/\bdir\s*=\s*"file:\/\/([^"?]+)/.exec(text)?.[1] ?? 'migrations'],
  },
  {
    tool: 'Alembic',
    unnumbered: true,
    file: /^alembic\.ini$/,
    folders: (text) =>
      [/^\s*script_location\s*=\s*(?:%\(here\)s\/)?(\S+)/m.exec(text)?.[1]].map(
        (folder) => folder && `${folder}/versions`,
      ),
  },
  {
    tool: 'sqlx',
    file: /^Cargo\.toml$/,
    folders: (text) => (/^\s*(?:\[dependencies\.)?sqlx\b/m.test(text) ? ['migrations'] : []),
  },
];

/** Where migrations are by custom, and nothing need say so. */
const CUSTOMARY = [
  'prisma/migrations',
  'drizzle',
  'db/migrations',
  'migrations',
  'src/migrations',
  'database/migrations',
  'db/migrate',
  'sql/migrations',
  'src/db/migrations',
  'src/database/migrations',
  'internal/db/migrations',
  'internal/database/migrations',
  'supabase/migrations',
  'db/migration',
  FLYWAY,
  'sql',
];

/**
 * Finds the folders of migrations in a project, by the configurations of their tools, and where they are by custom.
 * Nothing is run, and no other folder is searched.
 * @returns those that a file names first, and of the others those with more migrations
 */
export function findMigrations(root: string): FoundMigrations[] {
  const found = new Map<string, FoundMigrations>();
  const look = (folder: string, clue: Partial<Clue> & { named?: string }): boolean => {
    const path = resolve(root, folder);
    const relativePath = relative(root, path).split(sep).join('/') || '.';
    if (found.has(relativePath)) return true;
    const listing = listingOf(path);
    if (!listing || !(clue.unnumbered || isNumbered(listing))) return false;
    found.set(relativePath, describe(path, relativePath, listing, clue));
    return true;
  };
  const files = filesIn(root);
  for (const clue of CLUES) {
    for (const named of files.filter((each) => clue.file.test(each))) {
      const candidates = clue.folders(withoutComments(textOf(join(root, named))));
      candidates.some((folder) => folder !== undefined && look(folder, { ...clue, named }));
    }
  }
  const clues = found.size;
  for (const folder of CUSTOMARY) look(folder, {});
  const all = [...found.values()];
  return [
    ...all.slice(0, clues),
    ...all.slice(clues).toSorted((a, b) => b.migrations - a.migrations),
  ].toSorted((a, b) => Number(a.unusable !== undefined) - Number(b.unusable !== undefined));
}

function describe(
  path: string,
  folder: string,
  listing: FolderListing,
  { tool, named }: { tool?: string; named?: string },
): FoundMigrations {
  const { migrations, layout } = listing;
  const whose = tool ?? toolOf(path, folder, listing);
  const otherDatabase = listing.problems.find(({ hint }) =>
    hint?.startsWith('only migrations for PostgreSQL'),
  );
  return {
    folder,
    ...(whose === undefined ? {} : { tool: whose }),
    ...(named === undefined ? {} : { named }),
    layout,
    migrations: migrations.length,
    foreign: migrations.filter(({ kind }) => kind === 'foreign').length,
    ...(otherDatabase && { unusable: otherDatabase.message }),
  };
}

/** By what lies beside its files, what is in them, and how they are called. */
function toolOf(
  path: string,
  folder: string,
  { layout, migrations, passedBy }: FolderListing,
): string | undefined {
  const beside = new Set(passedBy.map((each) => each.path));
  if (beside.has('migration_lock.toml')) return 'Prisma';
  if (beside.has('atlas.sum')) return 'Atlas';
  const inLayout = /\((Drizzle|Flyway|diesel)\)/.exec(layout)?.[1];
  if (inLayout !== undefined) return inLayout;
  const marked = markedBy(path, migrations);
  if (marked !== undefined) return marked;
  const foreign = migrations.find((each) => each.tool !== undefined)?.tool;
  // `PHP (Laravel)`: the tool, where the language has one.
  if (foreign !== undefined) return /\((.+)\)$/.exec(foreign)?.[1] ?? foreign;
  if (migrations.some(({ kind }) => kind === 'module')) return 'Kysely';
  if (layout.startsWith('NAME/migration.sql')) return 'Prisma';
  if (layout.startsWith('NAME/up.sql')) return 'diesel';
  if (folder.startsWith('supabase/')) return 'Supabase';
  return migrations.some(({ kind }) => kind === 'pair') ? 'golang-migrate' : undefined;
}

/** So many files of a folder are read to see whose they are. */
const READ = 10;

function markedBy(path: string, migrations: readonly MigrationFiles[]): string | undefined {
  const files = migrations.filter(({ kind }) => kind === 'sql').slice(0, READ);
  for (const { file } of files) {
    const text = textOf(join(path, file));
    const { tool } = divide(text, scan(text), 'both', { transaction: true });
    // Ours are dbmate's.
    if (tool !== undefined) return tool === 'mpm-migrate' ? 'dbmate' : tool;
  }
  return undefined;
}

/** Undefined: there is no such folder, or nothing like a migration in it. */
function listingOf(folder: string): FolderListing | undefined {
  try {
    const listing = listFolder(folder);
    return listing.migrations.length ? listing : undefined;
  } catch (error) {
    if (error instanceof MpmError) return undefined;
    throw error;
  }
}

/** A folder of SQL by that name alone need not hold migrations. */
function isNumbered({ migrations }: FolderListing): boolean {
  return migrations.filter(({ version }) => version !== '').length * 2 > migrations.length;
}

function besideSchema(schema: string | undefined): string[] {
  if (schema === undefined) return [];
  // A schema of several files is a folder.
  return schema.endsWith('.prisma')
    ? [posix.join(posix.dirname(schema), 'migrations')]
    : [posix.join(schema, 'migrations'), posix.join(schema, '../migrations')];
}

/** What a key has in the text of a configuration: a text, or `path.join` of texts; undefined for what must be run to be known. */
function valueOf(text: string, key: string): string | undefined {
  const value = new RegExp(
    String.raw`['"]?(?<![\w-])${key}['"]?\s*:\s*(?:(['"\`])([^'"\`$\n]+)\1|(?:path\.)?(?:join|resolve)\(([^)]*)\))`,
  ).exec(text);
  if (value?.[2] !== undefined) return value[2];
  const parts = [...(value?.[3] ?? '').matchAll(/(['"`])([^'"`$\n]+)\1/g)].map(([, , part = '']) => part);
  return parts.length ? posix.join(...parts) : undefined;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|^\s*(?:\/\/|#).*$/gm, '');
}

/** The files that say something of a project: those at its top, and Prisma's. */
function filesIn(root: string): string[] {
  const prisma = 'prisma/schema.prisma';
  return [...readdirSync(root), ...(existsSync(join(root, prisma)) ? [prisma] : [])];
}

/** Empty where it can't be read: then it says nothing. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
