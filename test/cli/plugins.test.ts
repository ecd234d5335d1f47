import { describe, expect, test } from 'vitest';
import { cli } from '../helpers/cli.ts';
import { withDatabases } from '../helpers/database.ts';
import { CORE, makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

const PLUGINS = {
  'plugins/meters/3_readings.sql':
    '-- migrate:up\ncreate table readings (id int);\n-- migrate:down\ndrop table readings;\n',
  'plugins/solar/4_panels.sql': 'create table panels (id int);\n',
};

/** Runs the command in the fleet's folder; its configuration is a file there. */
async function inFolder(fleet: TestFleet): Promise<(...args: string[]) => ReturnType<typeof cli>> {
  const migrations = { core: 'core', tenants: 'tenants', plugins: 'plugins' };
  const content = { central: fleet.config.central, migrations };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(content) });
  return (...args) => cli(args, { cwd: fleet.config.root });
}

/** A text without what differs from run to run. */
function steady(text: string): string {
  return text
    .replaceAll(/\b\d+(?:\.\d+)?m?s\b/g, '0.0s')
    .replaceAll(/\bt[0-9a-f]{8}_\d+_/g, '')
    .replaceAll(/\/\S*\/(?=plugins\/)/g, '/…/')
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, '2026-01-31 12:00:00')
    .replaceAll(/ {2,}\d? *postgres/g, '  N  postgres');
}

