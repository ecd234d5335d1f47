import { connect } from '../../src/postgres/connect.ts';
import { fillPool } from '../../src/tenant/pool.ts';
import { listTemplates } from '../../src/tenant/template.ts';
import type { Bench } from './harness.ts';
import { withNewTenants } from './new-tenant.ts';

const bench: Bench = {
  title: 'a new tenant from the template, against `create database … template`',
  async run(row) {
    await withNewTenants(async ({ config, server, target, create, untilQuery, command, checkpoint }) => {
      await create('template');
      const [template] = await listTemplates(server, config);
      let number = 0;
      const sql = (): string => `create database copy_${++number} template ${template?.name}`;
      // Both sessions get faster with each database until they have met all of the server's memory.
      const many = { reset: checkpoint, pairs: 21, warmUp: 6, floor: () => server.query(sql()) };
      await row('276 migrations, from the template', {
        ...many,
        limit: 1.3,
        ours: async () => void (await create('template')),
      });
      await row('… until it has answered a query', {
        ...many,
        limit: 1.6,
        ours: () => untilQuery('template'),
      });
      await fillPool(config, { size: many.pairs + many.warmUp });
      await row('… from the pool, until the same', {
        ...many,
        limit: 1,
        ours: () => untilQuery('template'),
      });
      await row('by a command, against a session of its own', {
        ...many,
        limit: 1.3,
        floor: async () => {
          const session = await connect(target);
          await session.query(sql());
          session.leave();
        },
        ours: async () => void (await command()),
      });
    });
  },
};

export default bench;
