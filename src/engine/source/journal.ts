import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MpmError } from '../../errors.ts';
import { JOURNAL } from './neighbours.ts';

interface Journal {
  version?: string;
  entries: { idx: number; version?: string; when: number; tag: string; breakpoints: boolean }[];
}

/**
 * Puts a new migration into Drizzle's journal, and a copy of the last snapshot beside the others, as
 * `drizzle-kit generate --custom` does: that tool goes on from there. Without a journal, nothing.
 * @throws MpmError FILE_SYSTEM
 */
export async function addToJournal(folder: string, tag: string, now: Date): Promise<void> {
  const path = join(folder, JOURNAL);
  if (!existsSync(path)) return;
  const lock = `${path}.lock`;
  const fd = await openAlone(lock);
  try {
    const text = readFileSync(path, 'utf8');
    const journal = JSON.parse(text) as Journal;
    const last = journal.entries.at(-1);
    const idx = (last?.idx ?? -1) + 1;
    const version = last?.version ?? journal.version;
    journal.entries.push({
      idx,
      ...(version === undefined ? {} : { version }),
      // What is older than its newest row, Drizzle never runs.
      when: Math.max(now.getTime(), (last?.when ?? 0) + 1),
      tag,
      breakpoints: true,
    });
    if (last) copySnapshot(folder, last.tag, tag);
    replace(path, `${JSON.stringify(journal, null, indentOf(text))}${text.endsWith('\n') ? '\n' : ''}`);
  } catch (error) {
    throw new MpmError('FILE_SYSTEM', `${path} was not written: ${(error as Error).message}`, {
      subject: path,
      hint: `Mend it, and add an entry with the tag ${tag}.`,
      cause: error,
    });
  } finally {
    closeSync(fd);
    rmSync(lock, { force: true });
  }
}

function copySnapshot(folder: string, last: string, tag: string): void {
  const snapshot = (of: string) => join(folder, 'meta', `${/^\d*/.exec(of)?.[0]}_snapshot.json`);
  if (!existsSync(snapshot(last)) || existsSync(snapshot(tag))) return;
  const text = readFileSync(snapshot(last), 'utf8');
  const { id, ...rest } = JSON.parse(text) as { id: string };
  const copy = { ...rest, id: randomUUID(), prevId: id };
  replace(snapshot(tag), JSON.stringify(copy, null, indentOf(text)));
}

function replace(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}

function indentOf(text: string): string {
  return /^\{\r?\n([ \t]+)/.exec(text)?.[1] ?? '  ';
}

/** Two that write at once would lose an entry. */
async function openAlone(lock: string): Promise<number> {
  for (let tries = 0; ; tries += 1) {
    try {
      return openSync(lock, 'wx');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || tries >= 200) {
        throw new MpmError('FILE_SYSTEM', `${lock} cannot be created: ${(error as Error).message}`, {
          subject: lock,
          hint: 'If no other mpm-migrate create is running, remove it.',
          cause: error,
        });
      }
      await sleep(25);
    }
  }
}
