import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Tenant } from '../../central/list/tenant.ts';
import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { listFolder } from '../../engine/source/layout.ts';
import { idWord, shellWord } from '../../shell-word.ts';
import { MANIFEST, type Manifest, type Owner, readManifest, writeManifest } from './manifest.ts';

/** A tenant, as far as its folder goes. */
export type TenantOfFolder = Pick<Tenant, 'id' | 'name' | 'server' | 'database'>;

/** A folder that is a tenant's own. */
export interface OwnFolder {
  name: string;
  folder: string;
  manifest: Manifest;
}

const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i;

/**
 * A database's name as a folder's. Where it can be none, it is percent-encoded, as far as that takes: `.x` is `%2Ex`,
 * `a/b` is `a%2Fb`, and `con`, which is no file on Windows, `%63on`.
 */
export function folderNameOf(database: string): string {
  return database
    .replace(/[/\\\0]|^\.|[. ]$|(?<=^[a-z]):/gi, percent)
    .replace(WINDOWS_DEVICE, (device) => percent(device.slice(0, 1)) + device.slice(1));
}

function percent(character: string): string {
  return `%${Buffer.from(character).toString('hex').toUpperCase()}`;
}

/** The names that a tenant's folder may have: the second, where the first is that of another server's tenant. */
function namesFor({ database, server }: Pick<Tenant, 'database' | 'server'>): string[] {
  return database === '' ? [] : [database, `${database}@${server}`].map(folderNameOf);
}

/** The folders of tenants, looked at once: most fleets follow core, and have none. */
export class TenantFolders {
  readonly #parent: string;
  readonly names: ReadonlySet<string>;
  #byId: Map<string, OwnFolder[]> | undefined;

  /** @throws MpmError TENANT_FOLDER when the folder of folders cannot be read */
  constructor({ migrations }: Config) {
    this.#parent = migrations.tenants;
    this.names = new Set(namesIn(migrations.tenants));
  }

  /**
   * The folder that is this tenant's own, as its manifest says; undefined when it has none.
   * @throws MpmError TENANT_FOLDER for one of its name that is nobody's, or another's of the same server, and for one
   *   that was its own at another place
   */
  find(tenant: TenantOfFolder): OwnFolder | undefined {
    const { own, claimable } = this.look(tenant);
    if (own || !claimable) return own;
    throw notIts(claimable, tenant);
  }

  /** The folder that is its own, or else what may be meant to be it. @throws MpmError TENANT_FOLDER */
  look(tenant: TenantOfFolder): { own?: OwnFolder; claimable?: OwnFolder } {
    if (this.names.size === 0) return {};
    let claimable: OwnFolder | undefined;
    for (const name of namesFor(tenant).filter((each) => this.names.has(each))) {
      const found = this.#read(name);
      const owner = found.manifest.tenant;
      if (isOf(owner, tenant)) return { own: found };
      const isNobodys = !owner && !isBare(found.folder);
      if (isNobodys || owner?.server === tenant.server) claimable ??= found;
    }
    // One that was renamed by hand, or has not come along.
    this.#byId ??= this.#owned();
    const others = this.#byId.get(tenant.id) ?? [];
    const own = others.find(({ manifest }) => isOf(manifest.tenant, tenant));
    if (own) return { own };
    claimable ??= others[0];
    return claimable ? { claimable } : {};
  }

  #read(name: string): OwnFolder {
    const folder = join(this.#parent, name);
    return { name, folder, manifest: readManifest(folder) };
  }

  #owned(): Map<string, OwnFolder[]> {
    const byId = new Map<string, OwnFolder[]>();
    for (const name of this.names) {
      const folder = join(this.#parent, name);
      const manifest = manifestIn(folder);
      const id = manifest?.tenant?.id;
      if (!manifest || id === undefined) continue;
      byId.set(id, [...(byId.get(id) ?? []), { name, folder, manifest }]);
    }
    return byId;
  }
}

/** Another tenant's trouble is told where that one is looked at. */
function manifestIn(folder: string): Manifest | undefined {
  try {
    return readManifest(folder);
  } catch {
    return undefined;
  }
}

