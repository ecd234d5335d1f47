import type { Sign } from './sign.ts';

/** Whether a file is Liquibase's formatted SQL: its first line that isn't empty says so. */
export function isLiquibase(text: string): boolean {
  return /^\s*--\s*liquibase\s*formatted/i.test(text);
}

/** What a comment of such a file says to Liquibase, as its parser reads it; undefined: nothing. */
export function liquibaseSign(comment: string, startsLine: boolean): Sign | undefined {
  if (!startsLine) return undefined;
  if (comment.startsWith('/*')) return blockRollback(comment);
  const [, word = '', rest = ''] = /^--\s*([a-z-]+)(.*)$/i.exec(comment) ?? [];
  switch (word.toLowerCase()) {
    case 'liquibase':
      return { kind: 'none' };
    case 'changeset':
      return changeset(rest);
    case 'rollback':
      return rollback(comment, rest);
    case 'preconditions':
      return refused(
        'a precondition, and whether it holds would have to be asked of each tenant',
        'write the condition into the SQL (if exists, if not exists, a DO block), and remove it',
      );
    case 'property':
      return refused('a property, which Liquibase puts into the SQL', 'write its value there, and remove it');
    case 'ignorelines':
    case 'ignore':
      return refused('lines that Liquibase passes by', 'remove them, or make them comments');
    default:
      return word.toLowerCase().startsWith('precondition-')
        ? refused('part of a precondition', 'remove it with the precondition')
        : undefined;
  }
}

/** Of `--changeset`: attributes that change nothing here, and those that are refused, with why. */
const HARMLESS = new Set([
  'stripcomments',
  'splitstatements',
  'rollbacksplitstatements',
  'logicalfilepath',
  'created',
]);
const REFUSED: Readonly<Record<string, string>> = {
  context: 'in which contexts it runs is said by a switch of Liquibase',
  contextfilter: 'in which contexts it runs is said by a switch of Liquibase',
  labels: 'with which labels it runs is said by a switch of Liquibase',
  runwith: 'another program would have to run it',
  runwithspoolfile: 'another program would have to run it',
};
/** Those that are refused with any other value. */
const ONLY: Readonly<Record<string, { value: string; why: string }>> = {
  runonchange: { value: 'false', why: 'it runs again whenever it is changed, and a migration runs once' },
  runalways: { value: 'false', why: 'it runs each time, and a migration runs once' },
  failonerror: { value: 'true', why: 'its errors are passed by, and a migration that fails is not applied' },
  ignore: { value: 'false', why: 'Liquibase passes it by' },
  enddelimiter: { value: ';', why: 'PostgreSQL ends statements with ; alone' },
  rollbackenddelimiter: { value: ';', why: 'PostgreSQL ends statements with ; alone' },
};

function changeset(words: string): Sign {
  const [, attributes] = /^\s+(?:"[^"]+"|[^:]+):(?:"[^"]+"|\S+)(.*)$/.exec(words) ?? [];
  if (attributes === undefined) {
    return refused('--changeset without author and id', 'write --changeset AUTHOR:ID');
  }
  let options: string | undefined;
  for (const [, name = '', quoted] of attributes.matchAll(/(\w+):("[^"]*"|\S*)/g)) {
    const value = (quoted ?? '').replaceAll('"', '').toLowerCase();
    const key = name.toLowerCase();
    if (key === 'runintransaction') {
      if (value !== 'true') options = 'transaction:false';
      continue;
    }
    const why = key === 'dbms' ? dbmsProblem(value) : attributeProblem(key, value);
    if (why !== undefined) {
      const hint = `remove ${name}:${quoted ?? ''} if the changeset is to run at every tenant, once`;
      return refused(`${name}:${quoted ?? ''}: ${why}`, hint);
    }
  }
  return { kind: 'section', direction: 'up', options };
}

function attributeProblem(key: string, value: string): string | undefined {
  if (HARMLESS.has(key)) return undefined;
  const only = ONLY[key];
  if (only) return value === only.value ? undefined : only.why;
  return REFUSED[key] ?? 'what it means is not known here';
}

/** A changeset for other databases does not run on this one. */
function dbmsProblem(list: string): string | undefined {
  const names = list.split(',').map((name) => name.trim());
  const runs = names.some((name) => name === 'postgresql' || name === 'all');
  const others = names.every((name) => name.startsWith('!') && name !== '!postgresql');
  return runs || others ? undefined : 'Liquibase does not run it on PostgreSQL';
}

/** Liquibase wants one space behind the word; without one the line is a comment. */
function rollback(comment: string, rest: string): Sign | undefined {
  if (!rest.startsWith(' ')) return undefined;
  const said = rest.trim().toLowerCase();
  if (/changesetid/.test(said)) {
    return refused('a rollback that is another changeset', 'write its SQL behind --rollback');
  }
  const from = comment.length - rest.length + 1;
  const nothing = /^(?:not required|empty)/.test(said);
  return { kind: 'revert', from: nothing ? comment.length : from, to: comment.length };
}

function blockRollback(comment: string): Sign | undefined {
  const [start] = /^\/\*\s*liquibase\s*rollback\s*?(?=\n|\r|\*\/)/i.exec(comment) ?? [];
  return start === undefined
    ? undefined
    : { kind: 'revert', from: start.length, to: comment.length - '*/'.length };
}

function refused(what: string, hint: string): Sign {
  return { kind: 'refused', message: `Liquibase: ${what}`, hint };
}
