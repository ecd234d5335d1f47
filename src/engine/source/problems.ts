import { basename, relative, sep } from 'node:path';
import { type FileProblem, MpmError } from '../../errors.ts';
import { fileLabel } from './files.ts';

/** So many lines of problems are in an error's message: a screen, with what else is said. */
const LINES = 20;

/**
 * What is wrong with a folder's files as one error: one problem as it is; of several the first screen, with the
 * excerpt of the first. All are in its `problems`, also where there is one.
 * @param folder what the places in the message are relative to
 */
export function oneError(folder: string, errors: readonly MpmError[]): MpmError {
  const problems = errors.flatMap(problemsOf);
  const [first] = errors;
  if (errors.length === 1 && first) return first.with({ problems });
  const code = problems.every((problem) => problem.code === 'FILE_SYSTEM')
    ? 'FILE_SYSTEM'
    : 'MIGRATION_INVALID';
  const message = [`${problems.length} problems in ${folder}`, ...firstScreen(folder, problems)].join('\n');
  return new MpmError(code, message, {
    subject: folder,
    ...(first?.excerpt && { excerpt: first.excerpt }),
    hint: 'Fix them all. No database was touched.',
    problems,
  });
}

/**
 * Goes on where a folder has problems, so that those of the next one are told with them.
 * @param errors gets the error
 * @returns undefined where there was one
 * @throws what is not about the content of files
 */
export async function collecting<T>(errors: MpmError[], work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof MpmError && error.problems)) throw error;
    errors.push(error);
    return undefined;
  }
}

function problemsOf({ code, message, hint, subject, excerpt, problems }: MpmError): readonly FileProblem[] {
  if (problems) return problems;
  const file = excerpt?.file ?? subject ?? '';
  const place = excerpt && { line: excerpt.line, column: excerpt.column };
  const prefix = place ? `${fileLabel(file)}:${place.line}:${place.column}: ` : '';
  const said = message.startsWith(prefix) ? message.slice(prefix.length) : message;
  return [{ code, file, ...place, message: said, ...(hint !== undefined && { hint }) }];
}

/** Some of each kind, each remedy once: one mistake made a hundred times must not hide the others. */
function firstScreen(folder: string, problems: readonly FileProblem[]): string[] {
  const byKind = new Map<string, FileProblem[]>();
  for (const problem of problems) {
    const kind = kindOf(problem);
    const all = byKind.get(kind);
    if (all) all.push(problem);
    else byKind.set(kind, [problem]);
  }
  const kinds = [...byKind.values()].map((all) => ({ all: eachFileFirst(all), shown: 0 }));
  let room = LINES;
  for (let before = -1; before !== room;) {
    before = room;
    for (const kind of kinds) {
      const { all, shown } = kind;
      const cost = hasOwnHint(all, shown) ? 2 : 1;
      if (shown === all.length || cost > room) continue;
      kind.shown += 1;
      room -= cost;
    }
  }
  const lines = kinds.flatMap(({ all, shown }) => {
    const told = all.slice(0, shown).flatMap((problem, index) => {
      const isLast = index + 1 === shown || hasOwnHint(all, index + 1);
      const hint = isLast && problem.hint !== undefined ? [`    → ${problem.hint}`] : [];
      return [`  ${lineOf(folder, problem)}`, ...hint];
    });
    const more = shown && all.length - shown;
    return more ? [...told, `    … and ${more} more like this`] : told;
  });
  const shown = kinds.reduce((sum, kind) => sum + kind.shown, 0);
  if (shown < problems.length) lines.push(`  ${shown} of ${problems.length} are shown; for all, add --json`);
  return lines;
}

/** The first of each file, then the second of each, so that no file hides the others. */
function eachFileFirst(problems: readonly FileProblem[]): FileProblem[] {
  const counts = new Map<string, number>();
  const placed = problems.map((problem) => {
    const nth = (counts.get(problem.file) ?? 0) + 1;
    counts.set(problem.file, nth);
    return { problem, nth };
  });
  return placed.toSorted((a, b) => a.nth - b.nth).map(({ problem }) => problem);
}

/** What has the hint of the one before it shares its line. */
function hasOwnHint(problems: readonly FileProblem[], index: number): boolean {
  const hint = problems[index]?.hint;
  return hint !== undefined && hint !== problems[index - 1]?.hint;
}

/** What has the same remedy, names and numbers aside. */
function kindOf({ hint, message, file }: FileProblem): string {
  const name = basename(file).split('.')[0] || file;
  return (hint ?? message).replaceAll(name, '').replace(/\d+/g, '');
}

function lineOf(folder: string, { file, line, column, message }: FileProblem): string {
  const path = relative(folder, file).split(sep).join('/');
  if (line !== undefined) return `${path}:${line}:${column}: ${message}`;
  return message.includes(path) ? message : `${path}: ${message}`;
}