/**
 * The folder of a tenant's own, whether it exists or not.
 * @throws MpmError TENANT_FOLDER when other tenants have its names, or the database has none, and as
 *   {@link TenantFolders.find}
 */
export function folderFor(
  tenant: TenantOfFolder,
  config: Config,
  folders = new TenantFolders(config),
): string {
  const found = folders.find(tenant);
  if (found) return found.folder;
  // Asked of the file system, which may take two names for one.
  const free = namesFor(tenant).find((each) => isBare(join(config.migrations.tenants, each)));
  if (free !== undefined) return join(config.migrations.tenants, free);
  const { id, name, database } = tenant;
  const why = database === '' ? 'it is empty' : "its names are other tenants' folders";
  throw new MpmError(
    'TENANT_FOLDER',
    `${who(tenant)} cannot have a folder for the database ${JSON.stringify(database)}: ${why}`,
    {
      subject: name || id,
      hint: 'Without a folder, it follows core. Leave it out (--exclude), or rename the database.',
    },
  );
}

/** A folder that a new tenant of that place would find, and that is not another server's tenant's. */
export function folderInTheWay(
  place: Pick<Tenant, 'database' | 'server'>,
  config: Config,
): string | undefined {
  return namesFor(place)
    .map((name) => join(config.migrations.tenants, name))
    .find((folder) => {
      if (isBare(folder)) return false;
      const owner = manifestIn(folder)?.tenant;
      return !owner || owner.server === place.server;
    });
}

/** Writes into a folder's manifest whose it is; the folder need not exist. Throws what node:fs throws. */
export function writeOwner(folder: string, { id, server, database }: Owner): void {
  mkdirSync(folder, { recursive: true });
  const { copies } = readManifest(folder);
  writeManifest(folder, { tenant: { id, server, database }, copies });
}

/**
 * Makes a tenant's own what lies in its folder's place, or was its own at another place.
 * @param others also a folder whose manifest names another tenant
 * @returns whether there was something to claim
 * @throws MpmError FILE_SYSTEM, TENANT_FOLDER
 */
export function claimFolder(
  tenant: TenantOfFolder,
  config: Config,
  { folders = new TenantFolders(config), others }: { folders?: TenantFolders; others: boolean },
): boolean {
  const { claimable } = folders.look(tenant);
  const owner = claimable?.manifest.tenant;
  if (!claimable || !(others || !owner || owner.id === tenant.id)) return false;
  bringHome(claimable.folder, tenant, config);
  return true;
}

/**
 * A moved tenant's folder goes along: first its manifest says the new place, by which it is found wherever it lies.
 * @returns what to tell: why it is as it was
 */
export function takeFolderAlong(from: TenantOfFolder, to: TenantOfFolder, config: Config): string[] {
  try {
    const own = new TenantFolders(config).find(from);
    if (own) bringHome(own.folder, to, config);
    return [];
  } catch (error) {
    const remedy = `mpm-migrate sync --claim --tenant ${idWord(to.id)}`;
    return [`its folder wasn't moved: ${(error as Error).message}; to move it: ${remedy}`];
  }
}

/** Makes a folder a tenant's own, and gives it the name of its database, where that is free. */
function bringHome(folder: string, tenant: TenantOfFolder, config: Config): void {
  inPlace(folder, () => {
    writeOwner(folder, tenant);
    const names = namesFor(tenant).map((name) => join(config.migrations.tenants, name));
    const free = names.find((path) => path === folder || !existsSync(path));
    if (free !== undefined && free !== folder) renameSync(folder, free);
  });
}

/**
 * A copied tenant gets a copy of its original's folder. Whose it is comes first, so that a drop finds what a kill left.
 * @throws MpmError FILE_SYSTEM, TENANT_FOLDER
 */
export function copyFolder(from: TenantOfFolder, to: TenantOfFolder, config: Config): void {
  const folders = new TenantFolders(config);
  const own = folders.find(from);
  if (!own) return;
  const folder = folderFor(to, config, folders);
  inPlace(folder, () => {
    writeOwner(folder, to);
    cpSync(own.folder, folder, {
      recursive: true,
      preserveTimestamps: true,
      filter: (path) => path !== join(own.folder, MANIFEST),
    });
    const { id, server, database } = to;
    writeManifest(folder, { tenant: { id, server, database }, copies: own.manifest.copies });
  });
}

