import { setImmediate as immediate } from 'node:timers/promises';
import { rightsOf } from '../../central/make.ts';
import { copyInstalled, readOriginal } from '../../central/plugins.ts';
import {
  markActive,
  markStep,
  type Provisioning,
  unregisterTenant,
} from '../../central/list/provisioning.ts';
import { type Central, withCentral } from '../../central/central.ts';
import type { Migration } from '../../engine/migration.ts';
import { isDeferred } from '../../engine/plan.ts';
import { MpmError } from '../../errors.ts';
import type { Attempt } from '../../engine/apply/migrate.ts';
import { checkDatabaseName } from '../../postgres/database.ts';
import { idWord } from '../../shell-word.ts';
import { CHANGED_MEANWHILE, FilesChanged, isCore, isWhole, sharesNothing } from './tenant-sources.ts';
import { type BuildOptions, type Built, buildDatabase, dropBuilding, newBuildingName } from './build.ts';
import { tenantSet } from '../folders/folder.ts';
import { migrateAndSeed, type MigrateAndSeedOptions } from './migrate-and-seed.ts';
import type { CreationConnections } from './connections.ts';
import { copyOptions, type Original } from '../in-use.ts';
import { copyFolder, removeFolder } from '../folders/own-folder.ts';
import { cancellableOn, withServer } from '../server.ts';
import { ensureTemplate, type Template } from './template.ts';

/** A tenant that is being created: its row is there already. */
export interface Creation extends CreationConnections {
  id: string;
  /** By an earlier call; this one goes on. */
  resumed: boolean;
  /** The tenant whose database it gets a copy of. */
  copyOf?: Original | undefined;
  /** Of its server, if it is found there; until then the server's connection is in use. */
  template?: Promise<Template | undefined>;
}

export interface ProvisionOptions extends MigrateAndSeedOptions {
  /** Once aborted, no further migration is started, and the creation is undone. */
  signal?: AbortSignal;
  onStep?(step: 'database' | 'migrations', tenant: { id: string; name: string; database: string }): void;
}

/** A tenant that is ready: what `tenant create --json` prints. */
export interface ProvisionReport {
  tenant: { id: string; name: string; database: string; server: string; status: 'active' };
  resumed: boolean;
  /** False when the database was there from the call that this one went on with. */
  created: boolean;
  /** Where its schema comes from. */
  source: 'pool' | 'template' | 'migrations' | 'tenant';
  /** Null also for a copy of another tenant, which stands where that one does. */
  head: string | null;
  /** Of a copy, only what the template does not hold. */
  applied: Attempt['applied'];
  notices: string[];
  /** The files that it was made of were changed in the meantime: it may be behind. */
  filesChanged?: boolean;
  durationMs: number;
}

/** A creation at work: what it is about, and what its steps have come to so far. */
interface CreationWork {
  creation: Creation;
  row: Provisioning;
  options: ProvisionOptions;
  tenant: { id: string; name: string; database: string; server: string };
  migrations: readonly Migration[];
  /** Why it is not made from a template, or from which. */
  template: Template;
  /** What the server was found to have before anything was begun. */
  found: Template | undefined;
  built: Built;
  source: ProvisionReport['source'];
  attempt: Pick<Attempt, 'to' | 'applied' | 'notices'> | undefined;
  /** What the one that is copied was made of, before the copy. */
  original: string | undefined;
  /** The name under which its database is made, before it gets its own. */
  buildingAs: string;
}

interface Step {
  /** Looks at what is there, so that it may be done again. */
  do?(work: CreationWork): Promise<void>;
  /** Takes back what `do` has made, or may have made; absent where it goes with what came before. */
  undo?(creation: Creation, row: Provisioning): Promise<void>;
}

/** What a creation does, in this order; a failure takes it back in the opposite one (fleet 13). */
const STEPS: readonly Step[] = [
  // The row is there before a creation carries out anything: with it, nothing that was made is nobody's.
  { undo: removeRow },
  { do: makeDatabase, undo: dropOwn },
  { do: applyMigrations },
  { do: copyBelongings, undo: removeBelongings },
  { do: activate },
];

