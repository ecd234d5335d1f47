import { describe, expect, test } from 'vitest';
import { withDatabases } from '../helpers/database.ts';
import { down, historyOf, migrations, rowsIn, up, withFolders } from '../helpers/engine.ts';

const databases = withDatabases();
withFolders();

const TABLES =
  'create table a (i int primary key, n text unique, check (i > 0)); create table b (n text unique);';

/** As it is written to bring the names of a product's constraints under one scheme. */
const rename = (kinds: string, table = 'conrelid::regclass', more = '') => `do $$
declare c record;
begin
  for c in select conname, ${table} as t, oid as n from pg_constraint
    where contype in (${kinds}) and conrelid <> 0 ${more} and connamespace <> all (array['pg_catalog', 'information_schema']::regnamespace[])
  loop
    execute format('alter table %s rename constraint %I to %I', c.t, c.conname, 'renamed_' || c.n);
  end loop;
end $$;`;

const BY_NAME = 'quote_ident((select relname from pg_class where oid = conrelid))';

describe('engine 48: migrations that go over the whole catalog', () => {
  test.each([
    ['every unique constraint', rename("'u'")],
    ['every unique constraint, of tables by their bare names', rename("'u'", BY_NAME)],
    ['all constraints', rename("'u', 'p', 'c'")],
    [
      'all indexes',
      `do $$ declare i record; begin
        for i in select indexrelid::regclass as name, row_number() over () as n from pg_index
          where indrelid in (select oid from pg_class where relnamespace not in ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace))
        loop execute format('alter index %s rename to %I', i.name, 'index_' || i.n); end loop; end $$;`,
    ],
  ])('%s is renamed, and all goes on', async (_what, block) => {
    const { url } = await databases.create();
    const files = { '1_t.sql': TABLES, '2_rename.sql': block };
    const first = await up(url, await migrations(files));
    expect(first.error).toBeUndefined();
    const set = await migrations({
      ...files,
      '3_more.sql': '-- migrate:up\ncreate table c ();\n-- migrate:down\ndrop table c;',
      '4_index.sql':
        '-- migrate:up\ncreate index concurrently more on b (n);\n-- migrate:down\ndrop index concurrently more;',
    });
    for (const expected of [4, 3, 4]) {
      const attempt = expected === 3 ? await down(url, set) : await up(url, set);
      expect(attempt.error).toBeUndefined();
      expect(await historyOf(url)).toHaveLength(expected);
    }
    // One name is still one row.
    await expect(rowsIn(url, `update mpm_migrate.history set name = '1_t'`)).rejects.toThrow(/duplicate key/);
  });

  test('a history that has the constraint goes on as well', async () => {
    const { url } = await databases.create();
    await up(url, await migrations({ '1_t.sql': TABLES }));
    await rowsIn(
      url,
      'drop index mpm_migrate.history_name_key; alter table mpm_migrate.history add unique (name)',
    );
    const set = await migrations({
      '1_t.sql': TABLES,
      '2_rename.sql': rename("'u', 'p'"),
      '3_c.sql': 'select 1;',
    });
    expect((await up(url, set)).error).toBeUndefined();
  });

  test('where it comes to our table, the error says whose it is, and what to write works', async () => {
    const { url } = await databases.create();
    const broken = { '1_t.sql': TABLES, '2_rename.sql': rename("'u', 'p'", BY_NAME) };
    const { error } = await up(url, await migrations(broken));
    expect(error).toMatchObject({
      message: 'relation "history" does not exist',
      hint: expect.stringMatching(/^mpm_migrate\.history is mpm-migrate's own table\. Leave it out/),
    });
    const [, more] = /"(and conrelid <> .*?)" with pg_constraint/.exec(error?.hint ?? '') ?? [];
    const mended = { ...broken, '2_rename.sql': rename("'u', 'p'", BY_NAME, more) };
    expect((await up(url, await migrations(mended))).error).toBeUndefined();
  });

  test('a column that our rows have no value for: the same', async () => {
    const { url } = await databases.create();
    const block = (statement: string) => `do $$ declare t record; begin
      for t in select oid::regclass as name from pg_class where relkind = 'r' and relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
      loop execute format('${statement}', t.name); end loop; end $$;`;
    const column = block('alter table %s add column tenant int not null default null');
    const { error } = await up(url, await migrations({ '1_t.sql': TABLES, '2_all.sql': column }));
    expect(error).toMatchObject({
      hint: expect.stringContaining("mpm-migrate's own table"),
    });
    // A table of the user's with the same name is no affair of ours.
    const theirs = await migrations({ '1_t.sql': TABLES, '2_all.sql': 'select * from history;' });
    expect((await up(url, theirs)).error?.hint).toBeUndefined();
  });
});

test('histories 12: a database that is to be moved to another tablespace, the statement to type', async () => {
  const { url } = await databases.create();
  const name = new URL(url).pathname.slice(1);
  const set = await migrations({
    '1_move.sql': `-- to the fast disks\nalter database "${name}" set tablespace pg_default;\ncreate table t ();`,
  });
  const { url: third } = await databases.create();
  const move = `alter database "${new URL(third).pathname.slice(1)}"`;
  const alone = await migrations({ '1_move.sql': `${move}\n  set tablespace pg_default` });
  expect((await up(third, alone)).error?.hint).toContain(`postgres: ${move} set tablespace pg_default;`);
  const { error } = await up(url, set);
  expect(error?.hint).toContain(
    `connected to the database postgres: alter database "${name}" set tablespace pg_default;\nThen go on after it: mpm-migrate resolve 1_move --tenant {tenant} --skip`,
  );
  const inside = await migrations({
    '1_move.sql': `do $$ begin execute 'alter database "${name}" set tablespace pg_default'; end $$;`,
  });
  const { url: other } = await databases.create();
  expect((await up(other, inside)).error?.hint).toMatch(/Move it by hand, .* Remove it from the migration/);
});
