import { expect, test } from 'vitest';
import { editHistory, type Change } from '../../src/engine/edit/edit-history.ts';
import { decideBaseline, decideRepair, decideResolve } from '../../src/engine/edit/decide.ts';
import type { MigrateOptions } from '../../src/engine/apply/migrate.ts';
import type { MigrationSet } from '../../src/engine/source/source.ts';
import { parseStamp } from '../../src/engine/history/stamp.ts';
import type { HistoryRow } from '../../src/engine/history/state.ts';
import { connect } from '../../src/postgres/connect.ts';
import type { Connection } from '../../src/postgres/connection.ts';
import { SQLSTATE, sqlstateOf } from '../../src/postgres/sqlstate.ts';
import { withDatabases } from '../helpers/database.ts';
import { down, migrations, SELECT_FINGERPRINT, up, withFolders } from '../helpers/engine.ts';
import { OPTIONS, targetOf } from '../helpers/options.ts';
import { startProxy } from '../helpers/proxy.ts';

const databases = withDatabases();
withFolders();

/** A number that counts what ran, also what was rolled back. */
const file = (number: number, name: string, options = '') =>
  `-- migrate:up ${options}\nselect nextval('ran_${number}');\ncreate table ${name} ();\n-- migrate:down\ndrop table if exists ${name};`;

const TABLES: Record<string, string> = { '1_a': 'a', '2_b': 'b', '3_c': 'c', '4_d': 'd' };
const FILES = {
  '1_a.sql': file(1, 'a'),
  '2_b.sql': file(2, 'b'),
  '3_c.sql': file(3, 'c', 'transaction:false'),
  '4_d.sql': file(4, 'd'),
};

/** Everybody waits for nobody: the other one stands still in the meantime. */
const HOW: MigrateOptions = { ...OPTIONS, pace: { ...OPTIONS.pace, lockWait: 0 } };

type Act = (url: string, set: MigrationSet) => Promise<unknown>;

const mend =
  (decide: (set: MigrationSet, rows: readonly HistoryRow[]) => Change[]): Act =>
  (url, set) =>
    editHistory(targetOf(url), { ...HOW, write: true }, (rows) => decide(set, rows)).catch(
      (error: Error) => error.message,
    );

/** From two that are applied. */
const CLEAN: Record<string, Act> = {
  up: (url, set) => up(url, set, HOW),
  down: (url, set) => down(url, set, HOW),
  baseline: mend(({ migrations: all }, rows) => decideBaseline(all, rows, '4_d', 'version')),
};

/** The third stopped at its second statement. */
const HALF: Record<string, Act> = {
  'resolve --retry': (url, set) => up(url, set, { ...HOW, only: '3_c' }),
  'resolve --rolled-back': mend(({ migrations: all }, rows) =>
    decideResolve(all, rows, '3_c', 'rolled-back', 'version'),
  ),
};

/** Applied behind the second, though in front of it by name, is one whose file is gone. */
const GONE: Record<string, Act> = {
  'repair --missing': mend(({ migrations: all }, rows) => decideRepair(all, rows, 'missing', [], 'version')),
  'up --force': (url, set) => up(url, set, { ...HOW, force: true }),
};

const pairsOf = (acts: Record<string, Act>) =>
  Object.entries(acts).flatMap(([one, first]) =>
    Object.entries(acts).map(([other, second]) => ({ one, other, first, second })),
  );

/** What came of a race. */
interface Outcome {
  history: string[];
  tables: string[];
  /** How often each was begun since. */
  ran: number[];
}

/** Of statements that are not the tool's own. */
async function rows<R>(admin: Connection, sql: string): Promise<R[]> {
  return (await admin.raw(sql)).rows as R[];
}

async function look(admin: Connection, comment: string): Promise<Outcome> {
  const [found] = await rows<Outcome>(
    admin,
    `select
  array(select name || ' ' || state from mpm_migrate.history order by position) as history,
  array(select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1) as tables,
  array[(select last_value from ran_1), (select last_value from ran_2), (select last_value from ran_3), (select last_value from ran_4)]::int[] as ran`,
  );
  const [stamped] = await rows<{ count: number; fingerprint: string }>(admin, SELECT_FINGERPRINT);
  const [database] = await rows<{ comment: string | null }>(admin, comment);
  const stamp = parseStamp(database?.comment ?? null);
  // It is the truth, or says that it is not.
  if (stamp) expect(stamp).toEqual(stamped);
  if (!found) throw new Error('nothing was found');
  return found;
}

const COMMENT =
  "select shobj_description(oid, 'pg_database') as comment from pg_database where datname = current_database()";

