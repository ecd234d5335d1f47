import { expect, test } from 'vitest';
import { up } from '../../src/fleet/verbs/up.ts';
import { verify } from '../../src/fleet/verbs/verify.ts';
import { startCli } from '../helpers/cli.ts';
import { withDatabases } from '../helpers/database.ts';
import { CORE, makeFleet } from '../helpers/fleet.ts';
import { referencesOf, referenceWaits, waitInReference } from '../helpers/reference.ts';

const databases = withDatabases();

test('confidence 7: the database of a killed verify is dropped by the next one, though its migration still runs there', async () => {
  const role = `${databases.prefix}wait`;
  const fleet = await makeFleet(databases, {
    count: 1,
    files: { ...CORE, 'core/0_wait.sql': waitInReference(role) },
  });
  const migrations = { core: 'core', tenants: 'tenants' };
  const content = { central: fleet.config.central, migrations };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(content) });
  await up(fleet.config, { all: true });
  await databases.query(`create role ${role}`);
  const { child, result } = await startCli(['verify'], { cwd: fleet.config.root });
  await referenceWaits(databases, fleet);
  child.kill('SIGKILL');
  await result;
  const left = await referencesOf(databases, fleet);
  expect(left).toHaveLength(1);
  const next = verify(fleet.config, { all: true });
  await referenceWaits(databases, fleet, left);
  expect(await referencesOf(databases, fleet)).not.toContain(left[0]);
  await databases.query(`drop role ${role}`);
  expect((await next).counts).toMatchObject({ total: 1, current: 1 });
  expect(await referencesOf(databases, fleet)).toEqual([]);
});
