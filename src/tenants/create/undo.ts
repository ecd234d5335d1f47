import { markFailed, type Provisioning, readProvisioning } from '../../central/list/provisioning.ts';
import { asMpmError, MpmError } from '../../errors.ts';
import { idWord } from '../../shell-word.ts';
import { type Creation, dropOwn, onCentral, takeBack } from './creation.ts';
import { withTenantLock } from '../lock.ts';

/**
 * What became of a creation that failed. Its lock may be gone, and somebody else at the tenant: so the lock is taken
 * anew, and the row is read again behind it, before `onFailure` does anything (fleet 49).
 */
export async function ended(
  creation: Creation,
  row: Provisioning,
  error: unknown,
  onFailure: (creation: Creation, row: Provisioning, error: unknown) => Promise<MpmError>,
): Promise<MpmError> {
  const { config } = creation.central;
  const known = failureOf(error, row);
  const left = (aftermath: string, hint: string) =>
    new MpmError(known.code, known.message, { ...fieldsOf(known), aftermath, hint });
  const look = `mpm-migrate tenant show ${idWord(row.id)}`;
  const decide = async (): Promise<MpmError> => {
    let now: Provisioning | undefined;
    await onCentral(
      creation,
      async (central) => void (now = await readProvisioning(central, row.id, { settled: true })),
    );
    if (!now) {
      await dropOwn(creation, row);
      return left(
        `the row ${row.id} is gone: somebody else has dropped it; its database is gone as well`,
        'To list tenants: mpm-migrate tenant list',
      );
    }
    if (now.status !== 'provisioning' && now.status !== 'failed') {
      return left(
        `all the same the creation was finished: tenant ${row.id} is ${now.status}, and nothing was removed`,
        look,
      );
    }
    const other =
      now.database !== row.database ||
      (now.buildingAs ?? row.buildingAs) !== row.buildingAs ||
      (now.oid ?? row.oid) !== (row.oid ?? now.oid);
    if (other) return left(`another attempt has begun it anew since, and nothing was removed`, look);
    return onFailure(creation, row, error);
  };
  try {
    return await withTenantLock(config, row.id, decide);
  } catch (second) {
    const why = asMpmError(second);
    return left(`nothing was removed of it: ${why.message}`, `To see its state: ${look}`);
  }
}

/** Removes what this call made; what cannot be removed stays in sight as `failed`. */
export async function undo(creation: Creation, row: Provisioning, error: unknown): Promise<MpmError> {
  const known = failureOf(error, row);
  try {
    await takeBack(creation, row);
  } catch (second) {
    const why = second instanceof Error ? second.message : String(second);
    const kept = await keepFailed(creation, row, error);
    return new MpmError(kept.code, `${kept.message}; and undoing it failed: ${why}`, { ...fieldsOf(kept) });
  }
  return new MpmError(known.code, known.message, {
    ...fieldsOf(known),
    aftermath: `nothing is left of it: neither the database "${row.database}" nor the row ${row.id}`,
    hint: known.hint ?? [...remediesOf(error), 'Fix the cause, and then create it again.'].join('\n'),
  });
}

/** Leaves the tenant as `failed` with its step and the reason. */
export async function keepFailed(creation: Creation, row: Provisioning, error: unknown): Promise<MpmError> {
  const known = failureOf(error, row);
  const marked = await onCentral(creation, (central) => markFailed(central, row.id, known.message)).then(
    () => true,
    () => false,
  );
  return new MpmError(known.code, known.message, {
    ...fieldsOf(known),
    aftermath: `tenant ${row.id} is left as ${marked ? 'failed' : 'provisioning'}`,
    hint: `Fix the cause, and then: mpm-migrate tenant create --resume ${idWord(row.id)}`,
  });
}

/** What to do about files that the plan refuses; not what is done to the tenant, of which nothing is left. */
function remediesOf(error: unknown): string[] {
  if (!(error instanceof MpmError) || error.code !== 'PLAN_REFUSED') return [];
  return (error.hint ?? '').split('\n').filter((line) => line !== '' && !line.includes('{tenant}'));
}

/** In a creation, a failed migration or database is a failed creation; what passes by itself keeps its code. */
function failureOf(error: unknown, row: Provisioning): MpmError {
  const keeps = ['BUSY', 'INTERRUPTED', 'DATABASE_EXISTS', 'DATABASE_IN_USE', 'PASSWORD', 'CONNECTION'];
  if (error instanceof MpmError && keeps.includes(error.code)) return error;
  const message = error instanceof Error ? error.message : String(error);
  const where = row.step === 'migrations' ? 'applying the migrations' : 'creating the database';
  const fields = error instanceof MpmError ? fieldsOf(error) : { cause: error };
  const { hint: _, aftermath: __, ...kept } = fields;
  return new MpmError('PROVISION_FAILED', `${row.name}: ${where} failed: ${message}`, {
    subject: row.name,
    ...kept,
  });
}

function fieldsOf({ hint, subject, excerpt, database, aftermath, migration, cause }: MpmError) {
  const all = { hint, subject, excerpt, database, aftermath, migration, cause };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
