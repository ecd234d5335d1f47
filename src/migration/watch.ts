import { connect, type DatabaseTarget } from '../postgres/connect.ts';
import type { Connection } from '../postgres/connection.ts';
import { literal } from '../postgres/quote.ts';
import { type Holder, holdersBlocking } from './lock.ts';

/** Looks, from another connection, at who keeps ours waiting for a lock. */
export interface Watch {
  /** Ends the watch; who was in the way when it last looked. */
  stop(): Promise<Holder[]>;
}

/**
 * Watches the backend that works under `target.applicationName`, beginning after half of `lockTimeout` ms: by the
 * time that lock_timeout strikes, the holder has been seen (engine 16). A migration that is done sooner costs nothing.
 */
export function watchLocks(target: DatabaseTarget, lockTimeout: number): Watch {
  if (lockTimeout <= 0) return { stop: async () => [] };
  let connection: Connection | undefined;
  let holders: Holder[] = [];
  let looking: Promise<void> | undefined;
  const look = async () => {
    try {
      connection ??= await connect({ ...target, applicationName: `${target.applicationName}/watch` });
      const [waiting] = await connection.query<{ pid: number }>(`select pid from pg_catalog.pg_stat_activity
where datname = pg_catalog.current_database() and application_name = ${literal(target.applicationName)} and wait_event_type = 'Lock'`);
      if (waiting) holders = await holdersBlocking(connection, waiting.pid);
    } catch {
      // Who is in the way is worth knowing, but no reason to fail: without a free connection the error stays shorter.
    }
  };
  const timer = setInterval(
    () => {
      looking ??= look().finally(() => (looking = undefined));
    },
    Math.max(20, lockTimeout / 2 - 20),
  );
  return {
    async stop() {
      clearInterval(timer);
      await looking;
      await connection?.close();
      connection = undefined;
      return holders;
    },
  };
}
