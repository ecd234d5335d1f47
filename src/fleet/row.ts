import { setImmediate } from 'node:timers/promises';
import type { Central } from '../central/central.ts';
import type { Tenant } from '../central/list/tenant.ts';
import { readAgain } from '../central/list/tenants.ts';
import { asMpmError, MpmError } from '../errors.ts';
import { mergeAttempts } from '../engine/apply/migrate.ts';
import type { Admit } from '../engine/apply/batch.ts';
import { idWord } from '../shell-word.ts';
import { skipped, type TenantAttempt } from './attempt.ts';
import { serialize } from './schedule/serialize.ts';

/** So often a row may change under one attempt: more is a mistake in whatever changes it. */
const MOST_CHANGES = 5;

interface Asked {
  ids: Set<string>;
  answer: Promise<Map<string, Tenant>>;
}

const gathering = new WeakMap<Central, Asked>();

/**
 * A tenant's row as it is now; undefined when it is gone. What is asked while the central database is at something
 * else is one query.
 */
export async function rowNow(central: Central, id: string): Promise<Tenant | undefined> {
  const known = gathering.get(central);
  if (known) {
    known.ids.add(id);
    return (await known.answer).get(id);
  }
  const ids = new Set([id]);
  // Whoever's lock was had in the same moment asks along.
  const answer = setImmediate().then(() =>
    serialize(central, () => {
      // From here on a question would come too late for this query.
      gathering.delete(central);
      return readAgain(central, [...ids]);
    }),
  );
  gathering.set(central, { ids, answer });
  return (await answer).get(id);
}

/**
 * One attempt at a tenant by its row as it is, not as it was read when the run began: before the first write, under
 * the lock, the row is read again, and so it is after an attempt that came to nothing. Who is on hold by then is
 * passed by, who has moved is worked on at the new place (fleet 34).
 * @param work is given the row, and what to ask under the lock; must not reject
 * @param before what an earlier attempt came to
 * @param as what of a row counts, where that is not the row itself
 */
export async function onCurrentRow<D>(
  central: Central,
  tenant: Tenant,
  before: TenantAttempt<D> | undefined,
  work: (row: Tenant, admit: Admit, before: TenantAttempt<D> | undefined) => Promise<TenantAttempt<D>>,
  as: (row: Tenant) => Tenant = (row) => row,
): Promise<TenantAttempt<D>> {
  const look = async (): Promise<Tenant | undefined> => {
    const now = await rowNow(central, tenant.id);
    return now && as(now);
  };
  let row: Tenant | undefined = as(tenant);
  let done: TenantAttempt<D> | undefined;
  // Between two attempts is time enough for anything.
  if (before) row = asBefore(row, await look().catch(() => row));
  for (let changes = 0; row; changes += 1) {
    const worked: Tenant = row;
    let asked = false;
    let now: Tenant | undefined = worked;
    const admit: Admit = async () => {
      asked = true;
      now = await look().catch(unreadable);
      if (!isSame(worked, now)) throw changed(worked);
    };
    const attempt = mergeAttempts(
      done,
      await work(worked, admit, done ? mergeAttempts(before, done) : before),
    );
    if (attempt.error && !asked) now = await look().catch(() => worked);
    // What became of it is not to be learnt there, where the database was dropped or closed under it.
    if (attempt.error?.code === 'COMMIT_UNKNOWN') {
      const after = await look().catch(() => worked);
      if (!isSamePlace(worked, after)) now = after;
    }
    if (isSame(worked, now) || changes === MOST_CHANGES) return { ...attempt, tenant: worked };
    done = { ...attempt, retryable: false };
    row = asBefore(worked, now);
  }
  return mergeAttempts(done, skipped('dropped since the run started'));
}

/** What the list says twice is known of the row as it was; it holds where the row is the same. */
function asBefore(before: Tenant, now: Tenant | undefined): Tenant | undefined {
  return now && before.clash && isSame(before, now) ? { ...now, clash: before.clash } : now;
}

/** The same for what is done with it: a new name or label changes nothing. */
function isSame(before: Tenant, now: Tenant | undefined): boolean {
  const plugins = (tenant: Tenant): string => [...(tenant.plugins ?? [])].join('\n');
  return (
    now !== undefined &&
    isSamePlace(before, now) &&
    before.status === now.status &&
    plugins(before) === plugins(now)
  );
}

function isSamePlace(before: Tenant, now: Tenant | undefined): boolean {
  return now !== undefined && before.database === now.database && before.server === now.server;
}

function changed({ id, name }: Tenant): MpmError {
  return new MpmError('TENANT_STATUS', `the row of ${name || id} changes all the time`, {
    aftermath: 'nothing was changed here',
    hint: `To see its state: mpm-migrate tenant show ${idWord(id)}`,
  });
}

/** Who cannot be asked whether a tenant is on hold leaves it alone. Without a cause: it was tried for long enough. */
function unreadable(error: unknown): never {
  const { code, message, hint } = asMpmError(error);
  throw new MpmError(code === 'BUG' ? 'CONNECTION' : code, `its row cannot be read again: ${message}`, {
    aftermath: 'nothing was changed here',
    hint: hint ?? 'When the central database answers: mpm-migrate up --tenant {tenant}',
  });
}
