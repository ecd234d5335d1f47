import type { HistoryMigration } from './collect.ts';
import type { Tool } from './tool.ts';
import { withoutTransactionControl } from './transactions.ts';

/** Writes the core folder; what the tool refuses is changed as its message says to, and named. */
export async function writeAccepted(
  tool: Tool,
  wanted: readonly HistoryMigration[],
  outside: { up: Set<string>; down: Set<string> },
  note: (text: string) => void,
): Promise<void> {
  let migrations = wanted;
  const mended = new Set<string>();
  for (;;) {
    await tool.writeCore(migrations, outside);
    const check = await tool.run('status', '--json');
    if (check.code !== 1) return;
    const refusals = refusalsIn(check.stdout, migrations).filter(({ name, why }) => !mended.has(name + why));
    if (refusals.length === 0)
      throw new Error(`refused when the files were read:\n${check.stdout}${check.stderr}`);
    for (const { name, origin, why, said } of refusals) {
      mended.add(name + why);
      note(`${origin}: refused (${said}); ${REMEDY[why]}`);
      if (why === 'control') migrations = migrations.map((one) => (one.name === name ? stripped(one) : one));
      else for (const direction of ['up', 'down'] as const) outside[direction].add(name);
    }
  }
}

type Why = 'control' | 'outside';

const REMEDY: Record<Why, string> = { control: 'taken out', outside: 'given transaction:false' };

interface Refusal {
  name: string;
  origin: string;
  why: Why;
  /** The first thing said about this file. */
  said: string;
}

function refusalsIn(json: string, migrations: readonly HistoryMigration[]): Refusal[] {
  const { message = '' } = (JSON.parse(json) as { error?: { message?: string } }).error ?? {};
  const found = new Map<string, Refusal>();
  for (const [, file = '', said = ''] of message.matchAll(/^\s*(\S+?\.sql)(?::\d+)*: (.*)$/gm)) {
    const name = file.replace(/(?:\.(?:up|down))?\.sql$/, '');
    const migration = migrations.find((one) => one.name === name);
    const why = said.includes('in the middle of the migration') ? 'control' : 'outside';
    if (migration && !found.has(name + why))
      found.set(name + why, { name, origin: migration.origin, why, said });
  }
  return [...found.values()];
}

function stripped(migration: HistoryMigration): HistoryMigration {
  const { up, down } = migration;
  const lower = down === undefined ? {} : { down: withoutTransactionControl(down) };
  return { ...migration, up: withoutTransactionControl(up), ...lower };
}
