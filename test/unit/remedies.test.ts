import { describe, expect, test } from 'vitest';
import { ReportBuilder } from '../../src/fleet/report/collect.ts';
import { hintForAll, hintTemplate } from '../../src/fleet/report/group-hint.ts';
import { nextStep } from '../../src/ui/report/summary.ts';
import { runText } from '../../src/ui/views/runs.ts';
import { commandsIn, parseCommand, sourceTexts } from '../helpers/remedies.ts';
import { duplicateColumn, plain, result, runReport, tenant } from '../helpers/samples.ts';

/** `this version of mpm-migrate needs`: words of a sentence, not of a command. */
const PROSE = new Set(['needs', 'are', 'wrote', 'does', 'knows', '1']);

async function wrongCommands(text: string): Promise<string[]> {
  const wrong: string[] = [];
  for (const words of await commandsIn(text)) {
    if (PROSE.has(words[0] ?? '')) continue;
    await parseCommand(words).catch((error: unknown) => {
      wrong.push(`mpm-migrate ${words.join(' ')}: ${(error as Error).message.split('\n')[0]}`);
    });
  }
  return wrong;
}

describe('engine 46: remedies', () => {
  test('every command that a text of ours names parses as one of this version', async () => {
    const texts = sourceTexts();
    expect(texts.length).toBeGreaterThan(100);
    const wrong = await Promise.all(
      texts.map(async ({ place, text }) => (await wrongCommands(text)).map((each) => `${place}: ${each}`)),
    );
    expect(wrong.flat()).toEqual([]);
  });

  test('the check finds what is wrong', async () => {
    expect(await wrongCommands('Try again: mpm-migrate down --failed')).toHaveLength(1);
    expect(await wrongCommands('mpm-migrate resolve 1_a --tenant 42 --applied|--rolled-back')).toHaveLength(
      1,
    );
    expect(await wrongCommands('mpm-migrate tenant forget 42, or mpm-migrate up --all')).toHaveLength(1);
    expect(await wrongCommands('Mend it, then: mpm-migrate up --tenant {tenant} --force')).toEqual([]);
    expect(await wrongCommands('mpm-migrate create <name> writes the first one.')).toEqual([]);
  });

  test.each(['up', 'down', 'exec', 'resolve', 'plugin install meters', 'plugin uninstall meters --down'])(
    'after a failure of %s, what is printed exists',
    async (verb) => {
      const failures = [{ error: duplicateColumn, count: 2, tenants: [tenant('a'), tenant('b')] }];
      const counts = { ...runReport().counts, total: 3, failed: 2 };
      for (const interrupted of [false, true]) {
        const report = runReport({ verb, counts, failures, interrupted });
        const said = nextStep(report, plain(0))
          .join('\n')
          .replace(/--failed=184 …/, "--failed=184 --sql 'select 1'");
        expect(await commandsIn(said)).toHaveLength(1);
        expect(await wrongCommands(said)).toEqual([]);
      }
      const run = {
        number: 184,
        verb,
        outcome: 'failed',
        counts,
        total: 3,
        startedAt: '2026-01-01T00:00:00Z',
        selection: '--all',
        host: 'h',
        databaseUser: 'u',
        toolVersion: '1',
      } as unknown as Parameters<typeof runText>[0];
      const text = runText(run, [], plain(0)).replace('--failed=184 …', "--failed=184 --sql 'select 1'");
      expect(await wrongCommands(text)).toEqual([]);
    },
  );

  test('one that was left half-done is not told to be tried again just so', () => {
    const error = {
      ...duplicateColumn,
      aftermath: 'it stopped at statement 2 of 3; earlier work was kept',
    };
    const report = runReport({
      counts: { ...runReport().counts, total: 1, failed: 1 },
      failures: [{ error, count: 1, tenants: [tenant('a')] }],
    });
    expect(nextStep(report, plain(0))).toEqual([]);
  });

  const SHOW = 'mpm-migrate run show 184 --failed';

  test('a remedy for many names them all, by their ids', () => {
    const template =
      'restore the file, or accept it: mpm-migrate repair 1_a --tenant {tenant} --checksums --write';
    const ids = [...Array.from({ length: 60 }, (_, at) => at + 1), 70, 71, 'x 9'];
    expect(hintForAll(template, ids.map(String), { where: SHOW })).toBe(
      "restore the file, or accept it: mpm-migrate repair 1_a --tenant 1..60 --tenant 70 --tenant 71 --tenant 'x 9' --checksums --write",
    );
  });

  test('of a command for one tenant there is one for each, and of too many it is said where they are', () => {
    const one = 'resume it: mpm-migrate resolve 1_a --tenant {tenant} --retry\nLook twice.';
    expect(hintForAll(one, ['3', '5'], { where: SHOW })).toBe(
      'resume it: mpm-migrate resolve 1_a --tenant 3 --retry\nresume it: mpm-migrate resolve 1_a --tenant 5 --retry\nLook twice.',
    );
    expect(hintForAll(one, ['1', '2', '3', '4', '5', '6', '7'], { where: SHOW })).toMatch(
      /the same for 2 more: mpm-migrate run show 184 --failed/,
    );
    const odd = Array.from({ length: 300 }, (_, at) => at * 2);
    expect(hintForAll('mpm-migrate up --tenant {tenant} --force', odd.map(String), { where: SHOW })).toBe(
      'mpm-migrate up --tenant ID --force   for each of the 300: mpm-migrate run show 184 --failed',
    );
  });

  test('the report of a run says it so; fleet 37: one tenant goes by its id, which means nobody else', () => {
    const hint = (word: string) => `mpm-migrate status --tenant ${word}`;
    const add = (names: string[]) => {
      const head = { run: 1, verb: 'up', selection: '--all', toolVersion: '1', startedAt: '' };
      const builder = new ReportBuilder(head, { keepResults: false });
      names.forEach((name, at) => {
        const error = { ...duplicateColumn, hint: hint(String(at + 1)) };
        builder.add(result(tenant(name, String(at + 1)), { outcome: 'failed', error }));
      });
      return builder.finish({ durationMs: 1, interrupted: false }).failures.map(({ error }) => error.hint);
    };
    expect(add(['acme'])).toEqual([hint('1')]);
    expect(add(['acme', 'beta', 'gamma', 'delta'])).toEqual(['mpm-migrate status --tenant 1..4']);
    expect(hintTemplate('mpm-migrate tenant show acme: acme-2 is not acme', 'acme')).toBe(
      'mpm-migrate tenant show {tenant}: acme-2 is not acme',
    );
  });
});
