import { fillPool } from '../../src/tenant/pool.ts';
import { listTemplates } from '../../src/tenant/template.ts';
import type { Bench } from './harness.ts';
import { withNewTenants } from './new-tenant.ts';

const bench: Bench = {
  title: 'a new tenant from the template, against `create database … template`',
  async run(row) {
    await withNewTenants(async ({ config, server, create, untilQuery, checkpoint }) => {
      await create(true);
      const [template] = await listTemplates(server, config);
      let number = 0;
      const floor = async (): Promise<void> => {
        await server.query(`create database copy_${++number} template ${template?.name}`);
      };
      const many = { floor, reset: checkpoint, pairs: 11, warmUp: 2 };
      await row('276 migrations, from the template', {
        ...many,
        limit: 1.3,
        ours: async () => void (await create(true)),
      });
      await row('… until it has answered a query', { ...many, limit: 1.6, ours: () => untilQuery(true) });
      await fillPool(config, { size: 13 });
      await row('… from the pool, until the same', { ...many, limit: 1, ours: () => untilQuery(true) });
    });
  },
};

export default bench;
