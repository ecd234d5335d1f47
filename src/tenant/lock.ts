import { createHash } from 'node:crypto';
import { connectCentral } from '../central/central.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';

/**
 * Runs `use` while nobody else creates, resumes or drops this tenant. The lock lives in an open transaction on a
 * connection of its own: so it works through a transaction pooler, and ends with a killed process.
 * @throws MpmError BUSY, at once
 */
export async function withTenantLock<T>(config: Config, id: string, use: () => Promise<T>): Promise<T> {
  const connection = await connectCentral(config, `tenant-lock/${id}`);
  try {
    const keys = [0x6d_70_6e, createHash('sha256').update(id).digest().readInt32BE(0)];
    // Literals, because a bind parameter leaves a portal open, and with it a snapshot.
    const [row] = await connection.query<{ had: boolean }>(
      `begin;\nset local idle_in_transaction_session_timeout = 0;\nselect pg_try_advisory_xact_lock(${keys.join(', ')}) as had`,
    );
    if (row?.had) return await use();
    throw new MpmError('BUSY', `tenant ${id} is being worked on by another process`, {
      subject: id,
      hint: `When that one has ended, see where it stands: mpm-migrate tenant show ${id}`,
    });
  } finally {
    await connection.close();
  }
}
