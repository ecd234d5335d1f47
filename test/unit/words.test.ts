import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

const src = join(import.meta.dirname, '../../src');

/** Names that the glossary has better words for: of types, classes, functions, and files. */
const RETIRED = {
  type: /^(?:(?:Idle)?Hands|Bench|Unit|Premises|Standing|Found|Tried|Trial|Settled|Amendment|Newcomer|Surroundings|Blueprint|Traces|Likeness|Place|Run|Stage|Spool|Slice|\w*Part|Mend\w*|(?:Run|Mend|Tenant|Lane|Pool|Visit)?Work)$/,
  function:
    /^(?:withHands|compose|joined|settled?|look|lookAt|lookAround|inTurn|mend\w*|amend|furnish|sow|take(?:All|Part|Waves)|conduct\w*)$/,
  file: /^(?:hands|bench|unit|premises|standing|tried|mend|amend|furnish|sow|surroundings|blueprint|likeness|place|conduct|stage|spool|near|sets|parts|turn)$/,
};

function namesOf(statement: ts.Statement): [keyof typeof RETIRED, string][] {
  if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement))
    return [['type', statement.name.text]];
  if (ts.isClassDeclaration(statement) && statement.name) return [['type', statement.name.text]];
  if (ts.isFunctionDeclaration(statement) && statement.name) return [['function', statement.name.text]];
  return [];
}

test('one word for one thing: no declaration and no file has a retired name', () => {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  const found = files.flatMap((file) => {
    const source = ts.createSourceFile(file, readFileSync(join(src, file), 'utf8'), ts.ScriptTarget.Latest);
    const names = source.statements.flatMap(namesOf);
    return [...names, ['file', basename(file, '.ts')] as const]
      .filter(([kind, name]) => RETIRED[kind].test(name))
      .map(([kind, name]) => `${file}: ${kind} ${name}`);
  });
  expect(files.length).toBeGreaterThan(100);
  expect(found).toEqual([]);
});