/** What brings the database back to where it is now, with two tables. */
async function keep(admin: Connection, name: string): Promise<string> {
  const [found] = await admin.query<{ columns: string; comment: string }>(
    `select string_agg(quote_ident(attname), ', ') as columns,
  (select quote_literal(shobj_description(oid, 'pg_database')) from pg_catalog.pg_database where datname = current_database()) as comment
from pg_catalog.pg_attribute where attrelid = 'mpm_migrate.history'::pg_catalog.regclass and attnum > 0 and attgenerated = ''`,
  );
  await admin.raw('create schema kept; create table kept.history as table mpm_migrate.history');
  return `drop table if exists a, b, c, d; create table a (); create table b ();
truncate mpm_migrate.history; insert into mpm_migrate.history (${found?.columns}) select ${found?.columns} from kept.history;
comment on table mpm_migrate.history is null; comment on database "${name}" is ${found?.comment};
select setval('ran_1', 1), setval('ran_2', 1), setval('ran_3', 0), setval('ran_4', 0)`;
}

/** What comes of a backend of the step before that has not ended yet: the two wait for one another, or make one table. */
const UNENDED: readonly string[] = [SQLSTATE.deadlock, SQLSTATE.uniqueViolation, SQLSTATE.duplicateTable];

async function reset(admin: Connection, again: string): Promise<void> {
  for (;;) {
    try {
      await admin.raw(again);
      return;
    } catch (error) {
      if (!UNENDED.includes(sqlstateOf(error) ?? '')) throw error;
    }
  }
}

/** Runs `first` once for each of its round trips, and in front of that one `second` to its end. */
async function race(
  prepared: (url: string, set: MigrationSet) => Promise<void>,
  { first, second }: { first: Act; second: Act },
  check: (outcome: Outcome) => void,
): Promise<void> {
  const { url, name } = await databases.create();
  const set = await migrations(FILES);
  const admin = await connect({ url, applicationName: 'race', connectTimeout: 5000 });
  try {
    const counters = [1, 2, 3, 4].map((each) => `create sequence ran_${each} minvalue 0 start 0`);
    await admin.raw(counters.join(';\n'));
    await prepared(url, set);
    const again = await keep(admin, name);
    for (let step = 1; ; step += 1) {
      await reset(admin, again);
      let met = false;
      await using proxy = await startProxy(url, {
        async onRoundTrip(number) {
          if (number !== step) return;
          met = true;
          await second(url, set);
        },
      });
      await first(proxy.through(url), set);
      if (!met) return;
      check(await look(admin, COMMENT));
    }
  } finally {
    await admin.close();
  }
}

/** No hole; and what is said to be applied is there. */
function isWhole({ history, tables }: Outcome): void {
  const states = new Map(history.map((line) => line.split(' ') as [string, string]));
  expect([...states.keys()]).toEqual(Object.keys(TABLES).slice(0, states.size));
  for (const [name, table] of Object.entries(TABLES)) {
    const applied = states.get(name) === 'applied';
    if (states.get(name) !== 'baseline')
      expect({ name, there: tables.includes(table) }).toEqual({ name, there: applied });
  }
}

test.each(pairsOf(CLEAN))(
  'engine 38: $other in the middle of $one, at every step',
  async ({ one, other, ...acts }) => {
    await race(
      async (url, set) => void (await up(url, set, { to: '2', allowNonEmpty: true })),
      acts,
      (outcome) => {
        isWhole(outcome);
        if (one === 'up' && other === 'up') {
          expect(outcome.history).toHaveLength(4);
          expect(outcome.ran).toEqual([1, 1, 1, 1]);
        }
      },
    );
  },
);

test.each(pairsOf(HALF))('engine 38: $other in the middle of $one, at every step', async (acts) => {
  await race(
    async (url, set) => {
      await up(url, set, { to: '2', allowNonEmpty: true });
      const half = await migrations({
        ...FILES,
        '3_c.sql': FILES['3_c.sql'].replace('create table c', 'create table a'),
      });
      await up(url, half, { to: '3' });
    },
    acts,
    (outcome) => isWhole(outcome),
  );
});

test.each(pairsOf(GONE))(
  'engine 38: $other in the middle of $one, with a file that is gone',
  async (acts) => {
    await race(
      async (url, set) => {
        await up(url, set, { to: '2', allowNonEmpty: true });
        await up(url, await migrations({ ...FILES, '0_gone.sql': 'select 1;' }), {
          force: true,
          to: '0_gone',
        });
      },
      acts,
      ({ history, ...rest }) =>
        isWhole({ ...rest, history: history.filter((line) => !line.startsWith('0_gone')) }),
    );
  },
);
