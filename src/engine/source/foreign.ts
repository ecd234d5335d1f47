/** The languages of migrations that can't be run here, each with the tools that have such files. */
const LANGUAGES: Readonly<Record<string, string>> = {
  go: 'Go (goose)',
  php: 'PHP (Laravel)',
  py: 'Python (Django, Alembic)',
  rb: 'Ruby (Rails)',
  java: 'Java (Flyway)',
  kt: 'Kotlin (Flyway)',
  xml: 'XML (Liquibase)',
  yaml: 'YAML (Liquibase)',
  yml: 'YAML (Liquibase)',
  exs: 'Elixir (Ecto)',
  cs: 'C# (Entity Framework)',
};

const EXTENSION = new RegExp(String.raw`(?:\.(up|down))?\.(${Object.keys(LANGUAGES).join('|')})$`);

/** The language and tool of a file, by its extension, and its name without it; undefined: it's no foreign migration's. */
export function foreignFile(file: string): { name: string; tool: string; down: boolean } | undefined {
  const [whole = '', way, extension = ''] = EXTENSION.exec(file) ?? [];
  const tool = LANGUAGES[extension];
  if (tool === undefined) return undefined;
  return { name: file.slice(0, -whole.length), tool, down: way === 'down' };
}

const IMPORT = String.raw`\b(?:from|import|require)\s*\(?\s*['"]`;
const imports = (module: string) => new RegExp(`${IMPORT}${module}['"/]`);
/** The first parameter of `up`, however it is written. */
const taking = (name: string) =>
  new RegExp(
    String.raw`\bup['"]?\s*[=:]?\s*(?:async\s*)?(?:function\s*\w*\s*)?\(?\s*(?:\{\s*context\s*:\s*)?${name}\b`,
  );

const BY_IMPORT: readonly [tool: string, pattern: RegExp][] = [
  ['TypeORM', /\bimplements\s+MigrationInterface\b/],
  ['TypeORM', imports('typeorm')],
  ['MikroORM', imports('@mikro-orm')],
  ['node-pg-migrate', imports('node-pg-migrate')],
  ['Knex', imports('knex')],
  ['Sequelize', imports('sequelize(?:-typescript|-cli)?')],
  ['Umzug', imports('umzug')],
  ['db-migrate', /\boptions\.dbmigrate\b/],
];
const BY_PARAMETER: readonly [tool: string, pattern: RegExp][] = [
  ['Knex', taking('knex')],
  ['Sequelize', taking('queryInterface')],
  ['TypeORM', taking('queryRunner')],
  ['node-pg-migrate', taking('pgm')],
];

/**
 * The tool that a module is written for, by what it imports, and what its `up` takes; undefined: it is Kysely's.
 * The module is not loaded: what it imports may not be there.
 * @param source its text
 */
export function foreignModule(source: string): string | undefined {
  const text = withoutComments(source);
  if (imports('kysely').test(text)) return undefined;
  const found = BY_IMPORT.find(([, pattern]) => pattern.test(text));
  if (found) return found[0];
  // A Kysely migration may call its parameter anything, but it executes what it builds.
  if (/\.execute\w*\(/.test(text)) return undefined;
  return BY_PARAMETER.find(([, pattern]) => pattern.test(text))?.[0];
}

/** Whether a module does nothing but import and export what others have: an index. */
export function onlyReexports(source: string): boolean {
  const rest = withoutComments(source)
    .replace(/\b(?:import|export)\b[^;'"]*\bfrom\s*['"][^'"\n]+['"]\s*;?/g, '')
    .replace(/\bexport\s*\{[^}]*\}\s*;?/g, '')
    .replace(/['"]use strict['"]\s*;?/g, '');
  return rest.trim() === '' && /\bexport\b/.test(source);
}

/** Whether a module has a function `up` for others, as far as its text shows it. */
export function exportsUp(source: string): boolean {
  return EXPORTS_UP.test(withoutComments(source));
}

const EXPORTS_UP =
  /\bexport\s+(?:async\s+)?(?:function\s*\*?|const|let|var)\s+up\b|\bexport\s*\{[^}]*\bup\b|\bexports\b|\bexport\s+default\b|\bexport\s*\*/;

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\/|(?<![:'"])\/\/[^\n]*/g, '');
}