/** All steps from wherever the row stands. */
export async function carryOut(
  creation: Creation,
  row: Provisioning,
  options: ProvisionOptions,
): Promise<ProvisionReport> {
  const started = Date.now();
  const { central, id, sources, template: searching } = creation;
  const { name, database, server } = row;
  const tenant = { id, name, database, server };
  checkDatabaseName(database);
  const { migrations } = await tenantSet(tenant, sources.core, central.config, sources.cache);
  const work: CreationWork = {
    creation,
    row,
    options,
    tenant,
    migrations,
    template: { why: 'it follows a folder of its own' },
    found: await searching,
    built: 'there',
    source: 'migrations',
    attempt: undefined,
    original: undefined,
    buildingAs: (row.buildingAs ??= newBuildingName()),
  };
  for (const step of STEPS) await step.do?.(work);
  return reportOf(work, started);
}

/** Takes back all steps, the last one first; each may find that there is nothing of it. */
export async function takeBack(creation: Creation, row: Provisioning): Promise<void> {
  for (const step of STEPS.toReversed()) await step.undo?.(creation, row);
}

async function removeRow(creation: Creation, { id }: Provisioning): Promise<void> {
  await onCentral(creation, async (central) => {
    if (!(await unregisterTenant(central, id))) throw new Error(`the row ${id} was changed`);
  });
}

async function makeDatabase(work: CreationWork): Promise<void> {
  const { creation, row, options, tenant, migrations, found, buildingAs } = work;
  const { central, resumed, copyOf, server: connection, sources } = creation;
  const { config } = central;
  const { database, server } = row;
  options.onStep?.('database', tenant);
  row.step = 'database';
  const building = { database, buildingAs, oid: row.oid, isNew: !resumed && row.oid === null };
  if (resumed) await mark(work, 'creating its database');
  const record = (oid: string): Promise<void> => {
    row.oid = oid;
    return mark(work, 'creating its database');
  };
  // By then the database is being made, and there is nothing else to do.
  const looking = immediate().then(() => sources.isCurrent());
  looking.catch(() => undefined);
  const howToBuild = async (): Promise<BuildOptions> => {
    if (copyOf) work.original = await readOriginal(central, copyOf.id);
    if (copyOf) return { ...rightsOf(config), ...(await copyOptions(connection, copyOf)) };
    if (isCore(sources, migrations)) {
      work.template = await ensureTemplate(config, server, { connection, sources, found }, options);
    }
    const rights = rightsOf(config);
    if (work.template.name === undefined) return rights;
    const { name: from, settings } = work.template;
    return {
      ...rights,
      template: from,
      settings,
      base: rights.template,
      onNoTemplate: (why) => void (work.template = { why }),
    };
  };
  work.built = await cancellableOn(config, { name: server, connection }, options.cancel, () =>
    buildDatabase(connection, building, record, howToBuild),
  );
  if (!copyOf && !(await looking)) throw new FilesChanged();
  work.source = copyOf ? 'tenant' : sourceOf(work.built, work.template, resumed);
}

/** The database that this creation has made, whatever has become of it. */
export async function dropOwn(
  { central }: Creation,
  { server, database, buildingAs, oid }: Provisioning,
): Promise<void> {
  if (!buildingAs) return;
  const building = { database, buildingAs, oid };
  await withServer(central.config, server, (connection) => dropBuilding(connection, building));
}

/** Goes with the database. */
async function applyMigrations(work: CreationWork): Promise<void> {
  const { creation, row, options, tenant, migrations, source } = work;
  const { central, id, sources } = creation;
  // What is shared of it is there.
  const isPart = (source === 'template' || source === 'pool') && !isWhole(sources);
  if (source !== 'migrations' && !isPart) return;
  options.onStep?.('migrations', tenant);
  row.step = 'migrations';
  await mark(work, 'applying its migrations');
  const { name, database, server } = tenant;
  const newDatabase = { server, database, purpose: id, tenant: { id, name } };
  const files = { migrations, seeds: sources.seeds };
  work.attempt = await migrateAndSeed(central.config, newDatabase, files, options);
}

