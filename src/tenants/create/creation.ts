import { setImmediate as immediate } from 'node:timers/promises';
import { rightsOf } from '../../central/make.ts';
import { copyInstalled, readOriginal } from '../../central/plugins.ts';
import { markActive, markStep, type Provisioning } from '../../central/list/provisioning.ts';
import { MpmError } from '../../errors.ts';
import type { Attempt } from '../../engine/apply/migrate.ts';
import { checkDatabaseName } from '../../postgres/database.ts';
import { idWord } from '../../shell-word.ts';
import { CHANGED_MEANWHILE, FilesChanged, isCore, isWhole, sharesNothing } from './tenant-sources.ts';
import { type BuildOptions, type Built, buildDatabase, newBuildingName } from './build.ts';
import { tenantSet } from '../folders/folder.ts';
import { migrateAndSeed, type MigrateAndSeedOptions } from './migrate-and-seed.ts';
import type { CreationConnections } from './connections.ts';
import { copyOptions, type Original } from '../in-use.ts';
import { copyFolder } from '../folders/own-folder.ts';
import { cancellableOn } from '../server.ts';
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

/** All steps from wherever the row stands: each looks at what is there, so that it may be done again. */
export async function carryOut(
  { central, id, resumed, copyOf, server: connection, sources, template: searching }: Creation,
  row: Provisioning,
  options: ProvisionOptions,
): Promise<ProvisionReport> {
  const started = Date.now();
  const { config } = central;
  const { name, database, server } = row;
  const tenant = { id, name, database, server };
  checkDatabaseName(database);
  const { migrations } = await tenantSet(tenant, sources.core, config, sources.cache);
  const found = await searching;

  options.onStep?.('database', tenant);
  row.step = 'database';
  const buildingAs = (row.buildingAs ??= newBuildingName());
  const mark = (reason: string) =>
    markStep(central, id, { step: row.step ?? 'database', buildingAs, oid: row.oid, reason });
  if (resumed) await mark('creating its database');
  let template: Template = { why: 'it follows a folder of its own' };
  const building = { database, buildingAs, oid: row.oid, isNew: !resumed && row.oid === null };
  const record = (oid: string): Promise<void> => {
    row.oid = oid;
    return mark('creating its database');
  };
  // By then the database is being made, and there is nothing else to do.
  const looking = immediate().then(() => sources.isCurrent());
  looking.catch(() => undefined);
  let original: string | undefined;
  const howToBuild = async (): Promise<BuildOptions> => {
    if (copyOf) original = await readOriginal(central, copyOf.id);
    if (copyOf) return { ...rightsOf(config), ...(await copyOptions(connection, copyOf)) };
    if (isCore(sources, migrations)) {
      template = await ensureTemplate(config, server, { connection, sources, found }, options);
    }
    const rights = rightsOf(config);
    if (template.name === undefined) return rights;
    const { name: from, settings } = template;
    return {
      ...rights,
      template: from,
      settings,
      base: rights.template,
      onNoTemplate: (why) => void (template = { why }),
    };
  };
  const built = await cancellableOn(config, { name: server, connection }, options.cancel, () =>
    buildDatabase(connection, building, record, howToBuild),
  );

  if (!copyOf && !(await looking)) throw new FilesChanged();
  const source = copyOf ? 'tenant' : sourceOf(built, template, resumed);
  let attempt: Pick<Attempt, 'to' | 'applied' | 'notices'> | undefined;
  // What is shared of it is there.
  const isPart = (source === 'template' || source === 'pool') && !isWhole(sources);
  if (source === 'migrations' || isPart) {
    options.onStep?.('migrations', tenant);
    row.step = 'migrations';
    await mark('applying its migrations');
    const newDatabase = { server, database, purpose: id, tenant: { id, name } };
    attempt = await migrateAndSeed(config, newDatabase, { migrations, seeds: sources.seeds }, options);
  }
  if (copyOf) {
    await copyInstalled(central, copyOf.id, id);
    copyFolder(copyOf, tenant, config);
    if ((await readOriginal(central, copyOf.id)) !== original) throw changedMeanwhile(copyOf);
  }
  if (options.signal?.aborted) throw new MpmError('INTERRUPTED', 'interrupted');
  if (!(await markActive(central, id))) {
    throw new MpmError('TENANT_STATUS', `${name} (${id}) is not being created any more`);
  }
  // What follows a folder of its own, or is a copy of a tenant, was never meant to come from the template.
  const meant = !copyOf && config.templates && !sharesNothing(sources) && isCore(sources, migrations);
  const filesChanged = !copyOf && isCore(sources, migrations) && !sources.isStill();
  const replayed = built === 'created' && template.name === undefined && meant;
  return {
    tenant: { ...tenant, status: 'active' },
    resumed,
    created: built !== 'there',
    source,
    head: attempt ? attempt.to : copyOf ? null : (migrations.at(-1)?.name ?? null),
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