describe('plugin', () => {
  test('from a folder to tenants and away again', async () => {
    const fleet = await makeFleet(databases, { count: 2, files: { ...CORE, ...PLUGINS } });
    const mpm = await inFolder(fleet);
    const added = await mpm('plugin', 'add', 'meters', '--title', 'Smart meters');
    expect({ code: added.code, out: steady(added.stdout) }).toMatchInlineSnapshot(`
      {
        "code": 0,
        "out": "✔ meters (Smart meters) is registered  1 migration
      Install it:  mpm-migrate plugin install meters --tenant 42
      ",
      }
    `);
    const again = await mpm('plugin', 'add', 'meters');
    expect({ code: again.code, out: steady(again.stdout) }).toMatchInlineSnapshot(`
      {
        "code": 0,
        "out": "✔ meters (Smart meters) was already registered  1 migration
      Install it:  mpm-migrate plugin install meters --tenant 42
      ",
      }
    `);
    const installed = await mpm('plugin', 'install', 'meters', '--tenant', '1');
    expect({ code: installed.code, out: steady(installed.stdout) }).toMatchInlineSnapshot(`
      {
        "code": 0,
        "out": "✔ company-1  (none) → 3_readings  3 in 0.0s
          + 1_meters  0.0s
          + 2_note  0.0s
          + 3_readings  0.0s

      ✔ 1 migrated   1 tenant in 0.0s   run 1
      ",
      }
    `);
    const nothing = await mpm('plugin', 'install', 'meters', '--tenant', '1');
    expect({ code: nothing.code, out: steady(nothing.stdout) }).toMatchInlineSnapshot(`
      {
        "code": 0,
        "out": "✔ 1 current   1 tenant in 0.0s   run 2
      ",
      }
    `);
    const listed = await mpm('plugin', 'list', '--tenant', '1');
    expect({ code: listed.code, out: steady(listed.stdout) }).toMatchInlineSnapshot(`
      {
        "code": 0,
        "out": "PLUGIN  TITLE         MIGRATIONS  TENANTS  company-1  NOTE
      meters  Smart meters           1        1  installed
      solar                          1        0             not registered

      Register one:   mpm-migrate plugin add solar
      ",
      }
    `);
    const status = await mpm('status', '--tenant', '1');
    expect({ code: status.code, out: steady(status.stdout) }).toMatchInlineSnapshot(`
      {
        "code": 0,
        "out": "company-1  id 1, database c1 on default
        plugins: meters
        MIGRATION   PLUGIN  STATE    APPLIED AT (UTC)     TOOK  RUN  BY
      ✔ 1_meters            applied  2026-01-31 12:00:00  0.0s  N  postgres
      ✔ 2_note              applied  2026-01-31 12:00:00  0.0s  N  postgres
      ✔ 3_readings  meters  applied  2026-01-31 12:00:00  0.0s  N  postgres

      ✔ 1 current   1 tenant in 0.0s
      ",
      }
    `);
    const shown = await mpm('tenant', 'show', '1');
    expect(shown.stdout).toContain('plugins   meters');

    const refused = await mpm('plugin', 'uninstall', 'meters', '--tenant', '1');
    expect({ code: refused.code, out: steady(refused.stdout) }).toMatchInlineSnapshot(`
      {
        "code": 3,
        "out": "✖ company-1
          3_readings of the plugin "meters" is applied here
          Nothing was changed here.
          Revert it, with its data: mpm-migrate plugin uninstall meters --down --tenant 1
          Keep its tables: mpm-migrate plugin uninstall meters --keep --tenant 1

      ✖ 1 refused   1 tenant in 0.0s   run 3
      ",
      }
    `);
    const down = await mpm('plugin', 'uninstall', 'meters', '--tenant', '1', '--down');
    expect({ code: down.code, out: steady(down.stdout) }).toMatchInlineSnapshot(`
      {
        "code": 0,
        "out": "✔ company-1  3_readings → 2_note  1 in 0.0s
          - 3_readings  0.0s

      ✔ 1 uninstalled   1 tenant in 0.0s   run 4
      ",
      }
    `);
    const without = await mpm('plugin', 'uninstall', 'meters', '--tenant', '2', '--down');
    expect({ code: without.code, out: steady(without.stdout) }).toMatchInlineSnapshot(`
      {
        "code": 0,
        "out": "✔ 1 current   1 tenant in 0.0s   run 5
      ",
      }
    `);
    const json = await mpm('plugin', 'list', '--json');
    expect(JSON.parse(json.stdout)).toEqual({
      plugins: [
        { name: 'meters', title: 'Smart meters', installable: true, migrations: 1, tenants: 0 },
        { name: 'solar', title: null, installable: false, migrations: 1, tenants: 0 },
      ],
    });
  });

  test('bad input: unknown, no folder, no name, nobody named, no down section', async () => {
    const fleet = await makeFleet(databases, { count: 1, files: { ...CORE, ...PLUGINS } });
    const mpm = await inFolder(fleet);
    const said = async (...args: string[]) => {
      const { code, stdout, stderr } = await mpm(...args);
      return `${code}\n${steady(`${stdout}${stderr}`)}`;
    };
    expect(await said('plugin', 'list')).toMatchInlineSnapshot(`
      "0
      PLUGIN  TITLE  MIGRATIONS  TENANTS  NOTE
      meters                  1        0  not registered
      solar                   1        0  not registered

      Register one:   mpm-migrate plugin add meters
      "
    `);
    await mpm('plugin', 'add', 'meters');
    expect(await said('plugin', 'install', 'metres', '--tenant', '1', '--quiet')).toMatchInlineSnapshot(`
      "2
      ✖ Unknown plugin "metres"
          Did you mean meters?
      "
    `);
    expect(await said('plugin', 'install', 'solar', '--tenant', '1', '--quiet')).toMatchInlineSnapshot(`
      "2
      ✖ Unknown plugin "solar"
          To register it: mpm-migrate plugin add solar
          To list registered plugins: mpm-migrate plugin list
      "
    `);
    expect(await said('plugin', 'add', 'wind')).toMatchInlineSnapshot(`
      "1
      ✖ There is no folder /…/plugins/wind for the plugin "wind"
          Create it, and put its migrations there: /…/plugins/wind/20260131120000_first.sql
      "
    `);
    expect(await said('plugin', 'add', '../core')).toMatchInlineSnapshot(`
      "2
      ✖ "../core" can't be a plugin's name
          Use up to 63 letters, digits, -, and _. Its folder has the same name.
      "
    `);
    expect(await said('plugin', 'install', 'meters')).toMatchInlineSnapshot(`
      "2
      ✖ No tenants selected
          Select tenants: --all, --tenant 42 (ID, name, or database; 1..9; repeatable), --label tier=gold, --failed, or --behind.
      "
    `);
    expect(await said('plugin', 'install', '--tenant', '1')).toMatchInlineSnapshot(`
      "2
      ✖ Missing argument: name  A plugin in "plugin list"
          Look:  mpm-migrate plugin install --help
      "
    `);
    expect(await said('plugin', 'install', 'meters', '--tenant', '9', '--quiet')).toMatchInlineSnapshot(`
      "2
      ✖ Unknown tenant "9"
          To list all tenants: mpm-migrate tenant list
      "
    `);
    expect(await said('plugin', 'uninstall', 'meters', '--all', '--down', '--keep', '--quiet'))
      .toMatchInlineSnapshot(`
      "2
      ✖ --keep and --down can't be combined
          Look:  mpm-migrate plugin uninstall --help
      "
    `);
    await mpm('plugin', 'add', 'solar');
    await mpm('plugin', 'install', 'solar', '--tenant', '1');
    expect(await said('plugin', 'uninstall', 'solar', '--tenant', '1', '--down', '--quiet'))
      .toMatchInlineSnapshot(`
      "3
      ✖ company-1    4_panels
          4_panels has no down section
          Still at 4_panels: nothing was changed here.
          add one, or write a new migration that reverts it

      ✖ 1 refused   1 tenant in 0.0s   run 2
      "
    `);
  });
});