/** What a copy has beside its database: plugins, and a folder of its own. Plugins go with the row. */
async function copyBelongings({ creation, tenant, original }: CreationWork): Promise<void> {
  const { central, copyOf } = creation;
  if (!copyOf) return;
  await copyInstalled(central, copyOf.id, tenant.id);
  copyFolder(copyOf, tenant, central.config);
  if ((await readOriginal(central, copyOf.id)) !== original) throw changedMeanwhile(copyOf);
}

async function removeBelongings({ copyOf, central }: Creation, row: Provisioning): Promise<void> {
  if (copyOf) removeFolder(row, central.config);
}

async function activate({ creation, options, tenant }: CreationWork): Promise<void> {
  if (options.signal?.aborted) throw new MpmError('INTERRUPTED', 'interrupted');
  if (await markActive(creation.central, tenant.id)) return;
  throw new MpmError('TENANT_STATUS', `${tenant.name} (${tenant.id}) is not being created any more`);
}

function mark({ creation, row, buildingAs }: CreationWork, reason: string): Promise<void> {
  const { step, oid } = row;
  return markStep(creation.central, creation.id, { step: step ?? 'database', buildingAs, oid, reason });
}

function reportOf(work: CreationWork, started: number): ProvisionReport {
  const { creation, tenant, migrations, template, found, built, source, attempt } = work;
  const { central, id, resumed, copyOf, sources } = creation;
  const follows = !copyOf && isCore(sources, migrations);
  // What follows a folder of its own, or is a copy of a tenant, was never meant to come from the template.
  const meant = follows && central.config.templates && !sharesNothing(sources);
  const filesChanged = follows && !sources.isStill();
  const isTaken = (migration: Migration): boolean => !isDeferred(migration, central.config);
  const replayed = built === 'created' && template.name === undefined && meant;
  return {
    tenant: { ...tenant, status: 'active' },
    resumed,
    created: built !== 'there',
    source,
    head: attempt ? attempt.to : copyOf ? null : (migrations.findLast(isTaken)?.name ?? null),
    applied: attempt?.applied ?? [],
    notices: [
      ...(replayed ? [`made without a template: ${template.why}`] : []),
      ...(template.notices ?? (built === 'taken' ? found?.notices : undefined) ?? []),
      ...(attempt?.notices ?? []),
      ...(filesChanged ? [`${CHANGED_MEANWHILE}: mpm-migrate up --tenant ${idWord(id)}`] : []),
    ],
    ...(filesChanged ? { filesChanged } : {}),
    durationMs: Date.now() - started,
  };
}

/** On the open connection, or on a new one when that is what broke. */
export async function onCentral(creation: Creation, use: (central: Central) => Promise<void>): Promise<void> {
  const { central } = creation;
  if (!central.connection.lost) {
    const done = await use(central).then(
      () => true,
      (error: unknown) => {
        if (!central.connection.lost) throw error;
        return false;
      },
    );
    if (done) return;
  }
  await withCentral(central.config, use);
}

/** Its database may have been made anew, or a plugin taken out of it, before or after the copy (fleet 54). */
function changedMeanwhile({ id, name }: Original): MpmError {
  return new MpmError(
    'TENANT_STATUS',
    `${name} (${id}) was made anew, or its plugins were changed, while it was copied`,
    {
      subject: name,
      hint: 'Copy it again.',
    },
  );
}

/** What is from an earlier call may be unfinished, or of older files: its history is read, whatever it was made from. */
function sourceOf(built: Built, template: Template, resumed: boolean): ProvisionReport['source'] {
  if (built === 'taken' && !resumed) return 'pool';
  return built === 'created' && template.name !== undefined ? 'template' : 'migrations';
}
