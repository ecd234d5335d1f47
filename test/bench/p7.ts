import type { Bench } from './harness.ts';
import { endNewTenants, withNewTenants } from './new-tenant.ts';

const bench: Bench = {
  title: 'a new tenant from the template, against the same by replay (at most a quarter)',
  async run(row) {
    await withNewTenants(async ({ untilQuery, checkpoint }) => {
      await untilQuery('template');
      await row('276 migrations, until a query', {
        floor: () => untilQuery('replay'),
        ours: () => untilQuery('template'),
        reset: checkpoint,
        warmUp: 3,
        limit: 0.25,
      });
    });
  },
  end: endNewTenants,
};

export default bench;
