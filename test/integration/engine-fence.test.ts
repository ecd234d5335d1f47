import { expect, test } from 'vitest';
import { withDatabases } from '../helpers/database.ts';
import { down, historyOf, migrations, rowsIn, up, withFolders } from '../helpers/engine.ts';
import { OPTIONS } from '../helpers/options.ts';
import { startProxy } from '../helpers/proxy.ts';

const databases = withDatabases();
withFolders();

const OUTSIDE = '-- migrate:up transaction:false\n';

/** Waits for nobody: the other one stands still in the meantime. */
const IMPATIENT = { pace: { ...OPTIONS.pace, lockWait: 0 } };

const FILES = {
  '1_a.sql': '-- migrate:up\ncreate table a ();\n-- migrate:down\ndrop table a;',
  '2_b.sql': '-- migrate:up\ncreate table b ();\n-- migrate:down\ndrop table b;',
};

/** Each way in which a third migration can be run. */
const THIRD: Record<string, Record<string, string>> = {
  'in SQL': { '3_c.sql': 'create table c ();' },
  'outside a transaction': { '3_c.sql': `${OUTSIDE}create table c ();` },
  'in TypeScript': {
    '3_c.ts': "import { sql } from 'kysely';\nexport const up = (db) => sql`create table c ()`.execute(db);",
  },
};

/** Runs `work` once for each of its round trips; in the middle, before that one, `other` is run to its end. */
async function atEachStep(
  url: string,
  prepare: () => Promise<unknown>,
  work: (url: string) => Promise<unknown>,
  other: () => Promise<unknown>,
  check: (step: number) => Promise<void>,
): Promise<number> {
  for (let step = 1; ; step += 1) {
    await prepare();
    let met = false;
    await using proxy = await startProxy(url, {
      async onRoundTrip(number) {
        if (number !== step) return;
        met = true;
        await other();
      },
    });
    await work(proxy.through(url));
    if (!met) return step - 1;
    await check(step);
  }
}

async function tablesOf(url: string): Promise<string[]> {
  const rows = await rowsIn<{ name: string }>(
    url,
    "select relname::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1",
  );
  return rows.map(({ name }) => name);
}

/** No hole: what is applied is the first of the files, and their tables are there. */
async function whole(url: string): Promise<void> {
  const history = await historyOf(url);
  expect(history).toEqual(['1_a applied', '2_b applied', '3_c applied'].slice(0, history.length));
  expect(await tablesOf(url)).toEqual(['a', 'b', 'c'].slice(0, history.length));
}

test.each(Object.entries(THIRD))(
  'engine 38: a down in the middle of an up leaves no hole: the third %s',
  async (_, third) => {
    const { url, name } = await databases.create();
    const two = await migrations(FILES);
    const three = await migrations({ ...FILES, ...third });
    let reverted = 0;
    const steps = await atEachStep(
      url,
      async () => {
        await rowsIn(
          url,
          `drop table if exists a, b, c; drop schema if exists mpm_migrate cascade; comment on database "${name}" is null`,
        );
        expect(await up(url, two)).toMatchObject({ outcome: 'migrated', to: '2_b' });
      },
      (through) => up(through, three),
      async () => {
        const { outcome } = await down(url, two, IMPATIENT);
        if (outcome === 'reverted') reverted += 1;
      },
      () => whole(url),
    );
    expect(steps).toBeGreaterThan(3);
    // While the other one holds no lock, it is let in.
    expect(reverted).toBeGreaterThan(1);
  },
);
