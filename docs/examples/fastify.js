// A server that answers each user from their own tenant's database.
//   CENTRAL_URL=postgres://… PORT=3000 node fastify.js
import Fastify from 'fastify';
import { openFleet } from 'mpm-migrate';

const fleet = await openFleet({ central: { url: process.env.CENTRAL_URL } });
const app = Fastify();

// Use a callback, not async: everything after `done` then runs inside of `run`.
app.addHook('preHandler', (request, reply, done) => {
  // Replace this with your login, which must authenticate the user.
  const email = request.headers['x-user-email'] ?? '';
  fleet
    .resolve({ email })
    .then((tenant) => fleet.run(tenant.id, () => done(), { atLeast: '1' }))
    .catch(done);
});

app.get('/meters', async () => {
  const { db } = fleet.current();
  return db.selectFrom('meters').selectAll().orderBy('id').execute();
});

app.post('/meters', async (request, reply) => {
  const { db, tenant } = fleet.current();
  await db.insertInto('meters').values({ id: request.body.id }).execute();
  return reply.code(201).send({ company: tenant.name });
});

const STATUS = {
  UNKNOWN_USER: 401,
  TENANT_SUSPENDED: 403,
  TENANT_NOT_READY: 503,
  TENANT_BEHIND: 503,
  SESSION_TIMEOUT: 503,
};

app.setErrorHandler((error, request, reply) => {
  reply.code(STATUS[error.code] ?? 500).send({ error: error.code ?? 'ERROR' });
});
app.addHook('onClose', () => fleet.close());

await app.listen({ port: Number(process.env.PORT ?? 3000) });
console.log(`listening on ${app.server.address().port}`);

process.once('SIGTERM', () => app.close());
