import { text } from '../argument.ts';
import { type Central, withCentral } from '../central/central.ts';
import { BEING_DROPPED, changeLabels, changeName, changeStatus, readTenant } from '../central/list/change.ts';
import type { Tenant } from '../central/list/tenant.ts';
import { findTenant } from '../central/list/tenants.ts';
import type { Config } from '../config/define.ts';
import { asMpmError, MpmError, stopIfAborted } from '../errors.ts';
import { findDatabases } from '../postgres/database.ts';
import { waitForDatabases } from '../postgres/active-databases.ts';
import { idWord, shellWord } from '../shell-word.ts';
import { requireBuiltIn } from './create/provision.ts';
import { withTenantLock } from './lock.ts';
import { checkCompanyName } from './name.ts';
import { waitForRunners } from './runners.ts';
import { withServer } from './server.ts';

/** What was done to a tenant: what `--json` prints. */
export interface TenantChange {
  done: 'held' | 'released' | 'renamed' | 'labelled' | 'moved' | 'adopted' | 'dropped';
  /** As it is now; of a dropped one, as it was. */
  tenant: Tenant;
  notices: string[];
}

/** What every change takes. */
export interface ChangeOptions {
  /** Aborted before the change was begun: it is not, with INTERRUPTED. */
  signal?: AbortSignal;
}

/**
 * Puts a tenant on hold: `up` passes it by, and sessions refuse it. Then waits, for `pace.lockWait`, until nobody is at
 * work in its database any more: from then on nobody begins to be.
 * @throws MpmError TENANT_STATUS, UNKNOWN_TENANT; BUSY and CONNECTION when it is on hold, but somebody is still at work
 *   there, or may be
 */
export async function hold(
  config: Config,
  wanted: string,
  { reason, ...options }: { reason: string } & ChangeOptions,
): Promise<TenantChange> {
  text('reason', reason, "For example: fleet.hold(42, { reason: 'moves tonight' })");
  const to = { from: ['active', 'hold'], to: 'hold', reason };
  const act = (central: Central, tenant: Tenant) => changeStatus(central, tenant, to);
  const held = await change(config, wanted, 'held', act, options);
  await waitForRunners(config, held.tenant, options.signal).catch((error: unknown) => {
    const { code, message, cause } = asMpmError(error);
    const { id, name } = held.tenant;
    throw new MpmError(code, `${name} (${id}) is on hold, but ${message}`, {
      subject: name,
      cause,
      aftermath: 'who is at work there now begins no further migration',
      hint: `To wait for it: mpm-migrate tenant hold ${idWord(id)} --reason ${shellWord(reason)} --lock-wait 10min`,
    });
  });
  return held;
}

/**
 * Takes a tenant off hold.
 * @throws MpmError TENANT_STATUS, UNKNOWN_TENANT; DATABASE_MISSING when it is on hold because it is being dropped, and
 *   nothing whole is left of its database
 */
export function release(config: Config, wanted: string, options: ChangeOptions = {}): Promise<TenantChange> {
  const to = { from: ['hold'], to: 'active', reason: null };
  const act = async (central: Central, tenant: Tenant): Promise<void> => {
    if (tenant.status === 'hold' && tenant.reason?.startsWith(BEING_DROPPED))
      await requireWhole(config, tenant);
    await changeStatus(central, tenant, to);
  };
  return change(config, wanted, 'released', act, options);
}

async function requireWhole(config: Config, { id, name, server, database }: Tenant): Promise<void> {
  const left = await withServer(config, server, async (connection) => {
    await waitForDatabases(connection, [database]);
    return (await findDatabases(connection, [database]))[0];
  });
  if (left?.valid) return;
  const what = left ? 'is partly dropped' : 'is dropped already';
  throw new MpmError('DATABASE_MISSING', `the database "${database}" of ${name} (${id}) ${what}`, {
    subject: name,
    aftermath: 'it stays on hold',
    hint: `To finish: mpm-migrate tenant drop ${idWord(id)}`,
  });
}

/** Renames the company; its database keeps its name. @throws MpmError USAGE, TENANT_EXISTS, UNKNOWN_TENANT */
export async function rename(
  config: Config,
  wanted: string,
  name: string,
  options: ChangeOptions = {},
): Promise<TenantChange> {
  const to = text('name', name, "For example: fleet.rename(42, 'Acme Ltd')").trim();
  checkCompanyName(to);
  return change(config, wanted, 'renamed', (central, { id }) => changeName(central, id, to), options);
}

/**
 * Sets and removes labels.
 * @param labels a value of null removes the label
 * @throws MpmError USAGE, UNKNOWN_TENANT
 */
export async function label(
  config: Config,
  wanted: string,
  labels: Readonly<Record<string, string | null>>,
  options: ChangeOptions = {},
): Promise<TenantChange> {
  const given = Object.entries(labels);
  if (given.length === 0) {
    throw new MpmError('USAGE', 'No label was given', {
      hint: 'mpm-migrate tenant label 42 tier=gold beta-',
    });
  }
  const set = Object.fromEntries(given.filter((entry): entry is [string, string] => entry[1] !== null));
  const remove = given.filter(([, value]) => value === null).map(([key]) => key);
  const to = { set, remove };
  return change(config, wanted, 'labelled', (central, { id }) => changeLabels(central, id, to), options);
}

/** Finds the tenant, changes it while nobody else does, and reads it again. @throws MpmError INTERRUPTED, BUSY */
export async function change(
  config: Config,
  wanted: string,
  done: TenantChange['done'],
  act: (central: Central, tenant: Tenant) => Promise<string[] | void>,
  { signal }: ChangeOptions,
): Promise<TenantChange> {
  requireBuiltIn(config);
  stopIfAborted(signal);
  return withCentral(config, async (central) => {
    const { id } = await findTenant(central, wanted);
    return withTenantLock(config, id, async () => {
      const before = await readTenant(central, id);
      stopIfAborted(signal);
      try {
        const notices = (await act(central, before)) ?? [];
        const tenant = done === 'dropped' ? before : await readTenant(central, id);
        return { done, tenant, notices };
      } catch (error) {
        throw central.connection.lost ? notKnown(error, before, done) : error;
      }
    });
  });
}

/** The server may have done what its answer was lost of. */
function notKnown(error: unknown, { id, name }: Tenant, done: TenantChange['done']): MpmError {
  const { code, message } = asMpmError(error);
  return new MpmError(code, message, {
    subject: name,
    cause: error,
    aftermath: `whether tenant ${id} was ${done} is not known`,
    hint: `To see its state: mpm-migrate tenant show ${idWord(id)}`,
  });
}
