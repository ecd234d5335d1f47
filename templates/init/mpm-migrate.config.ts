import { defineConfig } from 'mpm-migrate';

export default defineConfig({
  central: {
    // The one database that lists your tenants. MPM_CENTRAL_URL in the environment goes before it: keep the
    // password there, or in PGPASSWORD or ~/.pgpass.
    url: 'postgres://postgres@localhost:5432/micro_power_manager',
  },

  // More servers that host tenant databases, by the name that a tenant's row gives. "default" is the central one.
  // servers: {
  //   eu1: { url: 'postgres://postgres@eu1.example:5432', maxConnections: 32 },
  //   us1: { url: 'postgres://postgres@pooler.us1.example:6432', directUrl: 'postgres://postgres@us1.example:5432' },
  // },

  migrations: {
    core: 'migrations/core', // the schema of every tenant
    central: 'migrations/central', // your own tables in the central database
    tenants: 'migrations/tenants', // one folder a tenant: what `mpm-migrate sync` copies, and its own migrations
    // plugins: 'migrations/plugins', // a folder a plugin: migrations that only some tenants get
    // seeds: 'migrations/seeds', // what runs once in each new tenant, after its migrations
    // templates: 'migrations/templates', // migration.ts and migration.sql, for `mpm-migrate create`
  },

  // Who the tenants are. Left out: the tables companies and company_databases, which `mpm-migrate central up` makes.
  // tenants: { query: 'select id, name, database, server, status, labels from customers' },
  // tenants: { table: 'customers', columns: { id: 'id', name: 'title', database: 'db_name' } },

  // Where each database keeps its history.
  // history: { schema: 'mpm_migrate', table: 'history' },

  // pace: {
  //   concurrency: 16, // tenants at once, per server; by default a quarter of the connections that are free
  //   lockTimeout: '1s', // a waiting ALTER stalls every reader behind it
  //   statementTimeout: 0, // none
  //   lockWait: '30s', // for another runner of the same tenant
  //   retries: 10, // for what passes by itself
  // },
});
