import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * How often a run says that it is alive, and after how much silence it counts as interrupted (ms). A heartbeat
 * and not a lock: behind a transaction pooler a session lock belongs to whoever gets that session next, and a
 * transaction held open as long as a run lasts is what databases are watched for.
 */
export const HEARTBEAT = { every: 5_000, silence: 30_000 } as const;

/** Where a process runs, and which one it is. */
export interface ProcessPlace {
  host: string;
  pid: number;
  /** Tells containers apart that share a host's name but not its processes; empty where there is no such thing. */
  pidSpace: string;
}

export function thisProcess(): ProcessPlace {
  return { host: hostname(), pid: process.pid, pidSpace: pidSpace() };
}

/** True when a process ran where this one runs, and is not there any more: known before its silence tells. */
export function isGoneHere({ host, pid, pidSpace: space }: ProcessPlace): boolean {
  if (host !== hostname() || space !== pidSpace()) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function pidSpace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}
