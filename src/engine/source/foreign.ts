/** Whose a migration is by its extension alone: none of these can be run here. */
const BY_EXTENSION: Readonly<Record<string, string>> = {
  go: 'goose',
  php: 'Laravel',
  py: 'Django or Alembic',
  rb: 'Rails',
  java: 'Flyway',
  kt: 'Flyway',
  xml: 'Liquibase',
  yaml: 'Liquibase',
  yml: 'Liquibase',
  exs: 'Ecto',
  cs: 'Entity Framework',
};

const EXTENSION = new RegExp(String.raw`\.(${Object.keys(BY_EXTENSION).join('|')})$`);

/** The tool that runs files with this extension, and the name without it; undefined: it's no foreign migration's. */
export function foreignFile(file: string): { name: string; tool: string } | undefined {
  const extension = EXTENSION.exec(file)?.[1];
  const tool = extension === undefined ? undefined : BY_EXTENSION[extension];
  if (tool === undefined) return undefined;
  return { name: file.replace(EXTENSION, ''), tool };
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

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\/|(?<![:'"])\/\/[^\n]*/g, '');
}
