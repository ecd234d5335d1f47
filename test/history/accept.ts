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
    const isOutside = (name: string): boolean => outside.up.has(name) || outside.down.has(name);
    const refusals = refusalsIn(check.stdout, migrations).map((refusal): Mend => {
      const { name, control } = refusal;
      if (!control) return { ...refusal, remedy: 'outside' };
      // Its author wants no transaction because the file is one by itself.
      return { ...refusal, remedy: isOutside(name) && !mended.has(`${name} inside`) ? 'inside' : 'strip' };
    });
    const left = refusals.filter(({ name, remedy }) => !mended.has(`${name} ${remedy}`));
    if (left.length === 0)
      throw new Error(`refused when the files were read:\n${check.stdout}${check.stderr}`);
    for (const { name, origin, remedy, said } of left) {
      mended.add(`${name} ${remedy}`);
      note(`${origin}: refused (${said}); ${REMEDY[remedy]}`);
      if (remedy === 'strip') migrations = migrations.map((one) => (one.name === name ? stripped(one) : one));
      else for (const direction of ['up', 'down'] as const) CHANGE[remedy](outside[direction], name);
    }
  }
}

type Remedy = 'strip' | 'inside' | 'outside';

const REMEDY: Record<Remedy, string> = {
  strip: 'its BEGIN and COMMIT taken out',
  inside: 'its transaction:false taken away',
  outside: 'given transaction:false',
};

const CHANGE = {
  inside: (names: Set<string>, name: string) => names.delete(name),
  outside: (names: Set<string>, name: string) => names.add(name),
};

interface Mend extends Refusal {
  remedy: Remedy;
}

interface Refusal {
  name: string;
  origin: string;
  /** It begins or ends transactions itself. */
  control: boolean;
  /** The first thing said about this file. */
  said: string;
}

function refusalsIn(json: string, migrations: readonly HistoryMigration[]): Refusal[] {
  const { message = '' } = (JSON.parse(json) as { error?: { message?: string } }).error ?? {};
  const found = new Map<string, Refusal>();
  for (const [, file = '', said = ''] of message.matchAll(/^\s*(\S+?\.sql)(?::\d+)*: (.*)$/gm)) {
    const name = file.replace(/(?:\.(?:up|down))?\.sql$/, '');
    const migration = migrations.find((one) => one.name === name);
    const control = /^(?:BEGIN|START|COMMIT|ROLLBACK|END|ABORT)\b/i.test(said);
    if (migration && !found.has(name)) found.set(name, { name, origin: migration.origin, control, said });
  }
  return [...found.values()];
}

function stripped(migration: HistoryMigration): HistoryMigration {
  const { up, down } = migration;
  const lower = down === undefined ? {} : { down: withoutTransactionControl(down) };
  return { ...migration, up: withoutTransactionControl(up), ...lower };
}
