import { existsSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { up } from '../../src/fleet/verbs/up.ts';
import { verify } from '../../src/fleet/verbs/verify.ts';
import { rowsIn } from '../helpers/engine.ts';
import { withDatabases } from '../helpers/database.ts';
import { addTenants, makeFleet } from '../helpers/fleet.ts';
import { RICH } from '../helpers/rich.ts';
import { startServer } from '../helpers/server.ts';

const databases = withDatabases();
const OLDER = '/usr/lib/postgresql/15/bin';

test.skipIf(!existsSync(`${OLDER}/postgres`))(
  'confidence 7: tenants on two versions of PostgreSQL, with a reference of their own version, or of the other',
  async () => {
    const older = await startServer({ bin: OLDER });
    onTestFinished(() => older.stop());
    const fleet = await makeFleet(databases, { count: 1, files: RICH });
    await rowsIn(older.url, 'create database old');
    await addTenants(fleet, [{ id: '2', name: 'old', database: 'old' }]);
    await fleet.central("update company_databases set server = 'older' where company_id = 2");
    const servers = { ...fleet.config.servers, older: { name: 'older', url: older.url } };
    const config = { ...fleet.config, servers };
    expect((await up(config, { all: true })).counts.migrated).toBe(2);
    const own = await verify(config, { all: true }, { comments: true });
    expect(own).toMatchObject({ counts: { current: 2 }, groups: [], notices: [] });

    const one = { ...config, verify: { reference: 'default' } };
    const notice =
      "on PostgreSQL 15, and verify.reference on 18: views, functions, defaults, and other expressions aren't compared";
    const same = await verify(one, { all: true }, { comments: true });
    expect(same).toMatchObject({ counts: { current: 2 }, groups: [], notices: [notice] });
    const url = Object.assign(new URL(older.url), { pathname: '/old' }).href;
    await rowsIn(
      url,
      'drop index meters_code; alter table meters alter big type int, alter lowest set default 1',
    );
    const { groups, counts, notices } = await verify(one, { all: true });
    expect([counts.drifted, notices]).toEqual([1, [notice]]);
    const [group] = groups;
    expect(group?.differences.map(({ message }) => message)).toEqual([
      'meters.big: type is integer, not bigint',
      'index meters_code is missing',
    ]);
    await rowsIn(url, group?.sql.join('\n') ?? '');
    expect((await verify(one, { all: true })).counts.current).toBe(2);
  },
  60_000,
);
