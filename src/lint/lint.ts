import { readFileSync } from 'node:fs';
import type { SourceExcerpt } from '../errors.ts';
import { fileLabel } from '../engine/source/files.ts';
import type { Migration, SqlScript } from '../engine/migration.ts';
import { blockedBy } from '../engine/sql/effects/lock-mode.ts';
import { excerptAt } from '../engine/sql/locate.ts';
import { type Note, scan } from '../engine/sql/scan.ts';
import { type Allow, allowOf, allowsInModule } from './allow.ts';
import type { AllowedFinding, Finding, Remark, Severity } from './finding.ts';
import { ALLOW_INVALID, ALLOW_UNUSED, RULES, SYNTAX } from './registry.ts';
import type { Context, Rule } from './rule.ts';
import { Schema } from './schema.ts';
import { type ReadScript, readStatements, type Statement } from './statements.ts';

/** Which rules hold, by their ids; the others as they are by themselves. */
export type Severities = Readonly<Record<string, Severity | 'off'>>;

export interface LintInput {
  /** In order: what those in front make is known to the rules. */
  migrations: readonly Migration[];
  /** Which of them are linted. */
  chosen(migration: Migration): boolean;
  severities: Severities;
  /** The SQL that a module sends; a text: why that is not known. */
  sent?(migration: Migration): { sql: string } | string | undefined;
}

/** A migration that no rule has seen. */
export interface NotLinted {
  migration: string;
  file: string;
  reason: string;
}

export interface LintResult {
  /** How many were linted. */
  linted: number;
  findings: Finding[];
  allowed: AllowedFinding[];
  notLinted: NotLinted[];
}

const PAGES = 'docs/lint';

/** Asks each rule about each chosen migration. Reads no database. */
export async function lintMigrations(input: LintInput): Promise<LintResult> {
  const { migrations, chosen, severities } = input;
  const schema = new Schema();
  const result: LintResult = { linted: 0, findings: [], allowed: [], notLinted: [] };
  const pending: {
    file: LintedFile;
    ruled: [Rule, Remark & { at?: Statement }][];
    context: Omit<Context, 'before'>;
  }[] = [];
  for (const migration of migrations) {
    const isChosen = chosen(migration);
    const script = scriptOf(migration, input);
    if (typeof script === 'string') {
      if (isChosen)
        result.notLinted.push({ migration: migration.name, file: migration.path, reason: script });
      continue;
    }
    const read = await readStatements(script);
    if (!isChosen) {
      for (const { tree } of read.statements) schema.apply(tree, migration);
      continue;
    }
    const down =
      migration.down?.kind === 'sql' ? (await readStatements(migration.down)).statements : undefined;
    const context = { migration, schema, statements: read.statements, migrations, ...(down && { down }) };
    const ruled: (typeof pending)[number]['ruled'] = [];
    for (const [index, statement] of read.statements.entries()) {
      const { transaction } = statement;
      const before = read.statements.slice(0, index).filter((each) => each.transaction === transaction);
      for (const rule of RULES) {
        const remarks = rule.statement?.(statement, { ...context, before }) ?? [];
        for (const remark of remarks) ruled.push([rule, { ...remark, at: statement }]);
      }
      schema.apply(statement.tree, migration);
    }
    pending.push({ file: new LintedFile(migration, script, read), ruled, context });
  }
  for (const { file, ruled, context } of pending) {
    for (const rule of RULES) for (const remark of rule.file?.(context) ?? []) ruled.push([rule, remark]);
    result.linted += 1;
    const { findings, allowed } = file.judge(ruled, severities);
    result.findings.push(...findings);
    result.allowed.push(...allowed);
  }
  return result;
}

function scriptOf(migration: Migration, { sent }: LintInput): SqlScript | string {
  const { up } = migration;
  if (up.kind === 'sql') return up;
  if (up.kind === 'foreign') return `it is ${up.tool}'s, and not SQL`;
  const known = sent?.(migration);
  if (typeof known !== 'object') return known ?? 'it is TypeScript';
  return { kind: 'sql', path: up.path, text: known.sql, sql: known.sql, start: 0, options: up.options };
}

/** A file that rules were asked about: its comments decide what becomes of their remarks. */
class LintedFile {
  readonly #migration: Migration;
  readonly #script: SqlScript;
  readonly #read: ReadScript;
  readonly #isModule: boolean;

  constructor(migration: Migration, script: SqlScript, read: ReadScript) {
    this.#migration = migration;
    this.#script = script;
    this.#read = read;
    this.#isModule = migration.up.kind === 'module';
  }

