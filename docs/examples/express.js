// A server that answers each user from their own tenant's database.
//   CENTRAL_URL=postgres://… PORT=3000 node express.js
import express from 'express';
import { openFleet } from 'mpm-migrate';

const fleet = await openFleet({ central: { url: process.env.CENTRAL_URL } });
const app = express();
app.use(express.json());

app.use(async (request, response, next) => {
  // Replace this with your login, which must authenticate the user.
  const [, basic = ''] = (request.get('authorization') ?? '').split('Basic ');
  const [email = ''] = Buffer.from(basic, 'base64').toString().split(':');
  const tenant = await fleet.resolve({ email });
  // From here on, everything that this request calls has this tenant.
  await fleet.run(tenant.id, () => next(), { atLeast: '1' });
});

app.get('/meters', async (request, response) => {
  const { db } = fleet.current();
  response.json(await db.selectFrom('meters').selectAll().orderBy('id').execute());
});

app.post('/meters', async (request, response) => {
  const { db, tenant } = fleet.current();
  await db.insertInto('meters').values({ id: request.body.id }).execute();
  response.status(201).json({ company: tenant.name });
});

const STATUS = {
  UNKNOWN_USER: 401,
  TENANT_SUSPENDED: 403,
  TENANT_NOT_READY: 503,
  TENANT_BEHIND: 503,
  SESSION_TIMEOUT: 503,
};

// Express recognizes an error handler by its four parameters.
app.use((error, request, response, _next) => {
  response.status(STATUS[error.code] ?? 500).json({ error: error.code ?? 'ERROR' });
});

const server = app.listen(Number(process.env.PORT ?? 3000), () => {
  console.log(`listening on ${server.address().port}`);
});

process.once('SIGTERM', () => {
  server.close(() => fleet.close());
});
