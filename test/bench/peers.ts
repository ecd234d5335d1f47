import { existsSync } from 'node:fs';
import { copyFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type BenchFleet, CONCURRENCY, startMigratedFleet, urlOf } from './fleet.ts';
import { type Bench, mpm, program } from './harness.ts';
import { writeFiles, writeHistory } from './history.ts';

/** Ours, and theirs: they are slow, so that fewer tell as much. What is compared is the time per tenant. */
const OURS = 200;
const THEIRS = 30;
const HERE = join(import.meta.dirname, 'peers');

interface Migration {
  name: string;
  sql: string;
}

/** A tool as its users run it today: once per tenant, several at once. */
interface Peer {
  name: string;
  /** Of its files, in its own form. */
  fileOf(migration: Migration): [name: string, content: string];
  /** For a shell, with the tenant's URL in $1; `folder` has its files. */
  command(folder: string): string;
  before?: string;
}

const BIN = join(HERE, 'node_modules/.bin');

const PEERS: Peer[] = [
  {
    name: 'psql and xargs -P',
    fileOf: ({ name, sql }) => [`${name}.sql`, sql],
    command: (folder) => `${join(HERE, 'psql-loop.sh')} "$1" ${folder}`,
    before: 'create table schema_history (name text primary key, at timestamptz default now())',
  },
  {
    name: 'dbmate',
    fileOf: ({ name, sql }) => [`${name}.sql`, `-- migrate:up\n${sql}\n-- migrate:down\n`],
    command: (folder) =>
      `${join(BIN, 'dbmate')} --url "$1?sslmode=disable" --migrations-dir ${folder} --no-dump-schema migrate`,
  },
  {
    name: 'node-pg-migrate',
    fileOf: ({ name, sql }) => [`${name}.sql`, `-- Up Migration\n${sql}\n-- Down Migration\n`],
    command: (folder) =>
      `DATABASE_URL="$1" ${join(BIN, 'node-pg-migrate')} up --migrations-dir ${folder} --no-check-order`,
  },
  {
    name: 'kysely-ctl',
    fileOf: ({ name, sql }) => [
      `${name}.ts`,
      `import { sql } from 'kysely';\nexport const up = (db) => sql.raw(${JSON.stringify(sql)}).execute(db);\n`,
    ],
    command: (folder) =>
      `cd ${join(folder, '..')} && DATABASE_URL="$1" MIGRATIONS=${folder} ${join(BIN, 'kysely')} migrate:latest`,
  },
];

const bench: Bench = {
  title: `other tools once per tenant, ${CONCURRENCY} at once: how many times our time per tenant`,
  async run(row) {
    if (!existsSync(BIN)) throw new Error('install them first: npm ci --prefix test/bench/peers');
    const fleet = await startMigratedFleet(OURS);
    try {
      for (const [index, peer] of PEERS.entries()) {
        const prefix = `peer${index}_`;
        const folder = join(fleet.cwd, `peers/${index}/migrations`);
        const add = await migrateWith(fleet, peer, prefix, folder);
        const theirs = async (): Promise<number> => {
          const urls = Array.from({ length: THEIRS }, (_, at) => urlOf(fleet.server, `${prefix}${at + 1}`));
          return (await eachWith(peer, folder, urls)) / THEIRS;
        };
        const few = { limit: 5, atLeast: true, unit: 'ms per tenant', pairs: 5, warmUp: 0 };
        await row(`P2: ${peer.name}`, { ...few, floor: () => ours(fleet), ours: theirs });
        await row(`P4: ${peer.name}`, {
          ...few,
          floor: async () => {
            await add.ours();
            return ours(fleet);
          },
          ours: async () => {
            await add.theirs();
            return theirs();
          },
        });
      }
    } finally {
      await fleet.stop();
    }
  },
};

/** ms per tenant of a run over all of them. */
async function ours(fleet: BenchFleet): Promise<number> {
  const started = performance.now();
  await mpm(['up', '--all'], fleet);
  return (performance.now() - started) / OURS;
}

/** ms that it takes for all of them. */
async function eachWith(peer: Peer, folder: string, urls: readonly string[]): Promise<number> {
  const started = performance.now();
  const loop = `printf '%s\\n' ${urls.join(' ')} | xargs -P ${CONCURRENCY} -n 1 sh -c '${peer.command(folder)}' one > /dev/null`;
  await program('sh', ['-c', loop], { cwd: '/' });
  return performance.now() - started;
}

/** Tenants whose whole history was applied by that tool; returns what adds one more migration on either side. */
async function migrateWith(fleet: BenchFleet, peer: Peer, prefix: string, folder: string) {
  await writeFiles(folder, writeHistory(), peer.fileOf);
  const project = join(folder, '..');
  await symlink(join(HERE, 'node_modules'), join(project, 'node_modules'));
  await copyFile(join(HERE, 'kysely.config.mjs'), join(project, 'kysely.config.mjs'));
  const template = `${prefix}template`;
  await fleet.query(`create database ${template}`);
  if (peer.before) await fleet.query(peer.before, template);
  await eachWith(peer, folder, [urlOf(fleet.server, template)]);
  await fleet.clone(template, prefix, THEIRS);
  let number = 0;
  const next = (): Migration => {
    number += 1;
    const column = `extra_${prefix}${number}`;
    return {
      name: `2030${String(number).padStart(10, '0')}_${prefix}add`,
      sql: `alter table customer_0 add column ${column} text;\n`,
    };
  };
  return {
    ours: async () => {
      const { name, sql } = next();
      // Of all peers' turns, each comes after the one before.
      const later = `${2031 + Number(prefix.replaceAll(/\D/g, ''))}${name.slice(4)}`;
      await writeFiles(join(fleet.cwd, 'migrations/core'), [{ name: later, sql }]);
    },
    theirs: () => writeFiles(folder, [next()], peer.fileOf),
  };
}

export default bench;
