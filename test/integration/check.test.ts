import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { checkExitCode } from '../../src/cli/exit-code.ts';
import { check } from '../../src/fleet/verbs/check.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { checkText } from '../../src/ui/views/check.ts';
import { withDatabases } from '../helpers/database.ts';
import { CORE, makeFleet } from '../helpers/fleet.ts';
import { plain } from '../helpers/samples.ts';

const databases = withDatabases();
const onServer = { lint: { server: 'default' } };
const GOOD = {
  'core/4_more.sql':
    '-- migrate:up\ncreate table more (id int primary key);\n-- migrate:down\ndrop table more;\n',
};

describe('confidence 2', () => {
  test('nothing is wrong: built, reverted and compared, seeds run, tenants asked; nothing is left', async () => {
    const seeds = { 'seeds/1_first.sql': 'insert into more values (1);' };
    const fleet = await makeFleet(databases, { count: 2, files: CORE, more: onServer });
    await up(fleet.config, { all: true });
    await fleet.write({ ...GOOD, ...seeds });
    const report = await check(fleet.config);
    expect(report).toMatchObject({
      lint: { chosen: 'unapplied', counts: { linted: 1, errors: 0 } },
      counts: { built: 3, reverted: 1, seeds: 1, tenants: 2 },
      problems: [],
      leftOut: [],
    });
    expect(checkExitCode(report)).toBe(0);
    expect(await fleet.historyOf(fleet.tenants[0])).toEqual(['1_meters', '2_note']);
    const left = await databases.query("select from pg_database where starts_with(datname, 'mpm_check_')");
    expect(left).toEqual([]);
  });

  test('what does not fit what tenants have applied is named, with what to type', async () => {
    const fleet = await makeFleet(databases, {
      count: 3,
      files: { ...CORE, 'core/5_later.sql': 'create table later ();' },
      more: onServer,
    });
    const { config } = fleet;
    await up(config, { all: true });
    // Released from elsewhere to two of them.
    for (const tenant of fleet.tenants.slice(1))
      await fleet.of(
        tenant,
        `insert into mpm_migrate.history (position, name, version, checksum, state, started_at, finished_at, tool_version, run_id, database_user, source, format)
         select 4, '7_theirs', '7', 'v2:00', state, started_at, finished_at, tool_version, run_id, database_user, source, format
         from mpm_migrate.history where name = '1_meters'`,
      );
    await fleet.write({
      'core/2_note.sql':
        '-- migrate:up\nalter table meters add note varchar(9);\n-- migrate:down\nalter table meters drop note;\n',
      'core/3_old.sql': 'create table old ();',
      'core/7_ours.sql': 'create table ours ();',
    });
    const report = await check(config);
    const found = Object.fromEntries(report.problems.map(({ kind, ...rest }) => [kind, rest]));
    expect(found).toMatchObject({
      late: {
        migration: '3_old',
        message: '3_old is older than what 3 tenants have applied: up refuses it there',
        hint: expect.stringMatching(/^git mv \S*core\/3_old\.sql \S*core\/9_old\.sql$/) as string,
        tenants: { count: 3 },
      },
      edited: {
        migration: '2_note',
        message: '2_note was edited, but 3 tenants have applied it as it was',
        hint: expect.stringContaining('mpm-migrate create NAME') as string,
      },
      'same-version': {
        migration: '7_ours',
        message:
          '7_ours has the version of 7_theirs, which 2 tenants have applied, and which has no file here',
        hint: expect.stringMatching(/^git mv \S*core\/7_ours\.sql \S*core\/8_ours\.sql$/) as string,
        tenants: { count: 2 },
      },
    });
    expect(checkExitCode(report)).toBe(4);
    expect(checkText(report, plain(100))).toContain('3 problems: 5 migrations built');
  });

  test('a build that fails, a way back that fails or does not restore, a seed that fails', async () => {
    const fleet = await makeFleet(databases, { count: 0, files: CORE, more: onServer });
    const { config } = fleet;
    const wrong = async (files: Record<string, string>) => {
      await fleet.write(files);
      const { problems, leftOut } = await check(config);
      return { problems, leftOut };
    };
    expect(
      await wrong({
        'core/4_x.sql': '-- migrate:up\ncreate table x (i int);\nalter table nowhere add a int;',
      }),
    ).toMatchObject({
      problems: [{ kind: 'build', migration: '4_x', excerpt: { line: 3 } }],
    });
    expect(
      await wrong({
        'core/4_x.sql': '-- migrate:up\ncreate table x (i int);\n-- migrate:down\ndrop table y;',
      }),
    ).toMatchObject({ problems: [{ kind: 'down', migration: '4_x' }] });
    const half =
      '-- migrate:up\ncreate table x (i int);\nalter table meters add k int;\n-- migrate:down\ndrop table x;';
    expect(await wrong({ 'core/4_x.sql': half, 'core/6_y.sql': 'create table y ();' })).toMatchObject({
      problems: [
        {
          kind: 'down',
          message: expect.stringContaining("the way back of 4_x doesn't restore what was there") as string,
        },
      ],
      leftOut: ["what comes behind 4_x was not built: its way back doesn't restore"],
    });
    expect(
      await wrong({
        'core/4_x.sql': 'create table x (i int);',
        'seeds/1_s.sql': 'insert into nowhere values (1);',
      }),
    ).toMatchObject({ problems: [{ kind: 'seed', migration: '1_s' }] });
  });

  test('without a central database, or with one that cannot be asked, the rest is done and that is said', async () => {
    const fleet = await makeFleet(databases, { count: 0, files: { ...CORE, ...GOOD }, more: onServer });
    const git = (...args: string[]) => execFileSync('git', args, { cwd: fleet.config.root });
    git('init', '-qb', 'main');
    git('-c', 'user.name=t', '-c', 'user.email=t@t', 'commit', '-q', '--allow-empty', '-m', 'x');
    const none = await check({ ...fleet.config, central: { ...fleet.config.central, absent: true } });
    expect(none).toMatchObject({
      counts: { built: 3, reverted: 3, tenants: 0 },
      problems: [],
      leftOut: [
        'not compared with what tenants have applied: there is no central database in the configuration',
      ],
    });
    const gone = await check({ ...fleet.config, central: { url: 'postgres://nobody@127.0.0.1:1/none' } });
    expect(gone.leftOut[0]).toContain('not compared with what tenants have applied: central database:');
    expect(checkExitCode(gone)).toBe(0);
  });
});
