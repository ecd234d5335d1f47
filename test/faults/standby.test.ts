import { existsSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { centralUp } from '../../src/central/schema/up.ts';
import { doctor } from '../../src/fleet/doctor/doctor.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { provision } from '../../src/tenants/create/provision.ts';
import { configOf } from '../helpers/central.ts';
import { folderOf, withFolders } from '../helpers/engine.ts';
import { startServer } from '../helpers/server.ts';
import { startStandby } from '../helpers/standby.ts';

withFolders();

test.skipIf(!existsSync('/proc/self/cmdline'))(
  'fleet 26, engine 49: a hot standby is told from its original, and takes nothing that is to be written',
  async () => {
    const primary = await startServer();
    onTestFinished(() => primary.stop());
    const central = new URL(primary.url);
    central.pathname = '/central';
    const config = configOf(central.href);
    config.migrations.core = await folderOf({ '1_a.sql': 'create table a ();' });
    await centralUp(config);
    await provision(config, { name: 'Acme' });
    const standby = await startStandby(primary);
    onTestFinished(() => standby.stop());

    // As a central database.
    const away = new URL(central);
    away.port = String(standby.port);
    const onStandby = { ...config, central: { url: away.href } };
    await expect(up(onStandby, { all: true })).rejects.toMatchObject({
      code: 'READ_ONLY',
      message: expect.stringContaining("is a hot standby and doesn't accept writes") as string,
      hint: expect.stringContaining('central.url') as string,
    });
    const errors = async (where: typeof config) =>
      (await doctor(where)).findings.filter(({ level }) => level === 'error').map(({ message }) => message);
    expect((await errors(onStandby)).join('\n')).toContain("the ledger doesn't accept writes");

    // As another server of the fleet.
    const servers = { ...config.servers, eu: { name: 'eu', url: standby.url } };
    const { findings } = await doctor({ ...config, servers });
    expect(findings).toContainEqual(
      expect.objectContaining({
        about: 'server eu',
        level: 'warning',
        message: 'it is a copy or a standby of the server "default"',
      }),
    );
  },
  60_000,
);