  judge(
    ruled: readonly (readonly [Rule, Remark & { at?: Statement }])[],
    severities: Severities,
  ): Pick<LintResult, 'findings' | 'allowed'> {
    const findings: Finding[] = [];
    const allowed: AllowedFinding[] = [];
    const severityOf = ({ id, severity }: Rule) => severities[id] ?? severity;
    const { allows, problems } = this.#allows();
    const used = new Set<Allow>();
    const add = (rule: Rule, remark: Remark, excerpt: SourceExcerpt, reason?: string) => {
      const severity = severityOf(rule);
      if (severity === 'off') return;
      const finding = this.#finding(rule, severity, remark, excerpt);
      if (reason === undefined) findings.push(finding);
      else allowed.push({ ...finding, reason });
    };
    for (const [rule, { at = this.#read.statements[0], ...remark }] of ruled) {
      const allow = allows.find((each) => each.rule === rule.id && this.#covers(each, at));
      if (allow) used.add(allow);
      add(rule, remark, this.#excerpt(at?.start ?? this.#script.start), allow?.reason);
    }
    for (const refused of this.#read.refused) {
      const { error } = refused;
      const excerpt = error.excerpt ?? this.#excerpt(this.#script.start);
      const allow = allows.find((each) => each.rule === SYNTAX.id && this.#covers(each, refused));
      if (allow) used.add(allow);
      add(
        SYNTAX,
        {
          message: `the parser refuses it: ${error.message}`,
          safe: '-- fix it; or, for what only an older server takes: off',
        },
        excerpt,
        allow?.reason,
      );
    }
    for (const { offset, ...remark } of problems) add(ALLOW_INVALID, remark, this.#excerpt(offset));
    for (const allow of allows) {
      const rule = RULES.find(({ id }) => id === allow.rule);
      if (used.has(allow) || !rule || severityOf(rule) === 'off') continue;
      add(
        ALLOW_UNUSED,
        { message: `allows ${allow.rule}, and there is nothing to allow`, safe: '-- remove the comment' },
        this.#excerpt(allow.offset),
      );
    }
    findings.sort((one, other) => one.line - other.line || one.column - other.column);
    return { findings, allowed };
  }

  /** Above the first section, and in a module, an allow holds for the whole file; else for the statement below it. */
  #covers({ offset }: Allow, below: { notes: readonly Note[] } | undefined): boolean {
    if (this.#isModule || offset < this.#script.start) return true;
    return below?.notes.some((note) => note.offset === offset) ?? false;
  }

  #allows(): { allows: Allow[]; problems: (Remark & { offset: number })[] } {
    const { text, start, sql } = this.#script;
    const notes = this.#isModule ? [] : scan(text.slice(0, start + sql.length)).notes;
    const found = this.#isModule
      ? allowsInModule(readFileSync(this.#migration.path, 'utf8'))
      : notes.flatMap((note) => allowOf(note) ?? []);
    const known = new Set(RULES.map(({ id }) => id));
    const problems = found.flatMap(({ rule, reason, offset }) => {
      if (known.has(rule) && reason !== '') return [];
      const message = known.has(rule)
        ? `allows ${rule} without a reason`
        : `no rule is called ${JSON.stringify(rule)}`;
      const safe = known.has(rule) ? `-- mpm:allow ${rule} because …` : `-- the rules: ${PAGES}/README.md`;
      return { message, safe, offset };
    });
    return { allows: found.filter(({ rule, reason }) => known.has(rule) && reason !== ''), problems };
  }

  #excerpt(offset: number): SourceExcerpt {
    const { path, text } = this.#script;
    return excerptAt(path, text, offset);
  }

  #finding(
    { id: rule, hazard }: Rule,
    severity: Severity,
    { message, lock, safe }: Remark,
    excerpt: SourceExcerpt,
  ): Finding {
    const place = this.#isModule ? { line: 1, column: 1 } : { line: excerpt.line, column: excerpt.column };
    return {
      rule,
      severity,
      migration: this.#migration.name,
      file: this.#migration.path,
      ...place,
      hazard,
      message,
      ...(lock && { lock: { ...lock, blocks: blockedBy(lock.mode) ?? null } }),
      safe,
      page: `${PAGES}/${rule}.md`,
      excerpt: this.#isModule
        ? { ...excerpt, file: `${fileLabel(excerpt.file)}, the SQL that it sends` }
        : excerpt,
    };
  }
}
