import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { TOOL_NAMES, type ToolName } from '../../src/dialects/tool-names.ts';
import { hasHeads, TOOLS } from '../../src/dialects/other-tools.ts';
import { baseline } from '../../src/fleet/verbs/baseline.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';
import { commandsIn, parseCommand } from '../helpers/remedies.ts';
import { flyway, TABLES } from '../helpers/tool-tables.ts';

const databases = withDatabases();
const FOLDER = join(import.meta.dirname, '../../docs/adopt');
const NAMES = ['20240101000001_meters', '20240101000002_note', '20240101000003_later'];

/** Of tools whose tables are made by themselves elsewhere: with the first two applied. */
const MORE: [ToolName, string][] = [
  // Its newest form, and one in which rows get numbers by themselves.
  [
    'flyway',
    flyway(
      `(1, '20240101000001', 'meters', 'SQL', 'x', 1, 'u', 1, true), (2, '20240101000002', 'note', 'SQL', 'x', 1, 'u', 1, true)`,
    ),
  ],
  ...TABLES.filter(([name, sql]) => name === 'goose' && sql.includes('id serial')),
  [
    'drizzle',
    `create schema drizzle; create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint,
      name text, applied_at timestamptz default now());
    insert into drizzle.__drizzle_migrations (hash, created_at, name) values ('', 1, '${NAMES[0]}'), ('', 2, '${NAMES[1]}')`,
  ],
  [
    'kysely',
    `create table kysely_migration (name varchar(255) not null primary key, timestamp varchar(255) not null);
    insert into kysely_migration values ('${NAMES[0]}', '2024-01-01T00:00:01.000Z'), ('${NAMES[1]}', '2024-01-01T00:00:02.000Z')`,
  ],
  [
    'knex',
    `create table knex_migrations (id serial primary key, name varchar(255), batch int, migration_time timestamptz);
    insert into knex_migrations (name, batch) values ('${NAMES[0]}.js', 1), ('${NAMES[1]}.ts', 1)`,
  ],
  [
    'typeorm',
    `create table migrations (id serial primary key, timestamp bigint not null, name varchar not null);
    insert into migrations (timestamp, name) values (1, '${NAMES[0]}'), (2, '${NAMES[1]}')`,
  ],
  [
    'node-pg-migrate',
    `create table pgmigrations (id serial primary key, name varchar(255) not null, run_on timestamp not null);
    insert into pgmigrations (name, run_on) values ('${NAMES[0]}', now()), ('${NAMES[1]}', now())`,
  ],
  [
    'rails',
    `create table ar_internal_metadata (key varchar primary key, value varchar);
    create table schema_migrations (version varchar not null primary key);
    insert into schema_migrations values ('20230101000000')`,
  ],
  [
    'django',
    `create table django_migrations (id serial primary key, app varchar(255) not null, name varchar(255) not null, applied timestamptz not null);
    insert into django_migrations (app, name, applied) values ('shop', '0001_initial', now())`,
  ],
];

const pages = readdirSync(FOLDER).filter((file) => file.endsWith('.md') && file !== 'README.md');

test('histories 16: each page of adoption, and the way back, is as it is typed', async () => {
  const files = {
    [`core/${NAMES[0]}.sql`]: 'create table meters (id int primary key);',
    [`core/${NAMES[1]}.sql`]: 'alter table meters add note text;',
    [`core/${NAMES[2]}.sql`]: 'alter table meters add later text;',
  };
  expect(pages.length).toBe(18);
  const fleet = await makeFleet(databases, { count: pages.length, files });
  for (const [index, page] of pages.entries()) {
    const tenant = fleet.tenants[index];
    const selection = { tenants: [tenant?.id ?? ''] };
    const text = readFileSync(join(FOLDER, page), 'utf8');
    const blocks = (language: string) =>
      [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(
        ([, code = '']) => code,
      );
    const tool = TOOL_NAMES.find((name) => page === `${name}.md`) as ToolName;
    const table = [...MORE, ...TABLES].find(([name]) => name === tool)?.[1] ?? '';
    await fleet.of(tenant, `create table meters (id int primary key, note text); ${table}`);
    await databases.query(`comment on database "${tenant?.database}" is 'of the shop'`);

    const commands = await commandsIn(blocks('sh').join(''));
    expect(commands.map(([command]) => command)).toEqual(['baseline', 'baseline', 'up']);
    for (const words of commands) {
      await parseCommand(words);
      if (words[0] === 'up') {
        expect.soft((await up(fleet.config, selection)).counts, page).toMatchObject({ migrated: 1 });
        continue;
      }
      const report = await baseline(fleet.config, selection, {
        from: words[words.indexOf('--from') + 1] as ToolName,
        ...(words.includes('NAME') ? { to: NAMES[1] ?? '' } : {}),
        write: words.includes('--write'),
      });
      expect.soft(report, page).toMatchObject({ failures: [], counts: { changed: 1 } });
    }

    const [back = '', removal = ''] = blocks('sql');
    await fleet.of(tenant, back.replace('SHA384', 'ab').replace("'NAME'", `'${NAMES[2]}'`));
    await fleet.of(tenant, removal);
    const [left] = await fleet.of(
      tenant,
      "select to_regnamespace('mpm_migrate') as schema, shobj_description(oid, 'pg_database') as comment from pg_database where datname = current_database()",
    );
    expect.soft(left, page).toEqual({ schema: null, comment: 'of the shop' });
    if (hasHeads(tool)) {
      expect.soft(await fleet.of(tenant, `select from ${TOOLS[tool].tables[0]}`), page).toHaveLength(2);
    } else {
      const again = await baseline(fleet.config, selection, { from: tool });
      expect
        .soft(
          again.groups[0]?.changes.map(({ name }) => name),
          page,
        )
        .toEqual(NAMES);
    }
  }
});
