import type { Direction } from '../migration.ts';
import type { Tool } from './sign.ts';

/** How each tool's sections begin, for what is to be written. */
export const OURS: Record<Direction, string> = { up: '-- migrate:up', down: '-- migrate:down' };

export const SECTIONS: Partial<Record<Tool, Record<Direction, string>>> = {
  'mpm-migrate': OURS,
  goose: { up: '-- +goose Up', down: '-- +goose Down' },
  'sql-migrate': { up: '-- +migrate Up', down: '-- +migrate Down' },
  'node-pg-migrate': { up: '-- Up Migration', down: '-- Down Migration' },
  liquibase: { up: '--changeset AUTHOR:ID', down: '--rollback SQL' },
};

/** How a file of each tool says that it runs outside a transaction, in words. */
export const OUTSIDE: Partial<Record<Tool, string>> = {
  goose: 'write -- +goose NO TRANSACTION on a line of its own',
  'sql-migrate': 'write notransaction behind -- +migrate Up, or Down',
  tern: 'write ---- tern: disable-tx ---- on a line of its own in that section',
  liquibase: 'write runInTransaction:false behind --changeset AUTHOR:ID',
};

/** What `create` writes where the SQL goes in another tool's form. */
export const WRITE_UP = '-- Write the SQL here.';
export const WRITE_DOWN = '-- Write the SQL that reverts it here.';

/** Whether nothing was written into such a file. */
export function isUnwritten(text: string): boolean {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.includes(WRITE_UP) && lines.every((line) => line === '' || line.startsWith('--'));
}
