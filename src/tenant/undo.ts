import { type Central, withCentral } from '../central/central.ts';
import { markFailed, type Provisioning, unregisterTenant } from '../central/provisioning.ts';
import { MpmError } from '../errors.ts';
import { dropBuilding } from './build.ts';
import type { Creation } from './creation.ts';
import { withServer } from './server.ts';

/** Removes what this call made; what cannot be removed stays in sight as `failed`. */
export async function undo(creation: Creation, row: Provisioning, error: unknown): Promise<MpmError> {
  const { config } = creation.central;
  const known = failureOf(error, row);
  try {
    const { database, buildingAs } = row;
    if (buildingAs) {
      const building = { database, buildingAs, oid: row.oid };
      await withServer(config, row.server, (connection) => dropBuilding(connection, building));
    }
    await onCentral(creation, (central) => unregisterTenant(central, row.id));
  } catch (second) {
    const why = second instanceof Error ? second.message : String(second);
    const kept = await keepFailed(creation, row, error);
    return new MpmError(kept.code, `${kept.message}; and undoing it failed: ${why}`, { ...fieldsOf(kept) });
  }
  return new MpmError(known.code, known.message, {
    ...fieldsOf(known),
    aftermath: `nothing is left of it: neither the database "${row.database}" nor the row ${row.id}`,
    hint: known.hint ?? 'Mend the cause, then create it again.',
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
    hint: `Mend the cause, then: mpm-migrate tenant create --resume ${row.id}`,
  });
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