/** Removes what {@link copyFolder} made. Throws what node:fs throws. */
export function removeFolder(tenant: TenantOfFolder, config: Config): void {
  const own = new TenantFolders(config).find(tenant);
  if (own) rmSync(own.folder, { recursive: true, force: true });
}

/** Where the folders of dropped tenants go; a name with a dot is no tenant's. */
const DROPPED = '.dropped';

/**
 * Moves a dropped tenant's folder aside, where nobody takes it for a new tenant's.
 * @returns what to tell: where it is now, or why it is where it was
 */
export function setFolderAside(tenant: TenantOfFolder, config: Config): string[] {
  try {
    const own = new TenantFolders(config).find(tenant);
    if (!own) return [];
    const { tenants } = config.migrations;
    mkdirSync(join(tenants, DROPPED), { recursive: true });
    const name = folderNameOf(tenant.database);
    let aside = join(tenants, DROPPED, name);
    for (let number = 2; existsSync(aside); number += 1) aside = join(tenants, DROPPED, `${name}-${number}`);
    renameSync(own.folder, aside);
    return [`its folder is now ${aside}`];
  } catch (error) {
    return [`its folder was left where it is: ${(error as Error).message}`];
  }
}

function inPlace(folder: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (error instanceof MpmError) throw error;
    throw new MpmError('FILE_SYSTEM', `${folder}: ${(error as Error).message}`, {
      subject: folder,
      hint: 'Fix the cause, and then run it again.',
      cause: error,
    });
  }
}

/**
 * Nothing; or a folder without migrations and manifest, as a `sync` leaves it that is killed when it has just begun.
 * @throws MpmError TENANT_FOLDER for what is no folder, nor leads to one
 */
function isBare(path: string): boolean {
  if (!lstatSync(path, { throwIfNoEntry: false })) return true;
  requireFolder(path);
  if (existsSync(join(path, MANIFEST))) return false;
  const { migrations, problems } = listFolder(path);
  return migrations.length + problems.length === 0;
}

function requireFolder(path: string): void {
  let what = 'is no folder';
  let hint = 'Move it elsewhere: folders of tenants have that place.';
  try {
    if (statSync(path).isDirectory()) return;
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(code)) {
      what = `cannot be looked at: ${message}`;
      hint = 'Check its permissions.';
    } else {
      what = `is a link to ${readlinkSync(path)}, where there is nothing`;
      hint = `Restore what it leads to, or remove the link, and the tenant follows core: rm ${shellWord(path)}`;
    }
  }
  throw new MpmError('TENANT_FOLDER', `${path} ${what}`, { subject: path, hint });
}

function namesIn(parent: string): string[] {
  try {
    return readdirSync(parent, { withFileTypes: true })
      .filter((entry) => !entry.isFile() && !entry.name.startsWith('.'))
      .map(({ name }) => name);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw new MpmError('TENANT_FOLDER', `${parent} cannot be read: ${message}`, {
      subject: parent,
      hint: 'Check its permissions.',
      cause: error,
    });
  }
}

function isOf(owner: Owner | undefined, { id, server, database }: TenantOfFolder): boolean {
  return owner?.id === id && owner.server === server && owner.database === database;
}

function who({ id, name }: TenantOfFolder): string {
  return name ? `${name} (${id})` : `tenant ${id}`;
}

function notIts({ folder, manifest }: OwnFolder, tenant: TenantOfFolder): MpmError {
  const { tenant: owner } = manifest;
  const { id, name } = tenant;
  const claim = `mpm-migrate sync --claim --tenant ${idWord(id)}`;
  const moved = owner?.id === id;
  const what = !owner
    ? 'has no owner'
    : moved
      ? `is of ${who(tenant)} at another place: database "${owner.database}" on server "${owner.server}"`
      : `is of tenant ${owner.id}, not of ${who(tenant)}`;
  return new MpmError('TENANT_FOLDER', `the folder ${folder} ${what}`, {
    subject: name || id,
    hint: moved
      ? `To claim it: ${claim}`
      : `If the folder is this tenant's: ${claim}. Otherwise, move it elsewhere.`,
  });
}
