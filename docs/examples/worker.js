// A worker that runs jobs for many tenants, each in its own database. Jobs are lines of JSON on stdin, in place of
// your queue: {"tenant":42,"kind":"addMeter","id":7}
//   CENTRAL_URL=postgres://… node worker.js < jobs
import { createInterface } from 'node:readline';
import { openFleet } from 'mpm-migrate';

const AT_ONCE = 4;

const kinds = {
  async addMeter({ id }) {
    const { db } = fleet.current();
    await db.insertInto('meters').values({ id }).execute();
  },
  async count() {
    const { db, tenant } = fleet.current();
    const rows = await db.selectFrom('meters').select('id').execute();
    console.log(`${tenant.name} has ${rows.length} meters`);
  },
};

const fleet = await openFleet({ central: { url: process.env.CENTRAL_URL } });
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

const jobs = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function workOff() {
  for (let next = await jobs.next(); !next.done && !stop.signal.aborted; next = await jobs.next()) {
    const job = JSON.parse(next.value);
    try {
      await fleet.run(job.tenant, () => kinds[job.kind](job), { signal: stop.signal });
    } catch (error) {
      // One tenant's failure doesn't affect the others. Retry SESSION_TIMEOUT and TENANT_NOT_READY later.
      console.log(`job of ${job.tenant} failed: ${error.code ?? error.message}`);
    }
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, workOff));
await fleet.close();
