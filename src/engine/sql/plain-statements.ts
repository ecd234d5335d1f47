import { MpmError } from '../../errors.ts';
import { excerptAt } from './locate.ts';
import { scan, type ScanProblem, type Statement } from './scan.ts';

const PROBLEMS: Record<ScanProblem['kind'], string> = {
  quote: 'a quote is not closed',
  identifier: 'a quoted name is not closed',
  'dollar-quote': 'a dollar quote is not closed',
  comment: 'a comment is not closed',
  parenthesis: 'a parenthesis is not closed',
  nul: 'it contains a NUL character',
  'meta-command': 'a command of psql, which the server does not know',
  'copy-data': 'copy from stdin has no data here',
};

/**
 * Statements that are run as they are, in a transaction that they must not end: without a word that would, the
 * server holds a read-only one (engine 5).
 * @param source what they came from, for the message
 * @throws MpmError USAGE at the place
 */
export function requirePlainStatements(sql: string, source: string, { write }: { write: boolean }): void {
  const { statements, problems } = scan(sql);
  const [problem] = problems;
  if (problem) throw refused(sql, source, problem.offset, PROBLEMS[problem.kind]);
  if (statements.length === 0) {
    throw new MpmError('USAGE', `${source}: no statements`, {
      hint: "For example: --sql 'select count(*) from meters'",
    });
  }
  for (const statement of statements) {
    if (endsTransaction(statement)) {
      throw refused(
        sql,
        source,
        statement.start,
        `${statement.words[0]?.toUpperCase()} is not for exec`,
        write
          ? 'All statements run in one transaction per tenant; remove it.'
          : 'The statements run in one read-only transaction per tenant; remove it.',
      );
    }
    if (statement.words[0] === 'copy' && (!write || statement.words.includes('stdout'))) {
      throw refused(sql, source, statement.start, 'COPY is not for exec', 'Use select, with --format csv.');
    }
  }
}

/** Whether it begins or ends a transaction; a savepoint does neither. */
export function endsTransaction({ words }: Pick<Statement, 'words'>): boolean {
  const [first = '', second = '', third = ''] = words;
  if (first === 'rollback') return second !== 'to' && third !== 'to';
  if (first === 'prepare') return second === 'transaction';
  return ['begin', 'start', 'commit', 'end', 'abort'].includes(first);
}

function refused(sql: string, source: string, offset: number, what: string, hint?: string): MpmError {
  return new MpmError('USAGE', what, {
    excerpt: excerptAt(source, sql, offset),
    hint: hint ?? 'Fix it. Nothing was sent to any tenant.',
  });
}
