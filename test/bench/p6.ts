import { identified } from '../helpers/central.ts';
import { withConnection } from '../../src/postgres/connect.ts';
import { fillPool } from '../../src/tenants/create/pool.ts';
import { listTemplates } from '../../src/tenants/create/template.ts';
import type { Bench } from './harness.ts';
import { endNewTenants, withNewTenants } from './new-tenant.ts';

const bench: Bench = {
  title: 'a new tenant from the template, against `create database … template`',
  async run(row) {
    await withNewTenants(
      async ({ config, server, target, create, untilQuery, command, query, checkpoint }) => {
        await create('template');
        const [template] = await listTemplates(server, await identified(config));
        let number = 0;
        const copy = async (session = server): Promise<string> => {
          const database = `copy_${++number}`;
          await session.query(`create database ${database} template ${template?.name}`);
          return database;
        };
        // Both sessions get faster with each database until they have met all of the server's memory.
        const many = { reset: checkpoint, pairs: 21, warmUp: 6 };
        await row('276 migrations, from the template', {
          ...many,
          limit: 1.3,
          floor: () => copy(),
          ours: async () => void (await create('template')),
        });
        const first = async (): Promise<void> => query(await copy());
        await row('… until it has answered a query', {
          ...many,
          limit: 1.3,
          floor: first,
          ours: () => untilQuery('template'),
        });
        await fillPool(config, { size: many.pairs + many.warmUp });
        await row('… from the pool, until the same', {
          ...many,
          limit: 1,
          floor: first,
          ours: () => untilQuery('template'),
        });
        await row('by a command, both with sessions of their own', {
          ...many,
          limit: 1.3,
          floor: () => withConnection(target, copy, { leave: true }),
          ours: async () => void (await command()),
        });
      },
    );
  },
  end: endNewTenants,
};

export default bench;
